//! What a participant has said, as far as pairs are concerned.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use mupdate_core::directory::{Action, Event, State};

use crate::store::draining::LONGEST;

/// An action that was answered OK.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Who has said it.
    pub user: &'a str,
    /// Where from, with its port.
    pub peer: &'a str,
    /// What.
    pub action: &'a Action,
    /// What that has changed; `None` if it was so already.
    pub event: Option<&'a Event>,
}

impl<'a> Said<'a> {
    /// The server that it is said for: that which has the name, or is to have it. A deletion that deletes nothing names
    /// none, and what is longer than any host's name is none to follow.
    pub fn server(&self) -> Option<&'a [u8]> {
        self.named().filter(|server| server.len() <= LONGEST)
    }

    fn named(&self) -> Option<&'a [u8]> {
        let before = self.event.and_then(|event| event.before.as_ref());
        match self.action {
            Action::Reserve { location, .. } | Action::Activate { location, .. } => Some(location.server()),
            // XFER names the destination; it is the source that speaks.
            Action::Deactivate { location, .. } => {
                Some(before.map_or(location.server(), |before| before.location.server()))
            }
            Action::Delete { .. } => before.map(|before| before.location.server()),
        }
    }

    /// Its address, without the port.
    pub fn address(&self) -> &'a str {
        match self.peer.rsplit_once(':') {
            Some((address, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => address,
            _ => self.peer,
        }
    }

    /// If it changes nothing: is that all that can be said of the mailbox? (RESERVE of an active one is only the beginning
    /// of the echo of its making.) What the record is, `reserved` says.
    pub fn is_all(&self, reserved: bool) -> bool {
        match self.action {
            Action::Reserve { .. } | Action::Deactivate { .. } => reserved,
            Action::Activate { .. } | Action::Delete { .. } => true,
        }
    }
}

/// Whether a change leaves a reservation.
pub(super) fn leaves_reserved(event: &Event) -> bool {
    event.after.as_ref().is_some_and(|after| after.state == State::Reserved)
}

/// Tells actions apart without keeping them. The partition counts for nothing: replicas leave it out at times.
#[derive(Debug, Default)]
pub(super) struct Prints(RandomState);

impl Prints {
    pub fn of(&self, action: &Action) -> u64 {
        let mut hasher = self.0.build_hasher();
        let (verb, acl) = match action {
            Action::Reserve { .. } => (0, None),
            Action::Activate { acl, .. } => (1, Some(acl.as_bytes())),
            Action::Deactivate { .. } => (2, None),
            Action::Delete { .. } => (3, None),
        };
        hasher.write_u8(verb);
        hasher.write(acl.unwrap_or_default());
        hasher.finish()
    }
}
