//! A client's session under arbitrary operations: what fuzz targets and property tests both call.

use std::collections::VecDeque;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::{Bytes, BytesMut};
use mupdate_proto::{
    Acl, Command, Frame, Framer, Limits, Location, MailboxName, Response, SaslLine, ServerName, Status, Tag,
    Verb,
};

use super::{ClientSession, Event, Output, Reason};

const LIMITS: Limits = Limits { line: 200, literal: 100, message: 400 };

/// What servers say, but for the tags.
const BANNER: &str = "* AUTH \"PLAIN\"\r\n* OK MUPDATE \"h\" \"s\" \"1\" \"(master)\"\r\n";
const ANSWERS: [&str; 12] = [
    " OK \"done\"\r\n",
    " NO \"no\"\r\n",
    " BAD {2+}\r\n\"\"\r\n",
    " OK\n",
    " MAILBOX \"a\" \"s!p\" \"\"\r\n",
    " MAILBOX {1+}\r\na {3+}\r\ns!p {3}\r\nx\ty\r\n",
    " RESERVE \"a\" \"s!\"\r\n",
    " DELETE \"a\"\r\n",
    " BYE \"never tagged\"\r\n",
    " MAILBOX \"a\"\r\n",
    " NO {101+}\r\n",
    " {4294967296}\r\n",
];
const LINES: [&str; 8] =
    ["\r\n", "dQ==\r\n", "*\r\n", "+ go ahead\r\n", "* BYE \"gone\"\r\n", "* BAD\r\n", "* ", "=\r\n"];

/// One thing that happens to a session.
#[derive(Debug)]
enum Operation<'a> {
    /// Its user sends a command.
    Send(Verb),
    /// Its user answers a challenge.
    Respond(SaslLine),
    /// The server sends its banner.
    Banner,
    /// The server answers one of the last commands, the oldest open one if that is 0.
    Answer { answer: u8, back: u8 },
    /// The server sends a line without a tag.
    Line(u8),
    /// The server sends these octets.
    Octets(&'a [u8]),
    /// The server closes its side.
    Eof,
}

impl<'a> Arbitrary<'a> for Operation<'a> {
    fn arbitrary(source: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match source.arbitrary::<u8>()? % 16 {
            0..=3 => Self::Send(verb(source.arbitrary()?)),
            4 if source.arbitrary()? => Self::Respond(SaslLine::Cancel),
            4 => Self::Respond(SaslLine::Data(b"u".to_vec())),
            5 => Self::Banner,
            6..=10 => Self::Answer { answer: source.arbitrary()?, back: 0 },
            11 => Self::Answer { answer: source.arbitrary()?, back: source.arbitrary()? },
            12 => Self::Line(source.arbitrary()?),
            13 | 14 => {
                let length = usize::from(source.arbitrary::<u8>()? % 64).min(source.len());
                Self::Octets(source.bytes(length)?)
            }
            _ => Self::Eof,
        })
    }
}

fn verb(choice: u8) -> Verb {
    let mailbox = MailboxName::new("a").expect("a name");
    let location = Location::new("s!p").expect("a location");
    match choice % 12 {
        0 => Verb::Authenticate { mechanism: Bytes::from_static(b"PLAIN"), initial: None },
        1 => Verb::StartTls,
        2 => Verb::Compress { algorithm: Bytes::from_static(b"DEFLATE") },
        3 => Verb::Logout,
        4 => Verb::Reserve { mailbox, location },
        5 => Verb::Activate { mailbox, location, acl: Acl::new("x\ty\t") },
        6 => Verb::Deactivate { mailbox, location },
        7 => Verb::Delete { mailbox },
        8 => Verb::Find { mailbox },
        9 => Verb::List { prefix: None },
        10 => Verb::Update { servers: vec![ServerName::new("s").expect("a name")] },
        _ => Verb::Noop,
    }
}

/// Read `data` as a list of operations, do them, and panic at the first broken promise:
///
/// - commands go out as they were given, under tags that were never used before;
/// - each is completed once at most, in order, by OK, NO or BAD (LOGOUT also by BYE) under its own tag, and what is unanswered is counted right;
/// - rows come under the tag of an unanswered FIND, LIST or UPDATE, or of the stream, and DELETE never under a lookup's;
/// - challenges come while AUTHENTICATE is the oldest unanswered command;
/// - no more input is kept than one message;
/// - what is over stays over, for the same reason, and the end of input is reported when nothing else is left.
pub fn operations(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let mut world = World {
        session: ClientSession::new(LIMITS),
        sent: Vec::new(),
        open: VecDeque::new(),
        stream: None,
        wants_banner: true,
        largest: 0,
        eof: false,
        end: None,
    };
    while !source.is_empty() {
        let Ok(operation) = source.arbitrary() else { break };
        world.operate(operation);
        world.listen();
    }
    world.session.receive_eof();
    world.eof = true;
    world.listen();
    assert!(world.end.is_some(), "does not end");
}

struct World {
    session: ClientSession,
    /// The tags of all commands.
    sent: Vec<Tag>,
    /// Those that are unanswered.
    open: VecDeque<(Tag, Verb)>,
    stream: Option<Tag>,
    wants_banner: bool,
    /// The largest piece of input.
    largest: usize,
    eof: bool,
    end: Option<Reason>,
}

impl World {
    fn operate(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Send(verb) => self.send(verb),
            Operation::Respond(line) => {
                let mut out = BytesMut::new();
                self.session.respond(&line, &mut out);
                let text = out.strip_suffix(b"\r\n").expect("a whole line");
                assert_eq!(SaslLine::parse(text), Ok(line));
            }
            Operation::Banner => self.receive(BANNER.as_bytes()),
            Operation::Answer { answer, back } => {
                let oldest = self.open.front().map(|(tag, _)| tag);
                let other = self.sent.iter().rev().nth(usize::from(back % 8));
                let tag = if back == 0 { oldest.or(self.stream.as_ref()) } else { other };
                let tag = tag.map_or(&b"Z"[..], |tag| tag.as_bytes());
                let answer = ANSWERS[usize::from(answer) % ANSWERS.len()];
                self.receive(&[tag, answer.as_bytes()].concat());
            }
            Operation::Line(line) => self.receive(LINES[usize::from(line) % LINES.len()].as_bytes()),
            Operation::Octets(octets) => self.receive(octets),
            Operation::Eof => {
                self.session.receive_eof();
                self.eof = true;
            }
        }
    }

    fn send(&mut self, verb: Verb) {
        let mut out = BytesMut::new();
        let tag = self.session.send(verb.clone(), &mut out);
        let mut framer = Framer::new(Limits::default());
        framer.push(&out);
        let Ok(Some(Frame::Message(message))) = framer.next() else { panic!("not a message: {out:?}") };
        assert_eq!(framer.buffered(), 0);
        assert_eq!(Command::parse(message), Ok(Command { tag: tag.clone(), verb: verb.clone() }));
        assert!(!self.sent.contains(&tag), "a tag was used twice");
        self.sent.push(tag.clone());
        self.open.push_back((tag, verb));
    }

    fn receive(&mut self, octets: &[u8]) {
        self.session.receive(octets);
        self.largest = self.largest.max(octets.len());
    }

    /// Poll until nothing comes.
    fn listen(&mut self) {
        loop {
            match self.session.poll() {
                output if self.end.is_some() => {
                    assert_eq!(Some(output), self.end.clone().map(Output::Closed), "what is over is over");
                    return;
                }
                Output::Event(event) => self.heard(event),
                Output::Blocked => {
                    assert!(!self.eof, "nothing more can come");
                    let kept = LIMITS.message + 1;
                    assert!(self.session.framer.buffered() <= kept, "input is kept without a bound");
                    assert!(self.session.framer.allocated() <= 4 * (kept + self.largest));
                    break;
                }
                Output::Closed(reason) => {
                    assert!(self.eof || reason != Reason::EndOfInput, "nobody said so");
                    self.end = Some(reason);
                }
            }
        }
        assert_eq!(self.session.unanswered(), self.open.len());
    }

    fn heard(&mut self, event: Event) {
        let in_banner = self.wants_banner;
        match event {
            Event::Banner(_) => {
                assert!(self.wants_banner, "a banner out of turn");
                self.wants_banner = false;
            }
            Event::Untagged { status, .. } => {
                assert!(!in_banner || matches!(status, Status::Bye | Status::Bad));
            }
            other => {
                assert!(!in_banner, "{other:?} before the banner");
                self.answered(other);
            }
        }
    }

    fn answered(&mut self, event: Event) {
        match event {
            Event::Completed { tag, status, .. } => {
                let (oldest, verb) = self.open.pop_front().expect("something was asked");
                assert_eq!(oldest, tag, "commands are answered in order");
                assert!(status != Status::Bye || verb == Verb::Logout, "BYE answers nothing else");
                match verb {
                    Verb::Update { .. } if status == Status::Ok => self.stream = Some(tag),
                    Verb::StartTls if status == Status::Ok => self.wants_banner = true,
                    _ => {}
                }
            }
            Event::Data(row) => self.row(&row),
            Event::Challenge(_) => {
                assert!(
                    matches!(self.open.front(), Some((_, Verb::Authenticate { .. }))),
                    "a challenge to nobody"
                );
            }
            Event::GoAhead | Event::Banner(_) | Event::Untagged { .. } => {}
        }
    }

    fn row(&self, row: &Response) {
        let (tag, gone) = match row {
            Response::Mailbox { tag, .. } | Response::Reserve { tag, .. } => (tag, false),
            Response::Delete { tag, .. } => (tag, true),
            other => panic!("{other:?} is no row"),
        };
        let streams = self.stream.as_ref().is_some_and(|stream| stream.as_bytes() == tag);
        let asked =
            self.open.iter().find(|(open, _)| open.as_bytes() == tag).is_some_and(|(_, verb)| match verb {
                Verb::Find { .. } | Verb::List { .. } => !gone,
                verb => matches!(verb, Verb::Update { .. }),
            });
        assert!(streams || asked, "{row:?} was not asked for");
    }
}
