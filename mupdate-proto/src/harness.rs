//! Properties that must hold for any octets at all. Each function panics when its property is violated; fuzz targets
//! and property tests are one call each.

use crate::{
    Acl, Banner, BannerReader, Command, CompressLines, Frame, FrameError, Framer, Limits, Location,
    MailboxName, Response, Role, SaslLine, ServerName, Status, Tag, Verb, decode_base64, encode_base64,
};
use bytes::{Bytes, BytesMut};

/// Any chunking of the same octets gives the same frames, in bounded memory; and no message makes a parser panic.
///
/// The first octet chooses the limits, the second the chunks, and the rest is what the peer sends.
pub fn chunking(data: &[u8]) {
    let mut source = Source(data);
    let limits = match source.octet() % 4 {
        0 => Limits { line: 16, literal: 8, message: 40 },
        1 => Limits { line: 40, literal: 64, message: 32 },
        2 => Limits { line: 256, literal: 512, message: 1024 },
        _ => Limits::default(),
    };
    let seed = usize::from(source.octet());
    let stream = source.0;

    let whole = frames(limits, [stream]);
    assert_eq!(frames(limits, stream.chunks(1)), whole, "octet by octet");
    assert_eq!(frames(limits, stream.chunks(seed % 31 + 2)), whole, "in even chunks");
    assert_eq!(frames(limits, uneven(stream, seed)), whole, "in uneven chunks");

    let mut banner = BannerReader::new();
    for frame in whole.into_iter().flatten() {
        if let Frame::Message(message) = frame {
            assert!(message.len() <= limits.message, "a message longer than the limit");
            let _ = banner.push(message.clone());
            parsed(message);
        }
    }
}

/// What is encoded parses to the same command.
pub fn command_round_trip(data: &[u8]) {
    let command = Source(data).command();
    let message = only_message(|out| command.encode(out));
    assert_eq!(Command::parse(message).as_ref(), Ok(&command));
}

/// What is encoded parses to the same response, but for what may not stand in the text of a status.
pub fn response_round_trip(data: &[u8]) {
    let response = Source(data).response();
    let message = only_message(|out| response.encode(out));
    assert_eq!(Response::parse(message), Ok(printable(response)));
}

/// What is encoded reads as the same banner.
pub fn banner_round_trip(data: &[u8]) {
    let banner = Source(data).banner();
    let mut out = BytesMut::new();
    banner.encode(&mut out);
    let mut reader = BannerReader::new();
    let mut read = Vec::new();
    for frame in frames(Limits::default(), [&out[..]]) {
        let Ok(Frame::Message(message)) = frame else {
            panic!("a banner is nothing but messages: {frame:?}")
        };
        assert!(read.is_empty(), "nothing comes after the greeting");
        read.extend(reader.push(message).expect("our own banner is well formed"));
    }
    assert_eq!(read, [banner]);
}

/// Base64 decodes to what was encoded, and there is only one way to write it.
pub fn sasl(data: &[u8]) {
    assert_eq!(decode_base64(encode_base64(data).as_bytes()).as_deref(), Ok(data));
    if let Ok(decoded) = decode_base64(data) {
        assert_eq!(encode_base64(&decoded).as_bytes(), data);
    }
    if let Ok(line) = SaslLine::parse(data) {
        let message = only_message(|out| line.encode(out));
        assert_eq!(&message[..], data);
    }
}

/// What parses is encoded so that it parses to the same again.
fn parsed(message: Bytes) {
    let _ = SaslLine::parse(&message);
    if let Ok(command) = Command::parse(message.clone()) {
        let again = only_message(|out| command.encode(out));
        assert_eq!(Command::parse(again).as_ref(), Ok(&command));
    }
    if let Ok(response) = Response::parse(message) {
        let again = only_message(|out| response.encode(out));
        assert_eq!(Response::parse(again), Ok(printable(response)));
    }
}

/// The one message that `encode` writes.
fn only_message(encode: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    encode(&mut out);
    // What is written is never longer than what limits let in, but for quotes and announcements.
    let limits = Limits { line: 8 << 20, literal: 8 << 20, message: 32 << 20 };
    match &frames(limits, [&out[..]])[..] {
        [Ok(Frame::Message(message))] => message.clone(),
        other => panic!("not one message: {other:?}"),
    }
}

/// All frames of a stream, up to the first error.
pub fn frames<'a>(
    limits: Limits,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Frame, FrameError>> {
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(Ok(frame)),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.next(), Err(error), "an error is final");
                    framer.push(b"T NOOP\r\n");
                    assert_eq!(framer.next(), Err(error), "whatever comes after it");
                    assert_eq!(framer.buffered(), 0, "nothing is kept after an error");
                    frames.push(Err(error));
                    return frames;
                }
            }
        }
        assert!(framer.buffered() <= limits.message + 1, "more is kept than the limits allow");
        assert_eq!(framer.next(), Ok(None), "nothing comes of nothing");
    }
    frames
}

/// Cuts `stream` into pieces of 0 to 63 octets.
fn uneven(stream: &[u8], seed: usize) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let (mut rest, mut size) = (stream, seed);
    while !rest.is_empty() {
        size = (size * 5 + 3) % 64;
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// The response as it is after its text has been made printable.
fn printable(mut response: Response) -> Response {
    if let Response::Status { text, .. } = &mut response {
        let octets = text.iter().map(|octet| if matches!(octet, b' '..=b'~') { *octet } else { b'?' });
        *text = octets.collect();
    }
    response
}

/// Makes values out of octets; out of nothing it makes zeros and empty strings.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn octet(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn yes(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    /// Up to 199 octets, or more than may be quoted.
    fn octets(&mut self) -> Vec<u8> {
        let length = usize::from(self.octet());
        let (octets, rest) = self.0.split_at(length.min(199).min(self.0.len()));
        self.0 = rest;
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

    fn command(&mut self) -> Command {
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

    fn response(&mut self) -> Response {
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

    fn banner(&mut self) -> Banner {
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
