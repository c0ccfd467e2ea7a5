//! `list`: what is in the directory.

use clap::Args;

use super::{
    Session,
    shared::{Filter, acl, mailboxes, word},
};
use crate::{
    fail::Fail,
    show::{
        Table,
        text::{shown, shown_or_dash},
    },
};

/// What is to be listed.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Show who may do what
    #[arg(long)]
    acl: bool,
    /// End after that many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let heads = ["mailbox", "state", "location", "acl"];
    let mut table = Table::new(if options.acl { &heads } else { &heads[..3] });
    let mut way = session.connect.way()?;
    let (out, mut left) = (&mut session.out, options.limit.unwrap_or(u64::MAX));
    let done = mailboxes(&mut way, &options.filter, |mailbox| {
        // What has been asked for is there, and the rest is not read.
        left = left.checked_sub(1).ok_or(Fail::Pipe)?;
        if out.json {
            return out.json_line(&mailbox);
        }
        let mut cells = vec![
            shown(&mailbox.mailbox),
            word(mailbox.state).into(),
            shown_or_dash(mailbox.location.as_ref()),
        ];
        if options.acl {
            cells.push(acl(mailbox.acl.as_ref()));
        }
        table.row(cells);
        out.some_of(&mut table)
    });
    match done {
        Ok(()) => out.table_or(&mut table, "no mailbox fits"),
        // What came before it is shown nevertheless.
        Err(fail) => out.table(&mut table).and(Err(fail)),
    }
}
