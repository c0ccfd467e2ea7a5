//! What the log is told of a connection.

use mupdate_core::server::{Note, Reason};
use tracing::{debug, info, warn};

use super::{Closed, End, Linger, Link};

impl Link {
    pub(super) fn layer_failed(&mut self, error: &dyn std::error::Error) {
        self.log_failure(error);
        self.requests.counts().ended(Closed::Layer);
        self.end = Some(End::Layer);
    }

    pub(super) fn log_failure(&self, error: &dyn std::error::Error) {
        info!(connection = self.place.number(), peer = %self.requests.peer(), user = self.session.principal(),
              %error, "closed");
    }

    pub(super) fn log_end(&self, reason: &Reason) {
        let (connection, peer, user) = (self.place.number(), self.requests.peer(), self.session.principal());
        self.requests.counts().ended(reason.into());
        if user.is_none() {
            self.requests.left();
        }
        match reason {
            Reason::Logout | Reason::EndOfInput => debug!(connection, %peer, user, ?reason, "closed"),
            Reason::Protocol(text) => {
                info!(connection, %peer, user, reason = text, "closed: input over its limits")
            }
            Reason::Injected(layer) => {
                warn!(connection, %peer, ?layer, "closed: octets were sent ahead of a layer")
            }
            Reason::TimedOut(text) => info!(connection, %peer, user, reason = text, "closed"),
            Reason::LoginsFailed => warn!(connection, %peer, "closed: too many failed logins"),
            Reason::Bye(text) => debug!(connection, %peer, user, reason = text, "closed by us"),
        }
    }

    /// An administrator wants the connection to end. A peer that takes nothing is not waited for much longer.
    pub(super) fn dismissed(&mut self) {
        info!(connection = self.place.number(), peer = %self.requests.peer(), user = self.session.principal(),
              "closed by an administrator");
        self.session.shutdown("closed by an administrator");
        self.stall = self.stall.min(Linger::TIME);
    }

    pub(super) fn note(&mut self, note: Note) {
        let (connection, peer, user) = (self.place.number(), self.requests.peer(), self.session.principal());
        match &note {
            Note::TooLong(limit) => info!(connection, %peer, user, ?limit, "refused: input over its limit"),
            Note::Guarded { server, mailbox } => {
                debug!(connection, %peer, %server, %mailbox, "a mailbox was hidden from ctl_mboxlist -m");
            }
            Note::Learned { .. } | Note::Synced(_) => {}
        }
        self.requests.note(note);
    }
}
