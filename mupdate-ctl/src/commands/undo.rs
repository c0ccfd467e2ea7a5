//! `undo`: names are brought back to what they were.

use std::{collections::BTreeSet, ffi::OsString};

use clap::Args;
use mupdate_host::admin::api::{Text, Undo, UndoRequest};

use super::{
    Session,
    ask::Consent,
    history::{same_place, what},
    shared::octets,
};
use crate::{
    connect::http::Target,
    fail::{Code, Fail},
    show::{
        Out, Table,
        table::WARN,
        text::{number, one_line, shown},
    },
};

/// What is taken back: all changes since a moment that fit what is given.
#[derive(Debug, Args)]
#[group(id = "moment", required = true, multiple = false, args = ["to_revision", "to_time"])]
pub struct Options {
    /// To what was right after this revision
    #[arg(long, value_name = "REVISION")]
    to_revision: Option<u64>,
    /// To what was at this time: 2026-05-01T12:00, 12:00, or 10m (ago)
    #[arg(long, value_name = "TIME")]
    to_time: Option<String>,
    /// Only what this user has changed
    #[arg(long, value_name = "USER")]
    by: Option<String>,
    /// Only names that were at this backend, or are now
    #[arg(long, value_name = "SERVER")]
    host: Option<OsString>,
    /// Only this name
    #[arg(value_name = "NAME")]
    name: Option<OsString>,
    /// Show the plan, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    session.connect.no_user("--by")?;
    let moment = |text: &String| session.out.clock.moment(text);
    let to_ms = options.to_time.as_ref().map(moment).transpose();
    let mut request = UndoRequest {
        to_revision: options.to_revision,
        to_ms: to_ms.map_err(|error| Fail::usage(format!("--to-time: {error}")))?,
        user: options.by.clone(),
        server: options.host.as_ref().map(|host| octets(host).into()),
        mailbox: options.name.as_ref().map(|name| octets(name).into()),
        planned_at: None,
    };
    let admin = session.connect.admin()?;
    let target = Target::new("/v1/undo");
    let plan: Undo = admin.wait(&target, &request)?;
    let out = &mut session.out;
    let act = !options.dry_run && (!out.json || options.consent.yes) && !plan.changes.is_empty();
    if out.json && !act {
        return out.document(&plan);
    }
    if !out.json {
        show(&plan, out)?;
        if !act {
            return Ok(());
        }
        out.flush()?;
        options.consent.ask(&format!("Bring {} back?", number(plan.changes.len() as u64, "name")))?;
    }
    request.planned_at = Some(plan.planned_at);
    let done: Undo = admin.wait(&target, &request)?;
    let known: BTreeSet<_> = plan.left.iter().map(|(name, _)| name).collect();
    let news: Vec<_> = done.left.iter().filter(|(name, _)| !known.contains(name)).collect();
    if out.json {
        out.document(&done)?;
    } else {
        out.line(format_args!("{} brought back", number(done.changes.len() as u64, "name")))?;
        left_alone(news.iter().copied(), out)?;
    }
    if news.is_empty() { Ok(()) } else { Err(Fail::Silent(Code::No)) }
}

fn show(plan: &Undo, out: &mut Out) -> Result<(), Fail> {
    if plan.changes.is_empty() {
        out.line("nothing to bring back")?;
        return left_alone(&plan.left, out);
    }
    let mut table = Table::new(&["mailbox", "is", "is to be"]);
    for (name, is, to_be) in &plan.changes {
        // Where only the ACL differs, it is what matters.
        let acl = same_place(is, to_be);
        table.row([shown(name), what(is, acl, false), what(to_be, acl, false)]);
    }
    out.table(&mut table)?;
    left_alone(&plan.left, out)
}

fn left_alone<'a>(left: impl IntoIterator<Item = &'a (Text, String)>, out: &mut Out) -> Result<(), Fail> {
    left.into_iter().try_for_each(|(name, why)| {
        out.line(format_args!("{WARN}{} is left alone: {}{WARN:#}", shown(name), one_line(why)))
    })
}
