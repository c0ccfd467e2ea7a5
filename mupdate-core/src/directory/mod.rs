//! The directory: who owns which mailbox name.
//!
//! Everything here is a function of what it is given: no clock, no I/O, no randomness. The records themselves
//! live behind the [`View`] trait: a write transaction of the store in the daemons, a [`MemoryView`] in
//! tests.
//!
//! Invariants, each with a test that holds it:
//! - A mailbox name has at most one record, and a record has exactly one location.
//! - What is said again changes nothing: an accepted action, repeated, gives [`Change::Nothing`] and no
//!   [`Event`]. That is what lets both halves of a replicated pair tell the directory the same things, one
//!   after the other.
//! - A record changes only to one that differs from it. An event therefore always has `before != after`.
//! - A known partition is never forgotten in favour of one that was not said; a said one fills in one that
//!   was not known.
//! - What a principal may not touch stays as it is, whatever [`decide()`] would say: a backend with a role never
//!   changes an active name of a server that it does not speak for.
//! - A server that is being drained takes no new names; what it has goes on.
//! - A reservation never takes an activation, its ACL or its location away.
//! - Later actions of a [`Batch`] see what earlier ones did.
//! - Revisions grow by one with each event, and by nothing else.
//! - A verdict can't be read before its batch is durable: only [`Sealed::durable`] hands it out. A batch
//!   whose transaction was aborted hands out nothing but whom to answer NO.
//! - A list that a replica is told removes no name before it is [complete](Merging::complete).
//! - A [`Feed`] holds each name at most once, in the order of first changes, whatever its subscriber does: it
//!   is bounded by the number of names that there are.
//! - `name -> v36 key -> name` is exact for every legal name, and a key is as long as its name.

pub mod batch;
pub mod decide;
pub mod drain;
pub mod feed;
pub mod fuse;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
pub mod learner;
pub mod memory;
pub mod merge;
pub mod order;
pub mod permit;
pub mod resync;
pub mod selection;

pub use batch::{Batch, Durable, Event, Sealed, Verdict, View};
pub use decide::decide;
pub use drain::admit;
pub use feed::{Feed, Filter, News};
pub use fuse::{FuseLimits, Fuses, Held, Mass, Victim};
pub use learner::Learner;
pub use memory::MemoryView;
pub use merge::{Complete, Edit, Merging};
pub use order::{Order, v36_key, v36_name, v36_name_into};
pub use permit::{PeerRole, Roles, Speaker, hold, permit, permit_reading};
pub use resync::{KeyRange, at_risk, can_be_at_risk, domain_of, risk_ranges, stem};
pub use selection::{Selection, Sorted};

use std::fmt;
use std::str::FromStr;

use mupdate_proto::{Acl, Location, MailboxName};

/// Counts the changes of a directory: the first one made revision 1, each further one is one more.
pub type Revision = u64;

/// What the directory knows of one mailbox name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The backend that owns the name, and its partition where that has been said.
    pub location: Location,
    /// Whether the mailbox can be used yet.
    pub state: State,
}

/// How far a mailbox has come (RFC 3656, section 1: "active" and "reserved" mailboxes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The name is taken, the mailbox can't be used (yet, or while it moves).
    Reserved,
    /// The mailbox can be used; who may do what with it is the backend's affair, kept octet by octet.
    Active(Acl),
}

/// What a backend asks of the directory: the four commands that change it (RFC 3656, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take a name, before the mailbox is made.
    Reserve {
        /// The name to take.
        mailbox: MailboxName,
        /// Where the mailbox will be.
        location: Location,
    },
    /// Announce a mailbox, or that it moved here, or its new ACL.
    Activate {
        /// The name of the mailbox.
        mailbox: MailboxName,
        /// Where it is.
        location: Location,
        /// Its ACL.
        acl: Acl,
    },
    /// Fall back to a reservation: the mailbox is about to move.
    Deactivate {
        /// The name of the mailbox.
        mailbox: MailboxName,
        /// Where it will be.
        location: Location,
    },
    /// Give a name up.
    Delete {
        /// The name to give up.
        mailbox: MailboxName,
    },
}

impl Action {
    /// The mailbox that the action is about.
    pub fn mailbox(&self) -> &MailboxName {
        match self {
            Action::Reserve { mailbox, .. }
            | Action::Activate { mailbox, .. }
            | Action::Deactivate { mailbox, .. }
            | Action::Delete { mailbox } => mailbox,
        }
    }

    /// Octets of its name, location and ACL: what it costs to keep it waiting.
    pub fn octets(&self) -> usize {
        let acl = match self {
            Action::Activate { acl, .. } => acl.as_bytes().len(),
            Action::Reserve { .. } | Action::Deactivate { .. } | Action::Delete { .. } => 0,
        };
        let location = self.location().map_or(0, |location| location.as_bytes().len());
        self.mailbox().as_bytes().len() + location + acl
    }

    /// The location that the action names; a deletion names none.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Action::Reserve { location, .. }
            | Action::Activate { location, .. }
            | Action::Deactivate { location, .. } => Some(location),
            Action::Delete { .. } => None,
        }
    }
}

/// How backends share the name space. The first two are for the ordinary murder, in which each mailbox is at
/// one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// RFC 3656: an activation succeeds whatever was there before, and is recorded as a takeover.
    #[default]
    Standard,
    /// An activation over another location is refused, unless a deactivation named the new one first.
    Strict,
    /// Cyrus's `mupdate_config: unified`: every server sees the same mailboxes, so all of them reserve the
    /// same names.
    Unified,
    /// Cyrus's `mupdate_config: replicated`: every server has a copy, and reserves the same names.
    Replicated,
}

impl Policy {
    const ALL: [Policy; 4] = [Policy::Standard, Policy::Strict, Policy::Unified, Policy::Replicated];

    /// The name that configuration files use.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Standard => "standard",
            Policy::Strict => "strict",
            Policy::Unified => "unified",
            Policy::Replicated => "replicated",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownPolicy)
    }
}

/// The caller's fault: a text that names no [`Policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy is one of standard, strict, unified, replicated")
    }
}

impl std::error::Error for UnknownPolicy {}

/// What an accepted action does to the record of its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record is as the action wants it already: OK, and nobody needs to hear of it.
    Nothing,
    /// The record is new, or becomes another one.
    Put {
        /// What the directory knows from now on.
        record: Record,
        /// The active location that this activation replaces, where it is another place.
        takeover_from: Option<Location>,
    },
    /// The name is free again.
    Remove,
}

/// Why an action is refused: the peer's fault, answered with NO and the text that [`Display`](fmt::Display)
/// gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// RESERVE of a name that is taken elsewhere.
    AlreadyExists {
        /// Who has it.
        held_by: Location,
    },
    /// DEACTIVATE of a mailbox that is only reserved, and elsewhere.
    NotActive {
        /// Who has it.
        held_by: Location,
    },
    /// DEACTIVATE of a name that nobody has.
    DoesNotExist,
    /// ACTIVATE over another location, under [`Policy::Strict`].
    TakeoverRefused {
        /// Who has it.
        held_by: Location,
    },
    /// RESERVE of a new name at a server that is being drained.
    Draining {
        /// Where it was to be.
        said: Location,
    },
    /// A change of what a server has that the principal may not speak for.
    NotItsMailbox {
        /// Who has it.
        held_by: Location,
        /// Who asked.
        principal: String,
    },
    /// RESERVE or ACTIVATE at a server that the principal may not speak for.
    NotItsServer {
        /// Where it was to be.
        said: Location,
        /// Who asked.
        principal: String,
    },
    /// A change by a principal that may only read.
    ReadsOnly {
        /// Who asked.
        principal: String,
    },
    /// Anything by a principal that may do nothing.
    NoRole {
        /// Who asked.
        principal: String,
    },
    /// One more of many changes by a principal whose fuse has blown.
    Held {
        /// Which fuse.
        mass: Mass,
        /// Who asked.
        principal: String,
    },
}

impl Refusal {
    /// Whether it is for who asked, and not for what the directory knows.
    pub fn is_of_the_principal(&self) -> bool {
        match self {
            Refusal::AlreadyExists { .. }
            | Refusal::NotActive { .. }
            | Refusal::DoesNotExist
            | Refusal::Draining { .. }
            | Refusal::TakeoverRefused { .. } => false,
            Refusal::NotItsMailbox { .. }
            | Refusal::NotItsServer { .. }
            | Refusal::ReadsOnly { .. }
            | Refusal::NoRole { .. }
            | Refusal::Held { .. } => true,
        }
    }
}

impl fmt::Display for Refusal {
    /// Starts with the words of Cyrus's own server where it has some: they end up in logs that people search.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::AlreadyExists { held_by } => write!(f, "mailbox already exists, held by {held_by}"),
            Refusal::NotActive { held_by } => {
                write!(f, "mailbox not currently active, reserved by {held_by}")
            }
            Refusal::DoesNotExist => f.write_str("mailbox doesn't exist"),
            Refusal::TakeoverRefused { held_by } => {
                write!(f, "mailbox is held by {held_by}, which has not deactivated it")
            }
            Refusal::Draining { said } => {
                write!(f, "location is {said}, and that server is draining: it takes no new mailboxes")
            }
            Refusal::NotItsMailbox { held_by, principal } => {
                write!(f, "mailbox is held by {held_by}, which principal {principal} may not speak for")
            }
            Refusal::NotItsServer { said, principal } => {
                write!(f, "location is {said}, which principal {principal} may not speak for")
            }
            Refusal::ReadsOnly { principal } => {
                write!(f, "principal {principal} is a frontend and changes nothing")
            }
            Refusal::NoRole { principal } => write!(f, "principal {principal} has no role"),
            Refusal::Held { mass, principal } => write!(
                f,
                "the fuse of principal {principal} has blown: {mass} are held until an operator releases it"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_back() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("Standard".parse::<Policy>(), Err(UnknownPolicy));
        for policy in Policy::ALL {
            assert!(UnknownPolicy.to_string().contains(policy.as_str()), "what is possible is told");
        }
        assert_eq!(Policy::default(), Policy::Standard);
    }

    #[test]
    fn refusals_speak_as_cyrus_does_and_name_the_holder() {
        let held_by = Location::new("be1.example!default").expect("legal");
        let text = Refusal::AlreadyExists { held_by: held_by.clone() }.to_string();
        assert_eq!(text, "mailbox already exists, held by be1.example!default");
        let text = Refusal::NotActive { held_by: held_by.clone() }.to_string();
        assert_eq!(text, "mailbox not currently active, reserved by be1.example!default");
        assert_eq!(Refusal::DoesNotExist.to_string(), "mailbox doesn't exist");
        assert!(Refusal::TakeoverRefused { held_by }.to_string().contains("be1.example!default"));
    }
}
