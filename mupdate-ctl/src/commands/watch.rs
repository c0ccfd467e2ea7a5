//! `watch`: changes, as they happen.

use std::ffi::OsString;

use clap::Args;
use mupdate_host::admin::api::{Mailbox, MailboxState};

use super::{
    Session,
    shared::{octets, word},
};
use crate::{
    connect::{Way, http::Target},
    fail::Fail,
    show::{
        Clock, Out,
        table::{BAD, WARN},
        text::{shown, shown_or_dash},
    },
};

/// Which changes.
#[derive(Debug, Args)]
pub struct Options {
    /// Only those of mailboxes at this backend
    #[arg(long, value_name = "SERVER")]
    host: Option<OsString>,
    /// End after that many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let host = options.host.as_ref().map(octets);
    let mut left = options.limit.unwrap_or(u64::MAX);
    let out = &mut session.out;
    let each = |mailbox: Mailbox| {
        show(&mailbox, out)?;
        left = left.saturating_sub(1);
        if left == 0 { Err(Fail::Pipe) } else { Ok(()) }
    };
    match session.connect.way()? {
        Way::Admin(admin) => admin.lines(&Target::new("/v1/watch").with_some("server", host), each),
        Way::Wire(mut wire) => wire.watch(host.as_deref(), each),
    }
}

/// At once: somebody waits for it.
fn show(mailbox: &Mailbox, out: &mut Out) -> Result<(), Fail> {
    if out.json {
        out.json_line(mailbox)?;
        return out.flush();
    }
    let style = match mailbox.state {
        MailboxState::Active => anstyle::Style::new(),
        MailboxState::Reserved => WARN,
        MailboxState::Deleted => BAD,
    };
    let (time, state) = (out.clock.at(Clock::now()), word(mailbox.state));
    let (name, location) = (shown(&mailbox.mailbox), shown_or_dash(mailbox.location.as_ref()));
    out.line(format_args!("{time}  {style}{state:8}{style:#}  {name}  {location}"))?;
    out.flush()
}
