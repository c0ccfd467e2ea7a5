//! Answers made of rows: written into the output as the store yields them, nothing copied in between.

use bytes::{Bytes, BytesMut};
use mupdate_proto::{Location, MailboxName, Response, ServerName, Tag};

use super::{Finish, Job, Note, Row, ServerSession, Ticket};

/// Takes the rows that answer one request. Obtained by [`ServerSession::rows`], ended by [`Rows::finish`].
///
/// - Rows go into the output at once; the store may drop its read transaction after `finish`.
/// - `finish` must be called: a session whose rows were dropped half way waits for ever.
#[must_use = "a request that is not finished blocks its session"]
pub struct Rows<'a> {
    pub(super) session: &'a mut ServerSession,
    pub(super) ticket: Ticket,
    pub(super) out: &'a mut BytesMut,
    /// Whose answer this is; none if the ticket was stale, and then nothing is written.
    pub(super) tag: Option<Tag>,
    /// The server whose mailboxes this FIND must not show (the LIST guard).
    pub(super) hidden: Option<ServerName>,
}

impl Rows<'_> {
    /// The page is full: stop, and finish with [`Finish::More`] (or `more` of a drain).
    pub fn full(&self) -> bool {
        self.out.len() >= self.session.config.high_water
    }

    /// A mailbox or reservation.
    pub fn row(&mut self, row: Row<'_>) {
        if self.guarded(&row) {
            return;
        }
        let Some(tag) = &self.tag else { return };
        let (tag, name, location) = (tag.as_bytes(), row.name, row.location);
        match row.acl {
            Some(acl) => Response::Mailbox { tag, name, location, acl }.encode(self.out),
            None => Response::Reserve { tag, name, location }.encode(self.out),
        }
    }

    /// On a stream: the mailbox is no more.
    pub fn gone(&mut self, name: &[u8]) {
        if let Some(tag) = &self.tag {
            Response::Delete { tag: tag.as_bytes(), name }.encode(self.out);
        }
    }

    /// End the request.
    pub fn finish(self, how: Finish) {
        self.session.finish(self.ticket, how, self.out);
    }

    /// Does the guard hide this row? If so it is noted.
    fn guarded(&mut self, row: &Row<'_>) -> bool {
        let Some(server) = &self.hidden else { return false };
        let hide = Location::server_of(row.location) == server.as_bytes();
        if hide && let Ok(mailbox) = MailboxName::new(Bytes::copy_from_slice(row.name)) {
            self.session.notes.push(Note::Guarded { server: server.clone(), mailbox });
        }
        hide
    }
}

impl ServerSession {
    /// Whose tag the rows of a job carry: the command's own, or the stream's.
    pub(super) fn row_tag(&self, job: &Job) -> Option<Tag> {
        match job {
            Job::Find { tag } | Job::List { tag } => Some(tag.clone()),
            _ => self.stream.as_ref().map(|stream| stream.tag.clone()),
        }
    }
}
