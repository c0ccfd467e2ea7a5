//! Names and actions for tests, from what they look like on the wire.

use mupdate_core::directory::Action;
use mupdate_proto::{Acl, Location, MailboxName};

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::new(text.to_owned()).expect("legal")
}

pub(crate) fn location(text: &str) -> Location {
    Location::new(text.to_owned()).expect("legal")
}

pub(crate) fn reserve(mailbox: &str, at: &str) -> Action {
    Action::Reserve { mailbox: name(mailbox), location: location(at) }
}

pub(crate) fn activate(mailbox: &str, at: &str, acl: &str) -> Action {
    Action::Activate { mailbox: name(mailbox), location: location(at), acl: Acl::new(acl.to_owned()) }
}

pub(crate) fn delete(mailbox: &str) -> Action {
    Action::Delete { mailbox: name(mailbox) }
}
