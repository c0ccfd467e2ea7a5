//! A server's session under arbitrary operations: what fuzz targets and property tests both call.

mod operation;
mod shadow;

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use arbitrary::Unstructured;
use bytes::{Buf, BytesMut};
use mupdate_proto::{CompressLines, Limits, Role};

use self::{operation::Operation, shadow::Shadow};
use super::{
    AuthReply, AuthStep, Finish, Layer, LayerFacts, On, Output, READ_AHEAD, Reply, Request, Row,
    ServerConfig, ServerSession, Ticket,
};
use crate::directory::Refusal;

const LIMITS: Limits = Limits { line: 200, literal: 100, message: 400 };
const HIGH_WATER: usize = 500;

/// Changes that a session may have under way.
const CHANGES: usize = 64;

/// How far the output may go beyond the high-water mark: the last row of a page, and the lines that end it.
const LAST_WORDS: usize = 500;

/// The settings that a run chooses from.
static CONFIGS: LazyLock<[Arc<ServerConfig>; 4]> = LazyLock::new(|| {
    let base = ServerConfig { limits: LIMITS, high_water: HIGH_WATER, ..ServerConfig::default() };
    let second = Duration::from_secs(1);
    [
        base.clone(),
        ServerConfig { hold: Duration::ZERO, login_delay: Duration::ZERO, login_failures: 1, ..base.clone() },
        ServerConfig { idle: Some(second), login_within: second, name_limit: 3, ..base.clone() },
        ServerConfig {
            role: Role::Replica("mupdate://m".into()),
            compress: CompressLines::None,
            idle: None,
            ..base
        },
    ]
    .map(Arc::new)
});

/// Read `data` as settings and a list of operations, do them, and panic at the first broken promise:
///
/// - the output, read back, is one tagged answer for each command, in order, and each request that is made is what the
///   oldest unanswered command asks for (see `shadow.rs`);
/// - a ticket is never given twice, and never while another is outstanding, unless both are changes; answers with another
///   ticket do nothing;
/// - the output stays below the high-water mark and one row, and no more input is kept than the read-ahead and one
///   message; at most three notes wait;
/// - time that has passed is not waited for again;
/// - after `Closed` nothing is written and nothing asked for;
/// - a session that waits neither for input nor for an answer, a flush, a layer or time is stuck, and one whose peer has
///   gone ends as soon as it is answered.
///
/// `now` is any instant: only differences matter.
pub fn operations(data: &[u8], now: Instant) {
    let mut source = Unstructured::new(data);
    let mut world = World::new(usize::from(source.arbitrary::<u8>().unwrap_or(0)), now);
    world.run();
    while !source.is_empty() {
        let Ok(operation) = source.arbitrary() else { break };
        world.operate(operation);
        world.run();
    }
    world.end();
}

struct World {
    session: ServerSession,
    shadow: Shadow,
    /// What the peer has sent and the session has not read.
    wire: Vec<u8>,
    out: BytesMut,
    /// How much of `out` the shadow has seen.
    heard: usize,
    now: Instant,
    /// What is asked for and not answered: one request, or changes.
    outstanding: VecDeque<(Ticket, Request)>,
    last_ticket: Option<Ticket>,
    upgrading: Option<Layer>,
    /// The largest piece of input.
    largest: usize,
    closed: bool,
}

impl World {
    fn new(choice: usize, now: Instant) -> Self {
        let config = Arc::clone(&CONFIGS[choice % CONFIGS.len()]);
        let facts = LayerFacts { starttls: true, ..LayerFacts::default() };
        Self {
            shadow: Shadow::new(Arc::clone(&config)),
            session: ServerSession::new(config, facts, now),
            wire: Vec::new(),
            out: BytesMut::new(),
            heard: 0,
            now,
            outstanding: VecDeque::new(),
            last_ticket: None,
            upgrading: None,
            largest: 0,
            closed: false,
        }
    }

    fn operate(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Say { phrase, tag, held } => {
                operation::phrase(phrase, tag, &mut self.wire);
                self.deliver(usize::from(held));
            }
            Operation::Send(octets) => {
                self.wire.extend_from_slice(octets);
                self.deliver(0);
            }
            Operation::Flood => {
                for _ in 0..48 {
                    self.wire.extend_from_slice(&[b'"'; LIMITS.line]);
                    self.wire.push(b'\n');
                }
                self.deliver(0);
            }
            Operation::Answer(how) if self.upgrading.is_some() => self.resume(how),
            Operation::Answer(how) => self.answer(how),
            Operation::Stale(ticket) => self.stale(Ticket(u64::from(ticket))),
            Operation::Wait(tenths) => self.now += Duration::from_millis(u64::from(tenths) * 100),
            Operation::Flush(octets) => self.flush(usize::from(octets) * 4),
            Operation::Changed => self.session.changed(),
            Operation::Eof => self.session.receive_eof(),
            Operation::Shutdown => {
                self.session.shutdown("going");
                self.shadow.shutdown();
            }
            Operation::Abandon => {
                self.session.abandon();
                self.shadow.abandoned();
            }
        }
    }

    /// Give the session what is on the wire, but for the last octets, if it reads.
    fn deliver(&mut self, held: usize) {
        let length = self.wire.len().saturating_sub(held);
        if length == 0 || !self.session.wants_input() {
            return;
        }
        assert!(!self.closed, "a session that is over wants input");
        let octets: Vec<u8> = self.wire.drain(..length).collect();
        self.session.receive(&octets, self.now);
        self.shadow.received(&octets);
        self.largest = self.largest.max(octets.len());
    }

    /// Answer something that is outstanding, not always the oldest, well or badly.
    fn answer(&mut self, how: u8) {
        let which = usize::from(how / 64) % self.outstanding.len().max(1);
        let Some((ticket, request)) = self.outstanding.remove(which) else { return };
        let reply = match request {
            _ if how == 0 => Reply::Failed("not today".into()),
            Request::Authenticate(_) => Reply::Auth(match how % 3 {
                0 => AuthReply::Challenge(vec![b'?'; usize::from(how % 32)]),
                1 => AuthReply::Rejected { text: "wrong".into(), delay: Duration::ZERO },
                _ => AuthReply::Accepted { principal: "u".into() },
            }),
            Request::Submit(_) if how == 1 => Reply::Submitted(Err(Refusal::DoesNotExist)),
            Request::Submit(_) => Reply::Submitted(Ok(())),
            Request::Subscribe(_) => Reply::Subscribed,
            Request::Reannounce => Reply::Reannounced { revision: u64::from(how) },
            Request::Barrier => Reply::Barrier { position: u64::from(how) },
            Request::Find(_) | Request::Walk(_) | Request::More | Request::Drain => {
                return self.rows(ticket, &request, how);
            }
        };
        self.shadow.replied(&reply);
        self.session.reply(ticket, reply);
    }

    fn rows(&mut self, ticket: Ticket, request: &Request, how: u8) {
        let mut rows = self.session.rows(ticket, &mut self.out);
        let mut left = how;
        while left > 0 && !rows.full() && (left == how || !matches!(request, Request::Find(_))) {
            match request {
                Request::Drain if left.is_multiple_of(3) => rows.gone(b"b"),
                _ => {
                    let acl = left.is_multiple_of(2).then_some(&b"x\ty\t"[..]);
                    rows.row(Row { name: b"a", location: b"s!p", acl });
                }
            }
            left -= 1;
        }
        let more = left > 0;
        rows.finish(match request {
            Request::Drain => Finish::Drained { position: u64::from(how), more, revision: u64::from(how) },
            Request::Walk(_) | Request::More if more => Finish::More,
            _ => Finish::End,
        });
        self.hear();
    }

    /// An answer to a request that is not outstanding does nothing.
    fn stale(&mut self, ticket: Ticket) {
        if self.outstanding.iter().any(|(outstanding, _)| *outstanding == ticket) {
            return;
        }
        let before = self.out.len();
        self.session.reply(ticket, Reply::Failed("too late".into()));
        let mut rows = self.session.rows(ticket, &mut self.out);
        rows.row(Row { name: b"a", location: b"s!p", acl: None });
        rows.gone(b"a");
        rows.finish(Finish::End);
        assert_eq!(self.out.len(), before, "a stale answer was written");
    }

    /// The layer that was asked for is in place.
    fn resume(&mut self, how: u8) {
        let Some(layer) = self.upgrading.take() else { return };
        let tls = layer == Layer::Tls || how.is_multiple_of(2);
        let compressed = layer == Layer::Deflate;
        self.session.resume(LayerFacts { tls, compressed, ..LayerFacts::default() }, self.now);
        self.shadow.resumed(layer);
    }

    /// The peer has read some of the output.
    fn flush(&mut self, octets: usize) {
        let octets = octets.min(self.out.len());
        self.out.advance(octets);
        self.heard -= octets;
    }

    /// Show the shadow what was written.
    fn hear(&mut self) {
        assert!(self.out.len() <= HIGH_WATER + LAST_WORDS, "output grows without a bound");
        self.shadow.said(&self.out[self.heard..]);
        self.heard = self.out.len();
    }

    /// Poll until nothing moves.
    fn run(&mut self) {
        if self.session.poll_timeout().is_some_and(|at| at <= self.now) {
            self.session.handle_timeout(self.now);
        }
        loop {
            let before = self.out.len();
            let output = self.session.poll(&mut self.out, self.now);
            self.hear();
            self.assert_bounded();
            match output {
                Output::Closed(reason) => {
                    assert!(!self.closed || self.out.len() == before, "written to after the end");
                    if !self.closed {
                        self.shadow.closed(&reason, self.upgrading == Some(Layer::Tls));
                    }
                    self.closed = true;
                    return;
                }
                _ if self.closed => panic!("{output:?} after the end"),
                Output::Request(ticket, request) => self.asked(ticket, request),
                Output::Note(_) => {}
                Output::Upgrade(layer) => {
                    assert!(self.out.is_empty(), "a layer came before its OK had left");
                    self.upgrading = Some(layer);
                }
                Output::Blocked(on) => return self.blocked(on),
            }
        }
    }

    fn asked(&mut self, ticket: Ticket, request: Request) {
        assert!(self.last_ticket < Some(ticket), "a ticket was given twice");
        let changes = self.outstanding.iter().all(|(_, request)| matches!(request, Request::Submit(_)));
        assert!(
            self.outstanding.is_empty() || (changes && matches!(request, Request::Submit(_))),
            "two requests at once"
        );
        self.shadow.asked(&request);
        self.last_ticket = Some(ticket);
        if !matches!(request, Request::Authenticate(AuthStep::Cancel)) {
            self.outstanding.push_back((ticket, request));
        }
        assert!(self.outstanding.len() <= CHANGES, "changes pile up in the writer's queue");
    }

    fn blocked(&self, on: On) {
        let deadline = self.session.poll_timeout();
        assert!(deadline.is_none_or(|at| at > self.now), "waits for a time that has passed");
        match on {
            On::Flush => assert!(!self.out.is_empty(), "waits for a flush of nothing"),
            On::Reply => {
                let answerable = !self.outstanding.is_empty() || self.upgrading.is_some();
                assert!(answerable || deadline.is_some(), "waits for nothing");
            }
            On::InputOrReply => {
                assert!(self.session.wants_input(), "waits for input and does not read");
                assert!(!self.outstanding.is_empty(), "waits for nothing");
                self.shadow.rests_behind_changes();
            }
            On::Pace => unreachable!("nobody holds its commands"),
            On::Input | On::Stream => {
                assert!(self.session.wants_input(), "waits for input and does not read");
                self.shadow.rests(on == On::Stream);
            }
        }
    }

    fn assert_bounded(&self) {
        // Either the last poll found no whole message in what is kept, or less is kept than is read ahead.
        let kept = READ_AHEAD.max(LIMITS.message + 1) + self.largest;
        assert!(self.session.framer.buffered() <= kept, "input is kept without a bound");
        assert!(self.session.framer.allocated() <= 4 * kept, "memory for input grows without a bound");
        assert!(self.session.notes.len() <= 3, "notes pile up");
    }

    /// Nobody hears the session any more; it ends once it has been answered, and its peer's wire with it.
    fn end(&mut self) {
        self.session.shutdown("the end");
        self.shadow.shutdown();
        for _ in 0..CHANGES + 3 {
            self.flush(usize::MAX);
            self.resume(0);
            self.answer(2);
            self.run();
        }
        assert!(self.closed, "does not end");
    }
}
