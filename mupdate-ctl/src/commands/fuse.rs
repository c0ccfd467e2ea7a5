//! `fuse list`, `fuse release`: users who took over or deleted too many names at a time.

use clap::Subcommand;
use mupdate_host::admin::api::{Fuse, ReleaseFuse};

use super::Session;
use crate::{
    connect::http::Target,
    fail::Fail,
    show::{Table, text::one_line, time::ago},
};

/// What is done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the fuses that have blown
    List,
    /// Let a user go on whose fuse has blown
    Release {
        /// The user's name
        name: String,
    },
}

pub(super) fn run(command: &Command, session: &mut Session<'_>) -> Result<(), Fail> {
    let admin = session.connect.admin()?;
    let name = match command {
        Command::List => return list(&admin.items(&Target::new("/v1/fuses"))?, session),
        Command::Release { name } => name,
    };
    let request = ReleaseFuse { user: name.clone() };
    admin.act(&Target::new("/v1/fuses/release"), &request)?;
    if session.out.json {
        return session.out.document(&request);
    }
    session.out.line(format_args!("the fuse of {} is released", one_line(name)))
}

fn list(fuses: &[Fuse], session: &mut Session<'_>) -> Result<(), Fail> {
    if session.out.json {
        return session.out.document(&fuses);
    }
    if fuses.is_empty() {
        return session.out.line("no fuse has blown");
    }
    let mut table = Table::new(&["user", "held", "for"]).right(&[2]);
    for fuse in fuses {
        let holds: Vec<_> = fuse.holds.iter().map(|held| one_line(held)).collect();
        let since = fuse.since_ms.map_or_else(|| "-".into(), ago);
        table.row([one_line(&fuse.user), holds.join(", "), since]);
    }
    session.out.table(&mut table)
}
