//! The UPDATE stream of a session: what was given, what the peer proved to have, and when to speak.

use std::time::{Duration, Instant};

use mupdate_proto::Tag;

use crate::directory::Revision;

/// An UPDATE stream.
///
/// - Nothing is sent between the OK of UPDATE and the end of the hold, unless the peer asks with NOOP:
///   a frontend that reads changes together with that OK lets them lie until more arrives.
/// - `confirmed` only grows when the peer has sent a NOOP after it read the OK of an earlier one, which proves
///   that it has processed everything before that OK.
#[derive(Debug)]
pub(super) struct Stream {
    /// UPDATE's tag, which all its lines carry.
    pub tag: Tag,
    /// The feed may hold something.
    pub dirty: bool,
    hold: Hold,
    /// Every change up to here has been written.
    given: Revision,
    /// Every change up to here was written before the OK of the last NOOP.
    answered: Option<Revision>,
    /// What was reported last.
    confirmed: Revision,
}

#[derive(Debug, PartialEq, Eq)]
enum Hold {
    /// The OK is not flushed yet.
    Flushing,
    Until(Instant),
    Over,
}

impl Stream {
    pub fn new(tag: Tag) -> Self {
        Self { tag, dirty: false, hold: Hold::Flushing, given: 0, answered: None, confirmed: 0 }
    }

    /// The dump and what waits in the feed make up the directory at this revision; the feed has to be drained.
    pub fn dumped(&mut self, revision: Revision) {
        self.given = revision;
        self.dirty = true;
    }

    /// Poll was called with everything flushed.
    pub fn flushed(&mut self, now: Instant, hold: Duration) {
        if self.hold == Hold::Flushing {
            self.hold = if hold.is_zero() { Hold::Over } else { Hold::Until(now + hold) };
        }
    }

    /// May changes go out unasked?
    pub fn may_push(&self) -> bool {
        self.hold == Hold::Over
    }

    /// When the hold ends.
    pub fn deadline(&self) -> Option<Instant> {
        match self.hold {
            Hold::Until(at) => Some(at),
            Hold::Flushing | Hold::Over => None,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.hold = Hold::Over;
        }
    }

    /// A NOOP came: the peer has read the OK of UPDATE and of the NOOP before this one.
    /// Returns the revision that this proves, if it proves more than was known.
    pub fn noop(&mut self) -> Option<Revision> {
        self.hold = Hold::Over;
        let proven = self.answered.filter(|&revision| revision > self.confirmed)?;
        self.confirmed = proven;
        Some(proven)
    }

    /// The feed was emptied, which brings the peer to this revision.
    pub fn drained(&mut self, revision: Revision) {
        self.given = self.given.max(revision);
    }

    /// The OK of a NOOP was written.
    pub fn noop_answered(&mut self) {
        self.answered = Some(self.given);
    }
}
