//! What several commands do alike, whichever way leads to the server.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use clap::{Args, ValueEnum};
use mupdate_host::admin::api::{Mailbox, MailboxState, Text};
use mupdate_proto::Location;

use crate::{
    connect::{Way, http::Target},
    fail::Fail,
    glob,
    show::text::escaped,
};

/// Which mailboxes are meant.
#[derive(Debug, Default, Args)]
pub struct Filter {
    /// Only those at this backend, as locations name it
    #[arg(long, value_name = "SERVER")]
    pub host: Option<OsString>,
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<State>,
    /// Only those whose name matches: `*` is anything, `?` one character
    #[arg(long, value_name = "PATTERN")]
    pub glob: Option<OsString>,
}

/// A state that a name in the directory can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Mailboxes that users can open
    Active,
    /// Names that are taken
    Reserved,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reserved => "reserved",
        }
    }
}

/// The octets of an argument.
pub fn octets(argument: &OsString) -> Vec<u8> {
    argument.clone().into_vec()
}

/// Goes through the mailboxes that the filter lets through.
///
/// # Errors
/// The connection is over, or what `each` says.
pub fn mailboxes(
    way: &mut Way,
    filter: &Filter,
    mut each: impl FnMut(Mailbox) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let (host, pattern) = (filter.host.as_ref().map(octets), filter.glob.as_ref().map(octets));
    match way {
        Way::Admin(admin) => {
            let target = Target::new("/v1/mailboxes")
                .with_some("server", host)
                .with_some("state", filter.state.map(State::word))
                .with_some("glob", pattern);
            admin.lines(&target, each)
        }
        Way::Wire(wire) => wire.list(host.as_deref(), |mailbox| {
            let state = match mailbox.state {
                MailboxState::Reserved => State::Reserved,
                MailboxState::Active | MailboxState::Deleted => State::Active,
            };
            let wanted = filter.state.is_none_or(|wanted| wanted == state)
                && pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, mailbox.mailbox.as_bytes()));
            if wanted { each(mailbox) } else { Ok(()) }
        }),
    }
}

/// The server that a mailbox is at.
pub fn server(mailbox: &Mailbox) -> &[u8] {
    mailbox.location.as_ref().map_or(b"", |location| Location::server_of(location.as_bytes()))
}

/// The partition that it is in, empty where none was said.
pub fn partition(mailbox: &Mailbox) -> &[u8] {
    let location = mailbox.location.as_ref().map_or(&b""[..], Text::as_bytes);
    location.get(server(mailbox).len() + 1..).unwrap_or_default()
}

/// A state in a word.
pub fn word(state: MailboxState) -> &'static str {
    match state {
        MailboxState::Active => "active",
        MailboxState::Reserved => "reserved",
        MailboxState::Deleted => "deleted",
    }
}

/// An ACL for people: users and their rights, which are separated by TABs on the wire.
pub fn acl(acl: Option<&Text>) -> String {
    let Some(acl) = acl else { return "-".into() };
    let words: Vec<_> = acl.as_bytes().split(|octet| *octet == b'\t').map(escaped).collect();
    words
        .chunks(2)
        .filter(|pair| pair.iter().any(|word| !word.is_empty()))
        .map(|pair| pair.join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acls_and_locations_are_taken_apart() {
        assert_eq!(acl(Some(&"alice\tlrs\tanyone\tp\t".into())), "alice lrs, anyone p");
        assert_eq!(acl(Some(&"odd".into())), "odd");
        let at = |location: Option<&str>| Mailbox {
            mailbox: "user.a".into(),
            state: MailboxState::Active,
            location: location.map(Text::from),
            acl: None,
            revision: None,
        };
        for (location, expected) in
            [(Some("s!p"), ("s", "p")), (Some("s!"), ("s", "")), (Some("s"), ("s", "")), (None, ("", ""))]
        {
            let mailbox = at(location);
            assert_eq!(
                (server(&mailbox), partition(&mailbox)),
                (expected.0.as_bytes(), expected.1.as_bytes())
            );
        }
    }
}
