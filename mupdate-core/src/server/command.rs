//! From a message to the request that answers it.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use mupdate_proto::{Command, Frame, LimitKind, MailboxName, Response, ServerName, Status, Tag, Verb};

use super::{
    CommandKind, Job, Layer, Note, Reason, Request, Scope, ServerSession, Task, answer,
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
                self.too_long(CommandKind::Authenticate, Some(&tag), limit, out);
                self.task = Task::Cancel;
            }
            (Frame::TooLong { tag, limit }, _) => {
                self.too_long(CommandKind::Malformed, tag.as_ref(), limit, out);
            }
            (Frame::Message(message), Task::SaslLine(tag)) => self.sasl_line(tag, &message, out),
            (Frame::Message(message), _) => match Command::parse(message) {
                Ok(command) => self.command(command, out),
                Err(malformed) => {
                    self.config.answers.add(CommandKind::Malformed, malformed.status());
                    answer::malformed(out, &malformed);
                }
            },
        }
    }

    fn too_long(&mut self, kind: CommandKind, tag: Option<&Tag>, limit: LimitKind, out: &mut BytesMut) {
        self.config.answers.add(kind, Status::Bad);
        self.notes.push(Note::TooLong(limit));
        answer::status(out, tag, Status::Bad, &limit.to_string());
    }

    /// What a command makes the session do now.
    pub(super) fn meaning(&self, verb: Verb) -> Move {
        match answer::over_limit(&verb, &self.config) {
            Some(text) => Move::No(text),
            None => transition(self.phase, verb, &self.config, &self.facts),
        }
    }

    fn command(&mut self, Command { tag, verb }: Command, out: &mut BytesMut) {
        let kind = CommandKind::from(&verb);
        match self.meaning(verb) {
            Move::Bad(text) => self.say(kind, &tag, Status::Bad, text, out),
            Move::No(text) => self.say(kind, &tag, Status::No, text, out),
            Move::Authenticate { mechanism, initial } => {
                self.authenticate(tag, &mechanism, initial.as_deref(), out);
            }
            Move::StartTls => {
                self.say(kind, &tag, Status::Ok, "Begin TLS negotiation now", out);
                self.task = Task::Upgrade(Layer::Tls);
            }
            Move::Compress => {
                self.say(kind, &tag, Status::Ok, "DEFLATE active", out);
                self.task = Task::Upgrade(Layer::Deflate);
            }
            Move::Logout => {
                self.say(kind, &tag, Status::Ok, "bye-bye", out);
                self.task = Task::Closed(Reason::Logout);
            }
            Move::Done => self.say(kind, &tag, Status::Ok, "Noop done", out),
            Move::Barrier => {
                if let Some(revision) = self.stream.as_mut().and_then(Stream::noop) {
                    self.notes.push(Note::Synced(revision));
                }
                self.task = Task::Ask(Job::Barrier { tag }, Request::Barrier);
            }
            Move::Write(action) => self.write(tag, action),
            Move::Find(mailbox) => self.find(tag, mailbox),
            Move::List(prefix) => self.list(tag, prefix),
            Move::Update(servers) => self.update(tag, servers),
        }
    }

    /// A change for the writer. An activation also tells of its client's order.
    pub(super) fn write(&mut self, tag: Tag, action: Action) {
        if let Action::Activate { mailbox, .. } = &action {
            self.guard.saw(mailbox);
        }
        self.task = Task::Submit(tag, action);
    }

    fn find(&mut self, tag: Tag, mailbox: MailboxName) {
        self.guard.saw(&mailbox);
        self.task = Task::Ask(Job::Find { tag }, Request::Find(mailbox));
    }

    fn list(&mut self, tag: Tag, prefix: Option<Bytes>) {
        self.notes.extend(self.guard.listed(prefix.as_deref()));
        let scope = prefix.map_or(Scope::All, Scope::Prefix);
        self.task = Task::Ask(Job::List { tag }, Request::Walk(scope));
    }

    fn update(&mut self, tag: Tag, servers: Vec<ServerName>) {
        let (scope, filter) = if servers.is_empty() {
            (Scope::All, Filter::All)
        } else {
            let servers: BTreeSet<_> = servers.into_iter().collect();
            (Scope::Servers(servers.clone()), Filter::Servers(servers))
        };
        self.stream = Some(Stream::new(tag));
        self.task = Task::Ask(Job::Subscribe { scope }, Request::Subscribe(filter));
    }
}
