//! Properties that must hold for any octets at all. Each function panics when its property is violated; fuzz targets
//! and property tests are one call each.

mod reference;
mod source;

use crate::{
    BannerReader, Command, Frame, FrameError, Framer, Limits, Malformed, Response, SaslLine, decode_base64,
    encode_base64,
};
use bytes::{Bytes, BytesMut};
use source::Source;

/// Any chunking of the same octets gives the frames of a plainer framer, in bounded memory; no message makes a parser
/// panic, and what parses is written so that it parses to the same again.
///
/// The first octet chooses the limits, the second the chunks, and the rest is what the peer sends.
pub fn chunking(data: &[u8]) {
    let ([head, seed], stream) = match data {
        [head, seed, stream @ ..] => ([*head, *seed], stream),
        _ => return,
    };
    let limits = match head % 4 {
        0 => Limits { line: 16, literal: 8, message: 40 },
        1 => Limits { line: 40, literal: 64, message: 32 },
        2 => Limits { line: 256, literal: 512, message: 1024 },
        _ => Limits::default(),
    };
    let seed = usize::from(seed);

    let whole = reference::frames(limits, stream);
    assert_eq!(frames(limits, [stream]), whole, "all at once");
    assert_eq!(frames(limits, stream.chunks(1)), whole, "octet by octet");
    assert_eq!(frames(limits, stream.chunks(seed % 31 + 2)), whole, "in even chunks");
    assert_eq!(frames(limits, Uneven { rest: stream, size: seed }), whole, "in uneven chunks");

    let mut banner = BannerReader::new();
    for frame in whole.into_iter().flatten() {
        if let Frame::Message(message) = frame {
            assert!(message.len() <= limits.message, "a message longer than the limit");
            if let Err(malformed) = banner.push(message.clone()) {
                explained(&malformed, &message);
            }
            parsed(message);
        }
    }
}

/// What is encoded parses to the same command, and so does any other legal way to write it.
pub fn command_round_trip(data: &[u8]) {
    let mut source = Source::new(data);
    let command = source.command();
    let message = only_message(|out| command.encode(out));
    assert_eq!(Command::parse(message).as_ref(), Ok(&command));
    let message = only_message(|out| source.spell(&command, out));
    assert_eq!(Command::parse(message).as_ref(), Ok(&command), "in a foreign spelling");
}

/// What is encoded parses to the same response, but for what may not stand in the text of a status.
pub fn response_round_trip(data: &[u8]) {
    let response = Source::new(data).response();
    let message = only_message(|out| response.encode(out));
    assert_eq!(Response::parse(message), Ok(printable(response)));
}

/// What is encoded reads as the same banner.
pub fn banner_round_trip(data: &[u8]) {
    let banner = Source::new(data).banner();
    let mut out = BytesMut::new();
    banner.encode(&mut out);
    let mut framer = Framer::new(Limits::default());
    framer.push(&out);
    let mut reader = BannerReader::new();
    let mut read = Vec::new();
    while let Some(frame) = framer.next().expect("our own banner can be framed") {
        let Frame::Message(message) = frame else { panic!("a banner is nothing but messages: {frame:?}") };
        assert!(read.is_empty(), "nothing comes after the greeting");
        read.extend(reader.push(message).expect("our own banner is well formed"));
    }
    assert_eq!(framer.buffered(), 0, "the last line has its end");
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
        assert_eq!(SaslLine::parse(&message), Ok(line));
    }
}

/// What parses is encoded so that it parses to the same again; what does not is answered in a way that all can read.
fn parsed(message: Bytes) {
    let _ = SaslLine::parse(&message);
    match Command::parse(message.clone()) {
        Ok(command) => {
            let again = only_message(|out| command.encode(out));
            assert_eq!(Command::parse(again).as_ref(), Ok(&command));
        }
        Err(malformed) => explained(&malformed, &message),
    }
    match Response::parse(message.clone()) {
        Ok(response) => {
            let again = only_message(|out| response.encode(out));
            assert_eq!(Response::parse(again), Ok(printable(response)));
        }
        Err(malformed) => explained(&malformed, &message),
    }
}

/// The answer goes to whoever asked, and needs no quoting.
fn explained(malformed: &Malformed, message: &[u8]) {
    if let Some(tag) = &malformed.tag {
        let rest = message.strip_prefix(tag.as_bytes()).expect("the tag is the message's own");
        assert!(rest.is_empty() || rest[0] == b' ', "and all of it");
    }
    let text = malformed.to_string();
    assert!(text.bytes().all(|octet| matches!(octet, b' '..=b'~') && !b"\"\\".contains(&octet)), "{text:?}");
}

/// The one message that `encode` writes, with nothing behind it.
fn only_message(encode: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    encode(&mut out);
    // What is written is never longer than what limits let in, but for quotes and announcements.
    let mut framer = Framer::new(Limits { line: 8 << 20, literal: 8 << 20, message: 32 << 20 });
    framer.push(&out);
    loop {
        match framer.next() {
            Ok(Some(Frame::GoAhead)) => {}
            Ok(Some(Frame::Message(message))) => {
                assert_eq!(framer.buffered(), 0, "octets behind a message");
                return message;
            }
            other => panic!("not a message: {other:?}"),
        }
    }
}

/// All frames of a stream, up to the first error.
pub fn frames<'a>(
    limits: Limits,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Frame, FrameError>> {
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    let mut largest = 0;
    for chunk in chunks {
        framer.push(chunk);
        largest = chunk.len().max(largest);
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
        let kept = limits.message + 1;
        assert!(framer.buffered() <= kept, "more is kept than the limits allow");
        // As much again may have been given out and not moved away, and vectors grow by doubling.
        assert!(framer.allocated() <= 2 * (2 * kept + largest) + 8, "more is allocated than that needs");
        assert_eq!(framer.next(), Ok(None), "nothing comes of nothing");
    }
    frames
}

/// A stream in pieces of 0 to 63 octets.
struct Uneven<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Iterator for Uneven<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.size = (self.size * 5 + 3) % 64;
        let at = self.size.min(self.rest.len());
        let (chunk, rest) = (!self.rest.is_empty()).then(|| self.rest.split_at(at))?;
        self.rest = rest;
        Some(chunk)
    }
}

/// The response as it is after its text has been made printable.
fn printable(mut response: Response) -> Response {
    if let Response::Status { text, .. } = &mut response {
        let octets = text.iter().map(|octet| if matches!(octet, b' '..=b'~') { *octet } else { b'?' });
        *text = octets.collect();
    }
    response
}
