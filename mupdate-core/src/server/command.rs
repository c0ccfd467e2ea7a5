//! From a message to the request that answers it.

use std::collections::BTreeSet;

use bytes::BytesMut;
use mupdate_proto::{Command, Frame, LimitKind, Response, Status, Tag, Verb};

use super::{
    AuthStep, Job, Layer, Note, Reason, Request, Scope, ServerSession, Task, answer,
    state::{Move, transition},
    stream::Stream,
};
use crate::directory::{Action, Filter};

impl ServerSession {
    /// A message, or what the framer has to say about one.
    pub(super) fn take(&mut self, frame: Frame, out: &mut BytesMut) {
        match (frame, std::mem::replace(&mut self.task, Task::Idle)) {
            (Frame::GoAhead, task) => {
                self.task = task;
                Response::<&[u8]>::GoAhead.encode(out);
            }
            (Frame::TooLong { limit, .. }, Task::SaslLine(tag)) => {
                self.too_long(Some(&tag), limit, out);
                self.task = Task::Ask(Job::Cancel, Request::Authenticate(AuthStep::Cancel));
            }
            (Frame::TooLong { tag, limit }, _) => self.too_long(tag.as_ref(), limit, out),
            (Frame::Message(message), Task::SaslLine(tag)) => self.sasl_line(tag, &message, out),
            (Frame::Message(message), _) => match Command::parse(message) {
                Ok(command) => self.command(command, out),
                Err(malformed) => answer::malformed(out, &malformed),
            },
        }
    }

    fn too_long(&mut self, tag: Option<&Tag>, limit: LimitKind, out: &mut BytesMut) {
        self.notes.push(Note::TooLong(limit));
        answer::status(out, tag, Status::Bad, &limit.to_string());
    }

    fn command(&mut self, Command { tag, verb }: Command, out: &mut BytesMut) {
        if let Some(text) = answer::over_limit(&verb, &self.config) {
            return answer::status(out, Some(&tag), Status::No, text);
        }
        match transition(self.phase, &verb, &self.config, &self.facts) {
            Move::Bad(text) => answer::status(out, Some(&tag), Status::Bad, text),
            Move::No(text) => answer::status(out, Some(&tag), Status::No, text),
            Move::Authenticate => self.authenticate(tag, verb, out),
            Move::StartTls => {
                answer::status(out, Some(&tag), Status::Ok, "Begin TLS negotiation now");
                self.task = Task::Upgrade(Layer::Tls);
            }
            Move::Compress => {
                answer::status(out, Some(&tag), Status::Ok, "DEFLATE active");
                self.task = Task::Upgrade(Layer::Deflate);
            }
            Move::Logout => {
                answer::status(out, Some(&tag), Status::Ok, "bye-bye");
                self.task = Task::Closed(Reason::Logout);
            }
            Move::Done => answer::status(out, Some(&tag), Status::Ok, "Noop done"),
            Move::Barrier => {
                if let Some(revision) = self.stream.as_mut().and_then(Stream::noop) {
                    self.notes.push(Note::Synced(revision));
                }
                self.task = Task::Ask(Job::Barrier { tag }, Request::Barrier);
            }
            Move::Write | Move::Find | Move::List | Move::Update => self.ask(tag, verb),
        }
    }

    /// Turn a command into the request that answers it.
    fn ask(&mut self, tag: Tag, verb: Verb) {
        let (job, request) = match verb {
            Verb::Reserve { mailbox, location } => {
                (Job::Write { tag }, Request::Submit(Action::Reserve { mailbox, location }))
            }
            Verb::Activate { mailbox, location, acl } => {
                self.guard.saw(&mailbox);
                (Job::Write { tag }, Request::Submit(Action::Activate { mailbox, location, acl }))
            }
            Verb::Deactivate { mailbox, location } => {
                (Job::Write { tag }, Request::Submit(Action::Deactivate { mailbox, location }))
            }
            Verb::Delete { mailbox } => (Job::Write { tag }, Request::Submit(Action::Delete { mailbox })),
            Verb::Find { mailbox } => {
                self.guard.saw(&mailbox);
                (Job::Find { tag }, Request::Find(mailbox))
            }
            Verb::List { prefix } => {
                self.notes.extend(self.guard.listed(prefix.as_deref()));
                (Job::List { tag }, Request::Walk(prefix.map_or(Scope::All, Scope::Prefix)))
            }
            Verb::Update { servers } => {
                self.stream = Some(Stream::new(tag));
                if servers.is_empty() {
                    (Job::Subscribe { scope: Scope::All }, Request::Subscribe(Filter::All))
                } else {
                    let servers: BTreeSet<_> = servers.into_iter().collect();
                    let filter = Filter::Servers(servers.clone());
                    (Job::Subscribe { scope: Scope::Servers(servers) }, Request::Subscribe(filter))
                }
            }
            Verb::Authenticate { .. }
            | Verb::StartTls
            | Verb::Compress { .. }
            | Verb::Logout
            | Verb::Noop => return,
        };
        self.task = Task::Ask(job, request);
    }
}
