//! The LIST guard, and learning a backend's order.
//!
//! `ctl_mboxlist -m` walks the answer to `LIST "server!"` beside its own database and compares by equality. At a
//! mismatch it asks FIND, and if the mailbox is on its own server it dies, or removes its local mailbox where only
//! the partition differs. So on a connection that has listed a server, FIND does not show that server's mailboxes:
//! the client then ACTIVATEs what it has, which changes nothing when nothing differs. The names that it asks for come
//! in the order of its own database, and so tell which order its next LIST has to come in.

use mupdate_proto::{MailboxName, ServerName};

use super::Note;
use crate::directory::Learner;

/// What a connection has listed, and what it asked for since.
#[derive(Debug, Default)]
pub(super) struct Guard {
    listed: Option<(ServerName, Learner)>,
}

impl Guard {
    /// LIST came. Only `server!` to the letter is what `ctl_mboxlist -m` sends. What was learned from an earlier LIST
    /// of the connection is returned.
    pub fn listed(&mut self, prefix: Option<&[u8]>) -> Option<Note> {
        let learned = self.learned();
        self.listed = prefix
            .and_then(|prefix| prefix.strip_suffix(b"!"))
            .and_then(|server| ServerName::new(server.to_vec()).ok())
            .map(|server| (server, Learner::new()));
        learned
    }

    /// The server that this connection has listed, whose mailboxes no FIND shows.
    pub fn server(&self) -> Option<ServerName> {
        self.listed.as_ref().map(|(server, _)| server.clone())
    }

    /// The client named a mailbox in FIND or ACTIVATE.
    pub fn saw(&mut self, mailbox: &MailboxName) {
        if let Some((_, learner)) = &mut self.listed {
            learner.observe(mailbox);
        }
    }

    /// What the names since LIST tell, if they tell anything; asked for once.
    pub fn learned(&mut self) -> Option<Note> {
        let (server, learner) = self.listed.take()?;
        learner.verdict().map(|order| Note::Learned { server, order })
    }
}
