//! Commands that are taken one at a time, as the runtime permits.

use mupdate_proto::Frame;

use super::ServerSession;

/// Whether a command may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pace {
    /// Any.
    #[default]
    Free,
    /// One.
    Permitted,
    /// None, until the runtime permits one.
    Held,
}

impl ServerSession {
    /// From here on each command waits for a [`permit`](Self::permit), asked for by [`On::Pace`](super::On::Pace). What
    /// was taken before, and what a stream says by itself, goes on.
    pub fn hold_commands(&mut self) {
        if self.pace == Pace::Free {
            self.pace = Pace::Held;
        }
    }

    /// One command may be taken.
    pub fn permit(&mut self) {
        if self.pace == Pace::Held {
            self.pace = Pace::Permitted;
        }
    }

    /// A command may have come, and may not be taken yet. The peer is not silent then: it is us who do not listen.
    pub(super) fn is_held(&mut self) -> bool {
        let held = self.pace == Pace::Held && self.behind.is_none() && self.framer.buffered() > 0;
        if held {
            self.idle_since = None;
        }
        held
    }

    /// A message was taken; to ask for a go-ahead is no command yet.
    pub(super) fn taken(&mut self, frame: &Frame) {
        if self.pace == Pace::Permitted && *frame != Frame::GoAhead {
            self.pace = Pace::Held;
        }
    }
}
