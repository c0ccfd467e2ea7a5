//! `reservations`, `release`: names that are taken, and perhaps by nobody any more.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use mupdate_host::admin::api::{Release, Released, Reservation};

use super::{Session, ask::Consent, shared::octets};
use crate::{
    connect::http::{Admin, Target},
    fail::{Code, Fail},
    show::{
        Out, Table,
        table::WARN,
        text::{escaped, number, one_line, shown},
        time::{ago, span},
    },
};

/// Which of them, and what is done.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(flatten)]
    age: Age,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Age {
    /// Only those that have stood so long: 90s, 15m, 1h, 7d
    #[arg(long, value_name = "SPAN", value_parser = parse)]
    older_than: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give reserved names free: these, or all that are old enough
    Release(Names),
}

/// Which names.
#[derive(Debug, Args)]
pub struct Names {
    /// The names; without any, --older-than has to say which
    #[arg(value_name = "NAME", required_unless_present = "older_than")]
    names: Vec<OsString>,
    #[command(flatten)]
    age: Age,
    #[command(flatten)]
    consent: Consent,
}

/// Seconds.
fn parse(text: &str) -> Result<u64, String> {
    span(text).map(|span| span.as_secs().unsigned_abs())
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    if let Some(Command::Release(names)) = &options.command {
        return release(names, session);
    }
    let found = reservations(&session.connect.admin()?, options.age.older_than)?;
    if session.out.json { session.out.document(&found) } else { show(&found, &options.age, &mut session.out) }
}

pub(super) fn release(names: &Names, session: &mut Session<'_>) -> Result<(), Fail> {
    let admin = session.connect.admin()?;
    let mut found = reservations(&admin, names.age.older_than)?;
    let wanted: Vec<Vec<u8>> = names.names.iter().map(octets).collect();
    if let Some(missing) =
        wanted.iter().find(|name| !found.iter().any(|found| found.mailbox.as_bytes() == &name[..]))
    {
        return Err(Fail::new(
            Code::No,
            format!("{} is not among the reserved names; nothing was done", escaped(missing)),
        ));
    }
    found
        .retain(|found| wanted.is_empty() || wanted.iter().any(|name| found.mailbox.as_bytes() == &name[..]));
    let out = &mut session.out;
    if !out.json {
        show(&found, &names.age, out)?;
        out.flush()?;
    }
    if found.is_empty() {
        return if out.json { out.document(&Released { released: vec![], left: vec![] }) } else { Ok(()) };
    }
    names.consent.ask(&format!("Give {} free?", number(found.len() as u64, "name")))?;
    let request = Release { names: found.into_iter().map(|found| (found.mailbox, found.revision)).collect() };
    let done: Released = admin.wait(&Target::new("/v1/reservations/release"), &request)?;
    if out.json {
        out.document(&done)?;
    } else {
        out.line(format_args!("{} given free", number(done.released.len() as u64, "name")))?;
        for (name, why) in &done.left {
            out.line(format_args!("{WARN}{} left alone: {}{WARN:#}", shown(name), one_line(why)))?;
        }
    }
    if done.left.is_empty() { Ok(()) } else { Err(Fail::Silent(Code::No)) }
}

fn reservations(admin: &Admin, older_than: Option<u64>) -> Result<Vec<Reservation>, Fail> {
    let target = Target::new("/v1/reservations");
    admin.items(&target.with_some("older_than_s", older_than.map(|seconds| seconds.to_string())))
}

fn show(found: &[Reservation], age: &Age, out: &mut Out) -> Result<(), Fail> {
    if found.is_empty() {
        return out.line(match age.older_than {
            None => "no name is reserved",
            Some(_) => "no name has been reserved for that long",
        });
    }
    let mut table = Table::new(&["mailbox", "location", "revision", "for", "by"]).right(&[2, 3]);
    for reservation in found {
        table.row([
            shown(&reservation.mailbox),
            shown(&reservation.location),
            reservation.revision.to_string(),
            reservation.since_ms.map_or_else(|| "-".into(), ago),
            reservation.user.as_deref().map_or_else(|| "-".into(), one_line),
        ]);
    }
    out.table(&mut table)
}
