//! Values out of a fuzzer's octets.

use crate::{
    Acl, Banner, Command, CompressLines, Location, MailboxName, Response, Role, ServerName, Status, Tag, Verb,
};
use arbitrary::Unstructured;
use bytes::{BufMut, BytesMut};

/// Makes values out of octets; out of nothing it makes zeros and empty strings.
pub(super) struct Source<'a>(Unstructured<'a>);

impl<'a> Source<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(Unstructured::new(octets))
    }

    fn octet(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    fn yes(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    /// Up to 199 octets, or, where only literals will do, more than may be quoted.
    fn octets(&mut self) -> Vec<u8> {
        let length = usize::from(self.octet());
        let octets = self.0.bytes(length.min(199).min(self.0.len())).unwrap_or_default();
        octets.repeat(if length > 250 { 1024 / octets.len().max(1) + 1 } else { 1 })
    }

    /// Octets that are `allowed`, or `otherwise` when none is.
    fn octets_of(&mut self, otherwise: &str, allowed: impl Fn(u8) -> bool) -> Vec<u8> {
        let mut octets = self.octets();
        octets.retain(|octet| allowed(*octet));
        if octets.is_empty() { otherwise.into() } else { octets }
    }

    fn line(&mut self) -> Vec<u8> {
        self.octets_of("x", |octet| !matches!(octet, 0 | b'\r' | b'\n'))
    }

    fn text(&mut self) -> String {
        let octets = self.octets().into_iter().filter(|octet| matches!(octet, b' '..=b'~'));
        octets.map(char::from).collect()
    }

    fn tag(&mut self) -> Tag {
        let mut octets = self.octets_of("T", |octet| octet.is_ascii_graphic() && !b"\"{}\\".contains(&octet));
        octets.truncate(Tag::MAX);
        Tag::new(octets).unwrap_or_else(|_| Tag::new("X1").expect("X1 is a tag"))
    }

    fn mailbox(&mut self) -> MailboxName {
        MailboxName::new(self.line()).expect("a line can name a mailbox")
    }

    fn server(&mut self) -> ServerName {
        let octets = self.octets_of("be", |octet| !matches!(octet, 0 | b'\r' | b'\n' | b'!'));
        ServerName::new(octets).expect("a line without ! can name a server")
    }

    fn location(&mut self) -> Location {
        let mut octets = self.server().as_bytes().to_vec();
        if self.yes() {
            octets.push(b'!');
            if self.yes() {
                octets.extend_from_slice(self.server().as_bytes());
            }
        }
        Location::new(octets).expect("servers and one ! make a location")
    }

    pub(super) fn command(&mut self) -> Command {
        let tag = self.tag();
        let verb = match self.octet() % 12 {
            0 => Verb::Authenticate {
                mechanism: self.octets().into(),
                initial: self.yes().then(|| self.octets().into()),
            },
            1 => Verb::StartTls,
            2 => Verb::Compress { algorithm: self.octets().into() },
            3 => Verb::Logout,
            4 => Verb::Reserve { mailbox: self.mailbox(), location: self.location() },
            5 => Verb::Activate {
                mailbox: self.mailbox(),
                location: self.location(),
                acl: Acl::new(self.octets()),
            },
            6 => Verb::Deactivate { mailbox: self.mailbox(), location: self.location() },
            7 => Verb::Delete { mailbox: self.mailbox() },
            8 => Verb::Find { mailbox: self.mailbox() },
            9 => Verb::List { prefix: self.yes().then(|| self.octets().into()) },
            10 => Verb::Update { servers: (0..self.octet() % 5).map(|_| self.server()).collect() },
            _ => Verb::Noop,
        };
        Command { tag, verb }
    }

    /// Writes a command in one of the many ways that a foreign client may, line end and all.
    pub(super) fn spell(&mut self, command: &Command, out: &mut BytesMut) {
        out.put_slice(command.tag.as_bytes());
        self.spaces(out);
        let capitals = self.octet();
        for (at, letter) in command.verb.name().bytes().enumerate() {
            let small = capitals >> (at % 8) & 1 == 1;
            out.put_u8(if small { letter.to_ascii_lowercase() } else { letter });
        }
        command.verb.for_each_argument(|argument| {
            self.spaces(out);
            self.string(argument, out);
        });
        out.put_bytes(b' ', usize::from(self.octet() % 3));
        self.line_end(out);
    }

    fn spaces(&mut self, out: &mut BytesMut) {
        out.put_bytes(b' ', usize::from(self.octet() % 3) + 1);
    }

    fn line_end(&mut self, out: &mut BytesMut) {
        out.put_slice(if self.yes() { b"\n" } else { b"\r\n" });
    }

    /// Quoted, if that is allowed, or a literal of either kind.
    fn string(&mut self, string: &[u8], out: &mut BytesMut) {
        let quotable = !string.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
        if quotable && self.yes() {
            out.put_u8(b'"');
            for octet in string {
                if matches!(octet, b'"' | b'\\') {
                    out.put_u8(b'\\');
                }
                out.put_u8(*octet);
            }
            out.put_u8(b'"');
        } else {
            let zeros = "0".repeat(usize::from(self.octet() % 4));
            let plus = if self.yes() { "+" } else { "" };
            out.put_slice(format!("{{{zeros}{}{plus}}}", string.len()).as_bytes());
            self.line_end(out);
            out.put_slice(string);
        }
    }

    pub(super) fn response(&mut self) -> Response {
        let tag = self.tag().into_bytes();
        match self.octet() % 5 {
            0 => {
                let status = match self.octet() % 4 {
                    0 => Status::Ok,
                    1 => Status::No,
                    2 => Status::Bad,
                    _ => Status::Bye,
                };
                Response::Status { tag: self.yes().then_some(tag), status, text: self.octets().into() }
            }
            1 => Response::Mailbox {
                tag,
                name: self.octets().into(),
                location: self.octets().into(),
                acl: self.octets().into(),
            },
            2 => Response::Reserve { tag, name: self.octets().into(), location: self.octets().into() },
            3 => Response::Delete { tag, name: self.octets().into() },
            _ => Response::GoAhead,
        }
    }

    pub(super) fn banner(&mut self) -> Banner {
        let compress = match self.octet() % 4 {
            0 => CompressLines::None,
            1 => CompressLines::Quoted,
            2 => CompressLines::Bare,
            _ => CompressLines::Both,
        };
        let role =
            if self.yes() { Role::Master } else { Role::Replica(format!("mupdate://{}", self.text())) };
        Banner {
            mechanisms: (0..self.octet() % 4).map(|_| self.text()).collect(),
            starttls: self.yes(),
            compress,
            partial_update: self.yes(),
            host: self.text(),
            software: self.text(),
            version: self.text(),
            role,
        }
    }
}
