//! A server's session under arbitrary operations: what fuzz targets and property tests both call.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mupdate_proto::Limits;

use super::{
    AuthReply, AuthStep, Finish, LayerFacts, On, Output, READ_AHEAD, Reply, Request, Row, ServerConfig,
    ServerSession, Ticket,
};
use crate::directory::Refusal;

/// Commands that arbitrary octets would hardly ever hit upon.
const PHRASES: [&str; 16] = [
    "A AUTHENTICATE \"PLAIN\" \"AHUAcA==\"\r\n",
    "A AUTHENTICATE \"LOGIN\"\r\n",
    "dQ==\r\n",
    "*\r\n",
    "S STARTTLS\r\n",
    "Z COMPRESS \"DEFLATE\"\r\n",
    "R RESERVE {1+}\r\na \"s!p\"\r\n",
    "C ACTIVATE \"a\" \"s!\" {3+}\r\nx\ty\r\n",
    "D DEACTIVATE \"a\" \"s!p\"\r\n",
    "X DELETE {1}\r\n",
    "a\r\n",
    "F FIND \"a\"\r\n",
    "L LIST \"s!\"\r\n",
    "U UPDATE\r\n",
    "N NOOP\r\n",
    "Q LOGOUT\r\n",
];
const LIMITS: Limits = Limits { line: 200, literal: 100, message: 400 };
const HIGH_WATER: usize = 500;

/// Read `data` as a list of operations, do them, and panic at the first broken promise:
///
/// - a ticket is never given twice, and never while another is outstanding;
/// - the output stays below the high-water mark and one page, if it is flushed when the session asks for it;
/// - after `Closed` nothing is written and nothing asked for;
/// - a session that waits neither for input nor for an answer, a flush, a layer or time is stuck.
///
/// `now` is any instant: only differences matter.
pub fn operations(data: &[u8], now: Instant) {
    let mut world = World::new(now);
    let mut rest = data;
    while let [operation, more @ ..] = rest {
        rest = world.operate(*operation, more);
        world.run();
    }
    world.session.receive_eof();
    world.session.shutdown("the end");
    world.run();
}

struct World {
    session: ServerSession,
    out: BytesMut,
    now: Instant,
    outstanding: Option<(Ticket, Request)>,
    seen: BTreeSet<Ticket>,
    upgrading: bool,
    closed: bool,
}

impl World {
    fn new(now: Instant) -> Self {
        let config = ServerConfig { limits: LIMITS, high_water: HIGH_WATER, ..ServerConfig::default() };
        let facts = LayerFacts { starttls: true, ..LayerFacts::default() };
        Self {
            session: ServerSession::new(Arc::new(config), facts, now),
            out: BytesMut::new(),
            now,
            outstanding: None,
            seen: BTreeSet::new(),
            upgrading: false,
            closed: false,
        }
    }

    /// Do one operation; returns the data behind it.
    fn operate<'a>(&mut self, operation: u8, more: &'a [u8]) -> &'a [u8] {
        let (kind, argument) = (operation % 8, operation / 8);
        match kind {
            0 | 1 => self.receive(PHRASES[usize::from(argument) % PHRASES.len()].as_bytes()),
            2 => {
                let (octets, more) = more.split_at(more.len().min(usize::from(argument)));
                self.receive(octets);
                return more;
            }
            3 | 4 => self.answer(argument),
            5 => {
                self.now += Duration::from_millis(u64::from(argument) * 100);
                self.session.handle_timeout(self.now);
            }
            6 if argument == 0 => self.session.receive_eof(),
            6 if argument == 1 => self.session.shutdown("going"),
            6 if argument == 2 => self.session.abandon(),
            6 if self.upgrading => {
                self.upgrading = false;
                let facts = LayerFacts {
                    tls: argument % 2 == 0,
                    compressed: argument % 2 == 1,
                    ..LayerFacts::default()
                };
                self.session.resume(facts, self.now);
            }
            _ => self.session.changed(),
        }
        more
    }

    fn receive(&mut self, octets: &[u8]) {
        if self.session.wants_input() {
            self.session.receive(octets, self.now);
            let bound = READ_AHEAD + LIMITS.message + LIMITS.line + octets.len();
            assert!(self.session.framer.buffered() <= bound, "input is buffered without a bound");
        }
    }

    /// Answer what is outstanding, well or badly.
    fn answer(&mut self, argument: u8) {
        let Some((ticket, request)) = self.outstanding.take() else { return };
        let reply = match request {
            _ if argument == 0 => Reply::Failed("not today".into()),
            Request::Authenticate(AuthStep::Cancel) => return,
            Request::Authenticate(_) => Reply::Auth(match argument % 3 {
                0 => AuthReply::Challenge(vec![b'?'; usize::from(argument)]),
                1 => AuthReply::Rejected { text: "wrong".into() },
                _ => AuthReply::Accepted { principal: "u".into() },
            }),
            Request::Submit(_) if argument == 1 => Reply::Submitted(Err(Refusal::DoesNotExist)),
            Request::Submit(_) => Reply::Submitted(Ok(())),
            Request::Subscribe(_) => Reply::Subscribed,
            Request::Reannounce => Reply::Reannounced { revision: u64::from(argument) },
            Request::Barrier => Reply::Barrier { position: u64::from(argument) },
            Request::Find(_) | Request::Walk(_) | Request::More | Request::Drain => {
                return self.rows(ticket, &request, argument);
            }
        };
        self.session.reply(ticket, reply);
    }

    fn rows(&mut self, ticket: Ticket, request: &Request, argument: u8) {
        let mut rows = self.session.rows(ticket, &mut self.out);
        let mut left = argument;
        while left > 0 && !rows.full() && (left == argument || !matches!(request, Request::Find(_))) {
            rows.row(Row { name: b"a", location: b"s!p", acl: left.is_multiple_of(2).then_some(b"x\ty\t") });
            left -= 1;
        }
        let more = left > 0;
        rows.finish(match request {
            Request::Drain => {
                Finish::Drained { position: u64::from(argument), more, revision: u64::from(argument) }
            }
            Request::Walk(_) | Request::More if more => Finish::More,
            _ => Finish::End,
        });
    }

    /// Poll until nothing moves.
    fn run(&mut self) {
        loop {
            let before = self.out.len();
            let output = self.session.poll(&mut self.out, self.now);
            assert!(self.out.len() <= HIGH_WATER + 1000, "output grows without a bound");
            match output {
                Output::Closed(_) => {
                    assert!(!self.closed || self.out.len() == before, "written to after the end");
                    self.closed = true;
                    self.out.clear();
                    return;
                }
                _ if self.closed => panic!("{output:?} after the end"),
                Output::Request(ticket, request) => {
                    assert!(self.seen.insert(ticket), "a ticket was given twice");
                    assert!(self.outstanding.is_none(), "two requests at once");
                    if !matches!(request, Request::Authenticate(AuthStep::Cancel)) {
                        self.outstanding = Some((ticket, request));
                    }
                }
                Output::Note(_) => {}
                Output::Upgrade(_) => {
                    assert!(self.out.is_empty(), "a layer came before its OK had left");
                    self.upgrading = true;
                }
                Output::Blocked(On::Flush) => {
                    assert!(!self.out.is_empty(), "waits for a flush of nothing");
                    self.out.clear();
                }
                Output::Blocked(On::Reply) => {
                    let timed = self.session.poll_timeout().is_some();
                    assert!(self.outstanding.is_some() || self.upgrading || timed, "waits for nothing");
                    return;
                }
                Output::Blocked(On::Input | On::Stream) => {
                    assert!(self.session.wants_input(), "waits for input and does not read");
                    self.out.clear();
                    return;
                }
            }
        }
    }
}
