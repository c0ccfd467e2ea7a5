//! What follows from the answer to a request.

use bytes::BytesMut;
use mupdate_proto::{Status, Tag};

use super::{CommandKind, Finish, Job, Reason, Reply, Request, ServerSession, Task, Ticket, state::Phase};
use crate::directory::Revision;

impl ServerSession {
    /// What follows from an answer.
    pub(super) fn answered(&mut self, out: &mut BytesMut) {
        let Task::Answered(job, reply) = std::mem::replace(&mut self.task, Task::Idle) else { return };
        match (job, reply) {
            (Job::Login { tag }, Reply::Auth(reply)) => self.auth_reply(tag, reply, out),
            (Job::Subscribe { scope }, Reply::Subscribed) => {
                self.task = Task::Ask(Job::Dump, Request::Walk(scope));
            }
            (Job::Reannounce, Reply::Reannounced { revision }) => {
                if let Some(stream) = &mut self.stream {
                    stream.dumped(revision);
                    let tag = stream.tag.clone();
                    self.say(CommandKind::Update, &tag, Status::Ok, "streaming starts", out);
                    self.phase = Phase::Streaming;
                }
            }
            (Job::Barrier { tag }, Reply::Barrier { position }) => {
                self.drain(Some((tag, position)));
            }
            (job, Reply::Failed(text)) => self.failed(&job, &text, out),
            (job, reply) => {
                self.failed(&job, "internal error", out);
                debug_assert!(false, "{reply:?} is no answer to {job:?}");
            }
        }
    }

    /// A request could not be done.
    fn failed(&mut self, job: &Job, text: &str, out: &mut BytesMut) {
        let tag = match job {
            Job::Login { tag }
            | Job::Find { tag }
            | Job::List { tag }
            | Job::Barrier { tag }
            | Job::Drain { noop: Some((tag, _)) } => Some(tag.clone()),
            Job::Subscribe { .. } | Job::Dump | Job::Reannounce => {
                self.stream.take().map(|stream| stream.tag)
            }
            Job::Drain { noop: None } => {
                self.farewell = Some(Reason::Bye(text.to_owned()));
                None
            }
        };
        if let Some(tag) = tag {
            self.say(job.command(), &tag, Status::No, text, out);
        }
    }

    /// The rows have ended.
    pub(super) fn finish(&mut self, ticket: Ticket, how: Finish, out: &mut BytesMut) {
        let Some(job) = self.finished(ticket) else { return };
        match (job, how) {
            (job @ (Job::List { .. } | Job::Dump), Finish::More) => self.task = Task::Ask(job, Request::More),
            (Job::Find { tag }, _) => {
                self.say(CommandKind::Find, &tag, Status::Ok, "Search completed", out);
            }
            (Job::List { tag }, _) => self.say(CommandKind::List, &tag, Status::Ok, "list complete", out),
            (Job::Dump, _) => self.task = Task::Ask(Job::Reannounce, Request::Reannounce),
            (Job::Drain { noop }, Finish::Drained { position, more, revision }) => {
                self.drained(noop, position, more, revision, out);
            }
            (job, how) => {
                self.failed(&job, "internal error", out);
                debug_assert!(false, "{how:?} does not end {job:?}");
            }
        }
    }

    /// A drain has ended. A NOOP is answered once everything that was in the feed at its barrier has been given;
    /// what came later may not keep it waiting.
    fn drained(
        &mut self,
        noop: Option<(Tag, u64)>,
        position: u64,
        more: bool,
        revision: Revision,
        out: &mut BytesMut,
    ) {
        let Some(stream) = &mut self.stream else { return };
        if more {
            stream.dirty = true;
        } else {
            stream.drained(revision);
        }
        match noop {
            Some((tag, wanted)) if more && position < wanted => {
                self.drain(Some((tag, wanted)));
            }
            Some((tag, _)) => {
                stream.noop_answered();
                self.say(CommandKind::Noop, &tag, Status::Ok, "Noop done", out);
            }
            None => {}
        }
    }
}
