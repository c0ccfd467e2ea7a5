//! The server's side of one connection, without its socket.
//!
//! ```text
//!   octets ──receive──▶ ┌───────────────┐ ──poll──▶ Output: what the runtime has to do
//!                       │ ServerSession │
//!   answers ──reply───▶ │               │ ──▶ out: octets for the peer
//!            └─rows───▶ └───────────────┘
//! ```
//!
//! The runtime polls until [`Output::Blocked`] or [`Output::Closed`], moves octets, and polls again. Commands are
//! answered in the order in which they came: while one waits for the world, those behind it wait in the framer, except
//! that changes behind changes are under way together (`writes`).
//! What a command means when is the table of [`state`](self); the stream of UPDATE is in `stream`, the defence of
//! `ctl_mboxlist -m` in `guard`.

mod answer;
mod answers;
mod command;
mod config;
mod follow;
mod guard;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod output;
mod pace;
mod rows;
mod sasl;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod writes;

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
use mupdate_proto::{Frame, FrameError, Framer, Role, Tag};

pub use self::{
    answers::{Answered, Answers, CommandKind},
    config::{LayerFacts, ServerConfig},
    output::{
        AuthReply, AuthStep, Finish, Layer, Note, On, Output, Reason, Reply, Request, Row, Scope, Ticket,
    },
    rows::Rows,
};
use self::{guard::Guard, pace::Pace, sasl::Penalty, state::Phase, stream::Stream, writes::Writes};
use crate::directory::Action;

/// Octets of commands that are read ahead while an answer is awaited. It lets a pipelining peer keep a session busy
/// and a closed connection be noticed; beyond it the peer feels back-pressure.
const READ_AHEAD: usize = 64 * 1024;

/// One connection's session.
///
/// - At most one request is outstanding, or several changes; each names its ticket: a stale or repeated answer is ignored.
/// - Every command gets exactly one tagged answer, in order, unless the connection ends first.
/// - Memory is bounded by the limits, the read-ahead and the high-water mark, whatever the peer does.
/// - After [`Output::Closed`] nothing more is written and nothing more is asked for.
/// - No input makes it panic.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    facts: LayerFacts,
    framer: Framer,
    phase: Phase,
    task: Task,
    next_ticket: u64,
    /// The banner is due: at the start, and again when TLS is in place.
    greet: bool,
    eof: bool,
    /// The peer hears nothing any more.
    gone: bool,
    /// The last poll was blocked for want of input.
    hungry: bool,
    /// Commands that have come.
    commands: u64,
    principal: Option<String>,
    failures: u32,
    /// Whether a command may be taken.
    pace: Pace,
    /// No command by then ends the session; unset as soon as there was one.
    speak_by: Option<Instant>,
    /// No login by then ends the session.
    login_by: Instant,
    /// When the session began to wait for a command.
    idle_since: Option<Instant>,
    stream: Option<Stream>,
    /// The changes that are under way.
    writes: Writes,
    /// What came behind them and is none.
    behind: Option<Frame>,
    guard: Guard,
    /// Notes not yet fetched by `poll`.
    notes: Vec<Note>,
    /// The text of a `* BYE` that is due as soon as what is in flight is answered.
    farewell: Option<Reason>,
}

/// What the session is in the middle of.
#[derive(Debug)]
enum Task {
    /// Nothing: take the next frame.
    Idle,
    /// A line of a SASL exchange is awaited from the peer.
    SaslLine(Tag),
    /// A SASL exchange is to be forgotten: said at the next poll, and nothing comes back.
    Cancel,
    /// A failed login's answer is held back.
    Penalty(Penalty),
    /// To be asked at the next poll.
    Ask(Job, Request),
    /// A change, to be submitted at the next poll.
    Submit(Tag, Action),
    /// Asked.
    Asked(Job, Ticket),
    /// Answered; what follows is done at the next poll.
    Answered(Job, Reply),
    /// The OK is to be flushed, then the layer comes.
    Upgrade(Layer),
    /// The layer is being put in place.
    Upgrading(Layer),
    /// Over.
    Closed(Reason),
}

/// What an outstanding request is for.
#[derive(Debug, Clone)]
enum Job {
    Login {
        tag: Tag,
    },
    Find {
        tag: Tag,
    },
    List {
        tag: Tag,
    },
    /// UPDATE's steps; the tag is the stream's.
    Subscribe {
        scope: Scope,
    },
    Dump,
    Reannounce,
    /// NOOP on a stream: waiting for the writer, then draining up to the position.
    Barrier {
        tag: Tag,
    },
    Drain {
        noop: Option<(Tag, u64)>,
    },
}

impl ServerSession {
    /// A session for a fresh connection. The banner goes out at the first poll.
    pub fn new(config: Arc<ServerConfig>, facts: LayerFacts, now: Instant) -> Self {
        Self {
            framer: Framer::new(config.limits),
            speak_by: Some(now + config.first_command_within),
            login_by: now + config.login_within,
            config,
            facts,
            phase: Phase::Login,
            task: Task::Idle,
            next_ticket: 0,
            greet: true,
            eof: false,
            gone: false,
            hungry: false,
            commands: 0,
            principal: None,
            failures: 0,
            pace: Pace::default(),
            idle_since: None,
            stream: None,
            writes: Writes::default(),
            behind: None,
            guard: Guard::default(),
            notes: Vec::new(),
            farewell: None,
        }
    }

    /// A session for a connection that begins with TLS, as if it had just answered STARTTLS: the banner waits for
    /// [`resume`](Self::resume).
    pub fn behind_tls(config: Arc<ServerConfig>, facts: LayerFacts, now: Instant) -> Self {
        Self { greet: false, task: Task::Upgrading(Layer::Tls), ..Self::new(config, facts, now) }
    }

    /// Octets from the peer.
    pub fn receive(&mut self, octets: &[u8], _now: Instant) {
        if !matches!(self.task, Task::Closed(_)) {
            self.framer.push(octets);
            self.hungry = false;
            self.idle_since = None;
        }
    }

    /// The peer has closed its side. Commands already received are still carried out.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// The peer is gone and hears nothing any more. Changes that it had sent are still carried out; nothing else is,
    /// since nobody reads the answer: a dead peer's pipeline of LISTs must not keep a processor busy.
    pub fn abandon(&mut self) {
        self.eof = true;
        self.gone = true;
    }

    /// Should the socket be read now? `false` is back-pressure, or the moment in which a layer changes.
    pub fn wants_input(&self) -> bool {
        match self.task {
            _ if self.eof => false,
            Task::Upgrade(_) | Task::Upgrading(_) | Task::Closed(_) => false,
            _ => self.hungry || self.framer.buffered() < READ_AHEAD,
        }
    }

    /// Who logged in.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// How many commands have come, good ones and others; a login is one, however many lines it has.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Is this an UPDATE stream?
    pub fn streaming(&self) -> bool {
        self.phase == Phase::Streaming
    }

    /// The feed holds something.
    pub fn changed(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.dirty = true;
        }
    }

    /// The layer asked for by [`Output::Upgrade`] is in place. After TLS the banner comes again.
    pub fn resume(&mut self, facts: LayerFacts, now: Instant) {
        if let Task::Upgrading(layer) = self.task {
            self.facts = facts;
            self.task = Task::Idle;
            if layer == Layer::Tls {
                self.greet = true;
                self.speak_by = Some(now + self.config.first_command_within);
                self.login_by = now + self.config.login_within;
            }
        }
    }

    /// The server has become the master, or a replica of another. Commands that come from now on are answered as such.
    pub fn set_role(&mut self, role: &Role) {
        if self.config.role != *role {
            Arc::make_mut(&mut self.config).role = role.clone();
        }
    }

    /// End the session with `* BYE "text"` as soon as the request in flight is answered.
    pub fn shutdown(&mut self, text: &str) {
        self.farewell.get_or_insert_with(|| Reason::Bye(text.to_owned()));
    }

    /// Go on as far as possible; octets for the peer are appended to `out`.
    pub fn poll(&mut self, out: &mut BytesMut, now: Instant) -> Output {
        loop {
            if self.greet {
                self.greet = false;
                self.banner(out);
            }
            if out.is_empty()
                && let Some(stream) = &mut self.stream
                && self.phase == Phase::Streaming
            {
                stream.flushed(now, self.config.hold);
            }
            if let Some(output) = self.step(out, now) {
                return output;
            }
        }
    }

    /// One step; `None` means that there is more to do at once.
    fn step(&mut self, out: &mut BytesMut, now: Instant) -> Option<Output> {
        if matches!(self.task, Task::Closed(_))
            && let Some(note) = self.guard.learned()
        {
            self.notes.push(note);
        }
        if let Some(note) = self.notes.pop() {
            return Some(Output::Note(note));
        }
        match &mut self.task {
            Task::Closed(reason) => return Some(Output::Closed(reason.clone())),
            Task::Asked(..) | Task::Upgrading(Layer::Deflate) => return Some(Output::Blocked(On::Reply)),
            Task::Upgrading(Layer::Tls) => return self.await_handshake(),
            Task::Upgrade(layer) => {
                let layer = *layer;
                return self.upgrade(layer, out);
            }
            Task::Answered(..) => {
                self.answered(out);
                return None;
            }
            Task::Ask(..)
            | Task::Submit(..)
            | Task::Cancel
            | Task::Penalty(_)
            | Task::Idle
            | Task::SaslLine(_) => {}
        }
        if let Some((kind, tag, reply)) = self.writes.answered() {
            self.written(kind, &tag, reply, out);
            return None;
        }
        if self.farewell.is_some() {
            if !self.writes.is_empty() {
                return Some(Output::Blocked(On::Reply));
            }
            self.say_bye(out);
            return None;
        }
        if out.len() >= self.config.high_water {
            return Some(Output::Blocked(On::Flush));
        }
        match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Ask(..) if self.gone => None,
            Task::Ask(job, request) => {
                let ticket = self.ticket();
                self.task = Task::Asked(job, ticket);
                Some(Output::Request(ticket, request))
            }
            Task::Submit(tag, action) => {
                let ticket = self.ticket();
                self.writes.submitted(tag, ticket, &action);
                Some(Output::Request(ticket, Request::Submit(action)))
            }
            Task::Cancel => Some(Output::Request(self.ticket(), Request::Authenticate(AuthStep::Cancel))),
            Task::Penalty(penalty) => self.serve_penalty(penalty, out, now),
            // Idle, or within a SASL exchange: all others have been seen to.
            waiting => {
                self.task = waiting;
                self.take_frame(out, now)
            }
        }
    }

    /// A ticket that was not given before.
    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// The layer comes only when its OK has left, and only if nothing was sent ahead of it.
    fn upgrade(&mut self, layer: Layer, out: &BytesMut) -> Option<Output> {
        if self.framer.buffered() > 0 {
            self.task = Task::Closed(Reason::Injected(layer));
            return None;
        }
        if !out.is_empty() {
            return Some(Output::Blocked(On::Flush));
        }
        self.task = Task::Upgrading(layer);
        Some(Output::Upgrade(layer))
    }

    /// A handshake can be waited for in vain. Nothing can be said then: the peer expects TLS.
    fn await_handshake(&mut self) -> Option<Output> {
        let ended = self.eof.then_some(Reason::EndOfInput);
        match self.farewell.take().or(ended) {
            Some(reason) => {
                self.task = Task::Closed(reason);
                None
            }
            None => Some(Output::Blocked(On::Reply)),
        }
    }

    /// Take the next message, or say what is waited for.
    fn take_frame(&mut self, out: &mut BytesMut, now: Instant) -> Option<Output> {
        let under_way = !self.writes.is_empty();
        if under_way && (self.behind.is_some() || self.writes.are_many()) {
            return Some(Output::Blocked(On::Reply));
        }
        if self.is_held() {
            return if self.push() { None } else { Some(Output::Blocked(On::Pace)) };
        }
        match self.next_frame() {
            Ok(Some(frame)) => {
                self.taken(&frame);
                self.idle_since = None;
                self.speak_by = None;
                if under_way {
                    self.join(frame);
                } else {
                    self.take(frame, out);
                }
                None
            }
            Ok(None) if under_way && self.eof => Some(Output::Blocked(On::Reply)),
            Ok(None) if under_way => {
                self.hungry = true;
                Some(Output::Blocked(On::InputOrReply))
            }
            Ok(None) if self.eof => {
                self.task = Task::Closed(Reason::EndOfInput);
                None
            }
            Ok(None) => self.rest(now),
            Err(error) => {
                self.farewell = Some(Reason::Protocol(error.to_string()));
                None
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        match self.behind.take() {
            Some(frame) => Ok(Some(frame)),
            None => {
                let next = self.framer.next()?;
                let counts =
                    |frame: &Frame| *frame != Frame::GoAhead && !matches!(self.task, Task::SaslLine(_));
                self.commands += u64::from(next.as_ref().is_some_and(counts));
                Ok(next)
            }
        }
    }

    /// Nothing to read: push changes, or wait.
    fn rest(&mut self, now: Instant) -> Option<Output> {
        if self.push() {
            return None;
        }
        self.hungry = true;
        if self.stream.is_some() {
            return Some(Output::Blocked(On::Stream));
        }
        self.idle_since.get_or_insert(now);
        Some(Output::Blocked(On::Input))
    }

    /// A stream has changes to give that may go out.
    fn push(&mut self) -> bool {
        let due = self.stream.as_ref().is_some_and(|stream| stream.dirty && stream.may_push());
        if due {
            self.drain(None);
        }
        due
    }

    /// Ask for what the feed holds now; what is added from here on makes the stream dirty again.
    fn drain(&mut self, noop: Option<(Tag, u64)>) {
        if let Some(stream) = &mut self.stream {
            stream.dirty = false;
        }
        self.task = Task::Ask(Job::Drain { noop }, Request::Drain);
    }

    /// The answer to an outstanding request. Others are ignored.
    pub fn reply(&mut self, ticket: Ticket, reply: Reply) {
        if let Some(reply) = self.writes.answer(ticket, reply)
            && let Some(job) = self.finished(ticket)
        {
            self.task = Task::Answered(job, reply);
        }
    }

    /// The rows that answer the outstanding request go through what this returns, straight into `out`.
    pub fn rows<'a>(&'a mut self, ticket: Ticket, out: &'a mut BytesMut) -> Rows<'a> {
        let (tag, hidden) = match &self.task {
            Task::Asked(job, asked) if *asked == ticket => {
                let guarded = matches!(job, Job::Find { .. });
                (self.row_tag(job), guarded.then(|| self.guard.server()).flatten())
            }
            _ => (None, None),
        };
        Rows { session: self, ticket, out, tag, hidden }
    }

    /// The outstanding job, if the ticket is its own; the session is idle then.
    fn finished(&mut self, ticket: Ticket) -> Option<Job> {
        match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Asked(job, asked) if asked == ticket => Some(job),
            other => {
                self.task = other;
                None
            }
        }
    }
}
