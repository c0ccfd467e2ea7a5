//! Changes of one session that are under way together.
//!
//! A backend that sends many changes without waiting for answers (a tool that fills a directory; every client of ours) would
//! otherwise pay for a commit each. The writer carries out what one session submits in its sequence, so only the
//! answers have to be kept in order, and everything that is no change waits until all before it are answered: a session sees its
//! own changes.

use std::collections::VecDeque;

use bytes::BytesMut;
use mupdate_proto::{Command, Frame, Status, Tag};

use super::{CommandKind, Reply, ServerSession, Ticket, state::Move};
use crate::directory::Action;

/// Changes of a session that are under way at a time: what makes a batch worth its commit.
const MANY: usize = 64;

/// Octets of names, locations and ACLs that they have, but for the last: long ACLs do not pile up in the writer's queue.
const OCTETS: usize = 64 * 1024;

/// The changes that are submitted and not answered to the peer yet, in their sequence.
#[derive(Debug, Default)]
pub(super) struct Writes {
    open: VecDeque<Write>,
    octets: usize,
}

#[derive(Debug)]
struct Write {
    kind: CommandKind,
    tag: Tag,
    ticket: Ticket,
    octets: usize,
    /// What the writer said, while one before it is without answer.
    reply: Option<Reply>,
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// No more may join them.
    pub fn are_many(&self) -> bool {
        self.open.len() >= MANY || self.octets >= OCTETS
    }

    /// One more is under way.
    pub fn submitted(&mut self, tag: Tag, ticket: Ticket, action: &Action) {
        let octets = action.octets();
        self.octets += octets;
        self.open.push_back(Write { kind: action.into(), tag, ticket, octets, reply: None });
    }

    /// Takes an answer to one of them; gives back what answers none. Of two answers the first counts.
    pub fn answer(&mut self, ticket: Ticket, reply: Reply) -> Option<Reply> {
        let Ok(at) = self.open.binary_search_by_key(&ticket, |write| write.ticket) else {
            return Some(reply);
        };
        self.open[at].reply.get_or_insert(reply);
        None
    }

    /// The oldest, once it is answered.
    pub fn answered(&mut self) -> Option<(CommandKind, Tag, Reply)> {
        let reply = self.open.front_mut()?.reply.take()?;
        let Write { kind, tag, octets, .. } = self.open.pop_front()?;
        self.octets -= octets;
        Some((kind, tag, reply))
    }
}

impl ServerSession {
    /// A message behind changes that are under way: a change joins them, anything else has to wait.
    pub(super) fn join(&mut self, frame: Frame) {
        let command = match &frame {
            Frame::Message(message) => Command::parse(message.clone()).ok(),
            Frame::GoAhead | Frame::TooLong { .. } => None,
        };
        match command.map(|Command { tag, verb }| (tag, self.meaning(verb))) {
            Some((tag, Move::Write(action))) => self.write(tag, action),
            _ => self.behind = Some(frame),
        }
    }

    /// A change is answered.
    pub(super) fn written(&mut self, kind: CommandKind, tag: &Tag, reply: Reply, out: &mut BytesMut) {
        match reply {
            Reply::Submitted(Ok(())) => self.say(kind, tag, Status::Ok, "done", out),
            Reply::Submitted(Err(refusal)) => self.say(kind, tag, Status::No, &refusal.to_string(), out),
            Reply::Failed(text) => self.say(kind, tag, Status::No, &text, out),
            reply => {
                self.say(kind, tag, Status::No, "internal error", out);
                debug_assert!(false, "{reply:?} is no answer to a change");
            }
        }
    }
}
