//! `history`, `takeovers`: who changed what.

use std::ffi::OsString;

use clap::Args;
use mupdate_host::admin::api::{Deed, Entry, MailboxState, Text, What};

use super::{
    Session,
    shared::{acl, octets, word},
};
use crate::{
    connect::http::Target,
    fail::Fail,
    show::{
        Table,
        table::WARN,
        text::{one_line, shown, shown_or_dash},
    },
};

/// Whose history.
#[derive(Debug, Args)]
pub struct Options {
    /// What became of this name
    #[arg(value_name = "NAME")]
    name: Option<OsString>,
    /// What was, or is now, at this backend
    #[arg(long, value_name = "SERVER")]
    host: Option<OsString>,
    /// What this user has changed
    #[arg(long, value_name = "USER")]
    by: Option<String>,
    /// What was done in this way
    #[arg(long, value_name = "DEED")]
    deed: Option<Deed>,
    #[command(flatten)]
    page: Page,
}

/// How much of it.
#[derive(Debug, Args)]
pub struct Page {
    /// The newest so many; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// Only what came before this revision
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
    /// Show ACLs too
    #[arg(long)]
    acl: bool,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    session.connect.no_user("--by")?;
    let target = Target::new("/v1/journal")
        .with_some("mailbox", options.name.as_ref().map(octets))
        .with_some("server", options.host.as_ref().map(octets))
        .with_some("user", options.by.as_ref())
        .with_some("deed", options.deed.map(Deed::word));
    show(target, &options.page, "the journal has no such change", session)
}

pub(super) fn takeovers(page: &Page, session: &mut Session<'_>) -> Result<(), Fail> {
    show(Target::new("/v1/journal").with("takeovers", "true"), page, "the journal has no takeover", session)
}

fn show(target: Target, page: &Page, nothing: &str, session: &mut Session<'_>) -> Result<(), Fail> {
    let target = target
        .with_some("before", page.before.map(|revision| revision.to_string()))
        .with("limit", page.limit.to_string());
    let out = &mut session.out;
    let mut table =
        Table::new(&["revision", "time", "user", "deed", "mailbox", "before", "after"]).right(&[0]);
    session.connect.admin()?.lines(&target, |entry: Entry| {
        if out.json {
            return out.json_line(&entry);
        }
        // Where only the ACL differs, it is what matters.
        let acl = page.acl || same_place(&entry.before, &entry.after);
        let cells = [
            entry.revision.to_string(),
            out.clock.at(entry.at_ms),
            one_line(&entry.user),
            entry.deed.word(),
            shown(&entry.mailbox),
            what(&entry.before, acl, entry.cut),
            what(&entry.after, acl, entry.cut),
        ];
        if entry.takeover {
            table.styled(WARN, cells);
        } else {
            table.row(cells);
        }
        out.some_of(&mut table)
    })?;
    out.table_or(&mut table, nothing)
}

/// What a name was, in a few words. Of what was too long for the journal, only the state is known.
pub fn what(what: &What, with_acl: bool, cut: bool) -> String {
    let state = match what.state {
        MailboxState::Deleted => return "-".into(),
        // What most are.
        MailboxState::Active if !cut => String::new(),
        state if cut => return format!("{} (too long to be kept)", word(state)),
        state => format!("{} ", word(state)),
    };
    let location = shown_or_dash(what.location.as_ref());
    match what.acl.as_ref().filter(|_| with_acl) {
        Some(rights) => format!("{state}{location} ({})", acl(Some(rights))),
        None => format!("{state}{location}"),
    }
}

/// Whether two states of a name differ in nothing that is shown without ACLs.
pub fn same_place(one: &What, other: &What) -> bool {
    let place = |what: &What| what.location.as_ref().map(Text::as_bytes).map(<[u8]>::to_vec);
    one.state == other.state && place(one) == place(other)
}
