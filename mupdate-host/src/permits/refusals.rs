//! The last refusals, for operators who look: a few, and of each no more than fits into a line.

use std::collections::VecDeque;

use mupdate_core::directory::Refusal;
use mupdate_proto::MailboxName;

use crate::admin::api::Deed;
use crate::clock::now_millis;
use crate::shorten;
use crate::sync::{Mutex, lock};

/// Refusals that are kept.
const KEPT: usize = 64;

/// Octets that are kept of a name and of an address.
const NAME: usize = 256;

/// Octets that are kept of a reason, in which there may be names.
const REASON: usize = 512;

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// Who asked.
    pub user: String,
    /// Where from.
    pub peer: String,
    /// What was to be done to which name; `None` is reading.
    pub change: Option<(Deed, Vec<u8>)>,
    /// What was answered.
    pub reason: String,
}

impl Refused {
    /// Just now.
    pub fn now(user: &str, peer: &str, change: Option<(Deed, &MailboxName)>, refusal: &Refusal) -> Self {
        let name = |mailbox: &MailboxName| shorten::octets(mailbox.as_bytes(), NAME).into_owned();
        Self {
            at_ms: now_millis(),
            user: shorten::text(user, NAME).into_owned(),
            peer: shorten::text(peer, NAME).into_owned(),
            change: change.map(|(deed, mailbox)| (deed, name(mailbox))),
            reason: shorten::text(&refusal.to_string(), REASON).into_owned(),
        }
    }
}

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<VecDeque<Refused>>);

impl Refusals {
    pub fn keep(&self, refused: Refused) {
        let mut last = lock(&self.0);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(refused);
    }

    /// Newest first.
    pub fn last(&self, most: usize) -> Vec<Refused> {
        lock(&self.0).iter().rev().take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use mupdate_proto::Location;

    use super::*;

    #[test]
    fn the_last_are_kept_and_of_each_so_much() {
        let refusals = Refusals::default();
        let held_by = Location::new(format!("{}!p", "ü".repeat(30_000))).expect("legal");
        let refusal = Refusal::AlreadyExists { held_by };
        let long = MailboxName::new(vec![b'm'; 60_000]).expect("legal");
        for number in 0..2 * KEPT {
            let change = Some((Deed::Reserve, &long));
            refusals.keep(Refused::now(&format!("be{number}"), &"p".repeat(9000), change, &refusal));
        }
        let last = refusals.last(usize::MAX);
        assert_eq!((last.len(), last[0].user.as_str()), (KEPT, format!("be{}", 2 * KEPT - 1).as_str()));
        assert_eq!(refusals.last(1), last[..1]);
        let Refused { peer, change, reason, .. } = &last[0];
        assert_eq!(*peer, format!("{}…", "p".repeat(NAME)));
        assert!(reason.len() <= REASON + 3 && reason.ends_with("ü…"), "{reason}");
        let mailbox = format!("{}…", "m".repeat(NAME));
        assert_eq!(*change, Some((Deed::Reserve, mailbox.into_bytes())));
    }
}
