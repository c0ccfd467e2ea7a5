//! One connection between its socket and everything else.
//!
//! ```text
//!   socket ⇄ [layers: TLS, DEFLATE] ⇄ ServerSession ─┬─ reads: the store, at once (short read transactions)
//!                                                    ├─ changes, barriers: the writer ─┐
//!                                                    └─ logins: the authenticator ─────┴─▶ Inbox ─▶ wakes the connection
//! ```
//!
//! A daemon moves octets ([`pump`](Link::pump)), lets the session run ([`run`](Link::run)), and waits for what
//! [`Wait`] names. Which socket, which executor or thread, and how to wait is all that it has to know.

mod clients;
mod layers;
mod peer;
mod pump;
mod request;
mod telling;
#[cfg(test)]
mod tests;
mod traffic;
mod turns;
mod upgrade;
mod vigil;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mupdate_core::server::{LayerFacts, On, Output, Reason, ServerSession};
use tracing::{debug, info};

pub use self::{
    clients::{ClientStream, Clients},
    peer::Peer,
    pump::{Linger, Readiness},
    turns::Turns,
    vigil::Vigils,
};
use self::{
    layers::{LayerError, Layers},
    request::Requests,
    traffic::Traffic,
    turns::Turn,
    vigil::Vigil,
};
use crate::{
    connections::Place, deflate::DeflateError, inbox::Inbox, listen::Entrance, metrics::Closed,
    service::Service, tls::Tls,
};

/// Steps of a session that need no [turn](Turns) however long they take. A command takes three, and whoever sends one at a
/// time is not to wait for a turn because the system had something else to do meanwhile.
const FEW: usize = 4;

/// Steps that need none if they take no longer than [`SHORT`].
const STEPS: usize = 32;

/// How long steps without a turn may take, unless they are [`FEW`].
const SHORT: Duration = Duration::from_micros(250);

/// Pieces of input that a session is given when its peer has vanished: as much as is read ahead, and of what grows in
/// inflating as much as is reasonable.
const WAITING: usize = 64;

/// How long a turn is. A peer that pipelines keeps its own connection busy, no other.
const TURN: Duration = Duration::from_millis(2);

/// One connection.
///
/// - The session is asked to go on only while there is room for what it says, so a peer that does not read costs
///   one page of output and is not read from.
/// - No read transaction outlives [`run`](Self::run).
/// - After an end nothing more is taken in, and what was said before it is still written.
#[derive(Debug)]
pub struct Link {
    session: ServerSession,
    requests: Requests,
    turn: Turn,
    vigil: Vigil,
    inbox: Arc<Inbox>,
    place: Place,
    traffic: Traffic,
    layers: Layers,
    /// The session waits to be permitted a command.
    held: bool,
    /// What STARTTLS begins with.
    tls: Option<Arc<Tls>>,
    /// What the session says, before it goes through the layers.
    out: BytesMut,
    high_water: usize,
    /// How many times compressed input may grow.
    deflate_ratio: Option<u32>,
    stall: Duration,
    /// Since when the peer has taken none of the octets waiting for it.
    waiting_since: Option<Instant>,
    /// Something was received to which nothing was said yet.
    unanswered: bool,
    /// More was received at once than anybody sends who waits for answers.
    pours: bool,
    /// The session waits for the peer, and for nobody else.
    awaits_peer: bool,
    /// Whatever is written is lost.
    deaf: bool,
    /// The peer has closed its side, which the session learns after all that was sent before.
    eof: bool,
    end: Option<End>,
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The session is over.
    Session(Reason),
    /// The peer took nothing for too long.
    Stalled,
    /// A layer failed.
    Layer,
}

/// What to do next with a connection.
#[must_use = "a connection that is not waited for correctly hangs"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Read the socket as soon as there is something; otherwise leave it alone.
    pub read: bool,
    /// Write [`Link::output`] as soon as there is room.
    pub write: bool,
    /// Run again without waiting, after letting others run.
    pub again: bool,
    /// Run again at this time, if nothing happens before.
    pub deadline: Option<Instant>,
    /// Everything is said: close the connection.
    pub closed: Option<Closing>,
}

/// How to close a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// At once.
    Now,
    /// Close the sending side, then read and throw away until the peer closes too, but not for long: a socket closed
    /// with unread octets takes back what the peer has not read yet, such as a `* BYE`.
    Lingering,
}

impl Link {
    /// A link for a fresh connection. The banner is in the output after the first [`run`](Self::run), or after the TLS
    /// handshake where the connection begins with that.
    pub fn new(
        service: &Arc<Service>,
        place: Place,
        peer: Peer,
        entrance: Entrance,
        inbox: Arc<Inbox>,
        now: Instant,
    ) -> Self {
        let settings = service.settings();
        place.facts().begin(peer);
        place.attach(&inbox);
        debug!(connection = place.number(), %peer, "connected");
        let requests =
            Requests::new(Arc::clone(service), peer, Arc::clone(&inbox), Arc::clone(place.facts()));
        let facts = LayerFacts { starttls: settings.tls.is_some(), ..requests.facts() };
        let session = match entrance {
            Entrance::Plain => ServerSession::new,
            Entrance::Tls => ServerSession::behind_tls,
        };
        let mut link = Self {
            session: session(Arc::clone(&settings.session), facts, now),
            requests,
            turn: Turn::new(&service.turns, &inbox),
            vigil: Vigil::new(&service.vigils),
            inbox,
            place,
            traffic: Traffic::new(service),
            layers: Layers::default(),
            held: false,
            tls: settings.tls.clone(),
            out: BytesMut::new(),
            high_water: settings.session.high_water,
            deflate_ratio: settings.deflate_ratio,
            stall: settings.stall,
            waiting_since: None,
            unanswered: false,
            pours: false,
            awaits_peer: false,
            deaf: false,
            eof: false,
            end: None,
        };
        if entrance == Entrance::Tls {
            link.begin_tls();
        }
        link
    }

    /// Octets from the socket.
    pub fn received(&mut self, octets: &[u8]) {
        self.traffic.received(octets.len());
        self.unanswered = true;
        self.vigil.ended();
        if self.end.is_none() {
            self.layers.received(octets);
        }
    }

    /// The peer closed its side. What it sent before is still answered.
    pub fn end_of_input(&mut self) {
        self.eof = true;
    }

    /// The peer takes nothing any more. The changes that it has sent are still carried out: clients of Cyrus close without
    /// waiting for an answer, so this is nothing to log loudly.
    pub fn broken(&mut self, error: &io::Error) {
        debug!(connection = self.place.number(), peer = %self.requests.peer(), %error, "connection lost");
        self.deaf = true;
        // Of a session that is abandoned nothing more is wanted, so what waits goes in before, within bounds.
        for _ in 0..WAITING {
            if self.end.is_some() || !self.layers.holds_input() || !self.give(Instant::now()) {
                break;
            }
        }
        self.session.abandon();
        self.layers.wrote(&mut self.out, usize::MAX);
    }

    /// Take in what others left, let the session go on for a bounded while, and say what to wait for.
    pub fn run(&mut self, now: Instant) -> Wait {
        (self.held, self.awaits_peer) = (false, false);
        self.collect();
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        // To sort a thousand names in is long work: hundreds of other streams may have been told of the same changes.
        if self.requests.is_unsorted() && self.turn.enter() {
            self.requests.sort_in();
        }
        let mut again = !self.turn.is_waiting() && self.advance(now);
        self.requests.end_burst();
        self.place.facts().given(self.session.commands());
        if !again {
            self.turn.leave();
        }
        if let Err(error) = self.layers.seal(&mut self.out) {
            self.layer_failed(&error);
        }
        if self.end.is_some() {
            self.layers.close();
        }
        if self.deaf && !self.output().is_empty() {
            self.wrote(usize::MAX, now);
            again = true;
        }
        self.wait(again, now)
    }

    /// Empty the inbox; true if there was an answer.
    fn collect(&mut self) -> bool {
        let taken = self.inbox.take();
        let answered = !taken.replies.is_empty();
        for (ticket, reply) in taken.replies {
            self.requests.answer(&mut self.session, ticket, reply);
        }
        if taken.changed {
            self.session.changed();
        }
        if taken.turn {
            self.turn.arrived();
        }
        if taken.role {
            self.session.set_role(&self.requests.role());
        }
        if taken.dismissed {
            self.dismissed();
        }
        if taken.shutdown {
            self.session.shutdown("server is shutting down");
        }
        answered
    }

    /// Let the session go on; true if it could go on still. False also while it has to wait for its turn.
    fn advance(&mut self, now: Instant) -> bool {
        let started = Instant::now();
        let mut yielded = started;
        for steps in 0.. {
            if self.end.is_some() || !self.layers.flushed() {
                return false;
            }
            if self.turn.is_in() {
                // Threads with short work may be waiting for this processor, which the system would give them only when a
                // tick of some milliseconds is over.
                if yielded.elapsed() > SHORT {
                    thread::yield_now();
                    yielded = Instant::now();
                }
                if started.elapsed() > TURN {
                    // Nobody may be waiting for it; then it goes on.
                    self.turn.leave();
                    return self.turn.enter();
                }
            } else if self.is_long(steps, started) && !self.turn.enter() {
                return false;
            }
            if self.requests.go_on(&mut self.session, &mut self.out) {
                continue;
            }
            match self.session.poll(&mut self.out, now) {
                Output::Request(ticket, request) => {
                    self.requests.carry_out(&mut self.session, &mut self.out, ticket, request);
                }
                Output::Note(note) => self.note(note),
                Output::Upgrade(layer) => self.upgrade(layer, now),
                Output::Blocked(On::Reply | On::InputOrReply) if self.collect() => {}
                Output::Blocked(On::Reply) if self.shake(now) => {}
                Output::Blocked(On::Pace) if self.requests.permit(now) => self.session.permit(),
                Output::Blocked(On::Input | On::InputOrReply | On::Stream) if self.decode(now) => {}
                Output::Blocked(on) => {
                    self.held = on == On::Pace;
                    self.awaits_peer = on == On::Input;
                    return false;
                }
                Output::Closed(reason) => {
                    self.log_end(&reason);
                    self.end = Some(End::Session(reason));
                    return false;
                }
            }
        }
        true
    }

    /// What the session does needs a turn by now.
    fn is_long(&self, steps: usize, started: Instant) -> bool {
        let pours = self.pours && self.layers.holds_input();
        pours || self.requests.are_long() || steps >= STEPS || (steps >= FEW && started.elapsed() > SHORT)
    }

    /// Give the session some of the input that is waiting, or tell it that there is no more; false if it was given nothing.
    fn decode(&mut self, now: Instant) -> bool {
        if !self.session.wants_input() {
            return false;
        }
        if self.layers.holds_input() && self.give(now) {
            return true;
        }
        let ended = (self.eof || self.layers.ended()) && self.end.is_none();
        if ended {
            self.session.receive_eof();
        }
        ended
    }

    /// Give the session the next piece that is not empty; false if there was none.
    fn give(&mut self, now: Instant) -> bool {
        let mut given = false;
        while !given && self.layers.holds_input() {
            let session = &mut self.session;
            let step = self.layers.step(|plain| {
                given = !plain.is_empty();
                session.receive(plain, now);
            });
            match step {
                Ok(()) => {}
                Err(LayerError::Deflate(error @ DeflateError::Grows)) => {
                    self.log_failure(&error);
                    // The layer itself is sound: the peer can be told. The session takes nothing more after that.
                    self.session.shutdown("compressed input grows too much");
                    return true;
                }
                Err(error) => {
                    self.layer_failed(&error);
                    return false;
                }
            }
        }
        given
    }

    fn wait(&mut self, again: bool, now: Instant) -> Wait {
        if self.end.is_some() {
            self.requests.log_out();
        }
        let write = !self.output().is_empty();
        let since = if write { *self.waiting_since.get_or_insert(now) } else { now };
        let stalls = write.then(|| since + self.stall);
        if stalls.is_some_and(|at| at <= now) {
            info!(connection = self.place.number(), peer = %self.requests.peer(), user = self.session.principal(),
                  octets = self.output().len(), "dropped: the peer takes nothing");
            self.requests.counts().ended(Closed::Stalled);
            self.end = Some(End::Stalled);
        }
        let open = self.end.is_none();
        // Whoever waits for a turn does nothing before it comes, however late it may be by then: a time that has passed would
        // have the daemon come back at once, again and again.
        let acts = open && !self.turn.is_waiting();
        let read = open
            && !self.eof
            && !self.layers.ended()
            && (self.session.wants_input() || self.layers.handshaking())
            && self.layers.wants_input()
            && self.output().len() < self.high_water;
        let timeout = if acts { self.session.poll_timeout() } else { None };
        let held = if acts && self.held { self.requests.held_until() } else { None };
        Wait {
            read,
            write,
            again: again && open,
            deadline: [timeout, stalls, held].into_iter().flatten().min(),
            closed: self.closing(write),
        }
    }

    fn closing(&self, unwritten: bool) -> Option<Closing> {
        match self.end.as_ref()? {
            End::Stalled => Some(Closing::Now),
            End::Session(_) | End::Layer if unwritten => None,
            End::Session(Reason::EndOfInput) => Some(Closing::Now),
            End::Session(_) | End::Layer if self.deaf => Some(Closing::Now),
            End::Session(_) | End::Layer => Some(Closing::Lingering),
        }
    }
}
