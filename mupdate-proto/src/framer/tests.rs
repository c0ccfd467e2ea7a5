//! What the framer makes of streams.

use super::*;
use crate::harness;

const SMALL: Limits = Limits { line: 16, literal: 8, message: 40 };

fn frames(limits: Limits, stream: &[u8]) -> Vec<Result<Frame, FrameError>> {
    let whole = harness::frames(limits, [stream]);
    assert_eq!(harness::frames(limits, stream.chunks(1)), whole);
    whole
}

fn message(octets: &'static [u8]) -> Result<Frame, FrameError> {
    Ok(Frame::Message(Bytes::from_static(octets)))
}

fn too_long(tag: Option<&'static str>, limit: LimitKind) -> Result<Frame, FrameError> {
    Ok(Frame::TooLong { tag: tag.map(|tag| Tag::new(tag).expect("a tag")), limit })
}

#[test]
fn lines_end_in_crlf_or_lf() {
    let stream = b"A NOOP\r\nB NOOP\n\r\n\nC\rD\r\r\nrest";
    let expected = [message(b"A NOOP"), message(b"B NOOP"), message(b""), message(b""), message(b"C\rD\r")];
    assert_eq!(frames(SMALL, stream), expected);
}

#[test]
fn literals_are_inline() {
    let stream = b"A RESERVE {3+}\r\na\nb {4+}\nbe1!\r\nB NOOP\r\n";
    let expected = [message(b"A RESERVE {3+}\r\na\nb {4+}\nbe1!"), message(b"B NOOP")];
    assert_eq!(frames(SMALL, stream), expected);
}

#[test]
fn messages_are_passed_over_where_they_lie() {
    for piece in [1, 7, 100] {
        let mut framer = Framer::new(SMALL);
        let (mut seen, mut given) = (Vec::new(), Vec::new());
        for octets in b"A a\r\nA {1+}\r\nb\r\nB c\r\nA d\r\n{2}\r\n".chunks(piece) {
            framer.push(octets);
            while let Some(frame) = framer
                .next_behind(|message| {
                    seen.push(message.to_vec());
                    message.starts_with(b"A ")
                })
                .expect("all of it can be framed")
            {
                given.push(Ok(frame));
            }
        }
        assert_eq!(seen, [&b"A a"[..], b"A {1+}\r\nb", b"B c", b"A d"], "each once");
        assert_eq!(given, [message(b"B c"), Ok(Frame::GoAhead)]);
    }
}

/// The CR belongs to the literal, though an LF comes after it.
#[test]
fn a_literal_may_end_in_a_cr() {
    let stream = b"A FIND {2+}\r\na\r\nB NOOP\n";
    assert_eq!(frames(SMALL, stream), [message(b"A FIND {2+}\r\na\r"), message(b"B NOOP")]);
}

#[test]
fn leave_is_given_once_per_synchronising_literal() {
    let mut framer = Framer::new(SMALL);
    framer.push(b"A RESERVE {3}\r\n");
    assert_eq!(framer.next(), Ok(Some(Frame::GoAhead)));
    assert_eq!(framer.next(), Ok(None));
    framer.push(b"abc {0}\r\n");
    assert_eq!(framer.next(), Ok(Some(Frame::GoAhead)));
    framer.push(b"\r\n");
    assert_eq!(framer.next(), message(b"A RESERVE {3}\r\nabc {0}\r\n").map(Some));
    assert_eq!(framer.next(), Ok(None));
}

#[test]
fn a_sasl_exchange_is_messages() {
    let stream = b"A01 AUTHENTICATE \"PLAIN\" {28+}\r\nbXVyZGVyAG11cmRlcgBzZWNyZXQ=\r\n\r\n*\r\n";
    let expected = [
        message(b"A01 AUTHENTICATE \"PLAIN\" {28+}\r\nbXVyZGVyAG11cmRlcgBzZWNyZXQ="),
        message(b""),
        message(b"*"),
    ];
    assert_eq!(frames(Limits::default(), stream), expected);
}

#[test]
fn braces_within_quotes_announce_nothing() {
    assert_eq!(frames(SMALL, b"A FIND \"x{3}\"\r\n"), [message(b"A FIND \"x{3}\"")]);
    assert_eq!(frames(SMALL, b"A FIND {}\r\n"), [message(b"A FIND {}")]);
}

#[test]
fn a_line_as_long_as_the_limit_passes() {
    assert_eq!(frames(SMALL, b"A 34567890123456\r\n"), [message(b"A 34567890123456")]);
    assert_eq!(frames(SMALL, b"A 345678901234567\r\n"), [too_long(Some("A"), LimitKind::Line)]);
    assert_eq!(frames(SMALL, b"A 34567890123456\rx\r\n"), [too_long(Some("A"), LimitKind::Line)]);
    assert_eq!(frames(SMALL, b"A2345678901234567\r\n"), [too_long(None, LimitKind::Line)]);
}

#[test]
fn the_longest_tag_is_still_answered_when_its_message_is_too_long() {
    let limits = Limits { line: 80, message: 200, ..SMALL };
    let stream = |tag: usize| [&vec![b'x'; tag][..], b" FIND {9}\r\n"].concat();
    let tag = Tag::new(vec![b'x'; Tag::MAX]).expect("as long as may be");
    let limit = LimitKind::Literal;
    assert_eq!(frames(limits, &stream(Tag::MAX)), [Ok(Frame::TooLong { tag: Some(tag), limit })]);
    assert_eq!(frames(limits, &stream(Tag::MAX + 1)), [too_long(None, limit)]);
}

#[test]
fn a_long_line_is_dropped_with_its_literals() {
    let stream = b"A FIND \"12345678901234567890\" {3+}\r\nB\n\n {2+}\r\nC\n\r\nD NOOP\r\n";
    assert_eq!(frames(SMALL, stream), [too_long(Some("A"), LimitKind::Line), message(b"D NOOP")]);
}

#[test]
fn a_line_is_waited_for_only_so_long() {
    let stream = [&[b'x'; 16 * 16][..], b"\nA NOOP\n"].concat();
    assert_eq!(frames(SMALL, &stream), [too_long(None, LimitKind::Line), message(b"A NOOP")]);
    assert_eq!(frames(SMALL, &[b'x'; 16 * 16 + 1]), [Err(FrameError::LineTooLong)]);
}

#[test]
fn a_line_after_a_literal_is_waited_for_as_long() {
    let stream = [b"A {8+}\r\n12345678", &[b'x'; 16 * 16][..], b"\nA NOOP\n"].concat();
    assert_eq!(frames(SMALL, &stream), [too_long(Some("A"), LimitKind::Line), message(b"A NOOP")]);
    let stream = [b"A {8+}\r\n12345678", &[b'x'; 16 * 16 + 1][..]].concat();
    assert_eq!(frames(SMALL, &stream), [Err(FrameError::LineTooLong)]);
}

#[test]
fn a_long_synchronising_literal_is_refused_before_it_is_sent() {
    let stream = b"A FIND {9}\r\nB NOOP\r\n";
    assert_eq!(frames(SMALL, stream), [too_long(Some("A"), LimitKind::Literal), message(b"B NOOP")]);
    let stream = b"A {4294967295}\r\nB NOOP\r\n";
    assert_eq!(frames(SMALL, stream), [too_long(Some("A"), LimitKind::Literal), message(b"B NOOP")]);
}

#[test]
fn a_long_literal_is_dropped_with_the_rest_of_its_message() {
    let stream = b"A FIND {9+}\r\n\n\n\n\n\n\n\n\n\n {1}\r\nB NOOP\r\n";
    assert_eq!(frames(SMALL, stream), [too_long(Some("A"), LimitKind::Literal), message(b"B NOOP")]);
}

#[test]
fn a_literal_is_waited_for_only_so_long() {
    let stream = [b"A FIND {128+}\r\n", &[b'\n'; 128][..], b"\r\nB NOOP\r\n"].concat();
    assert_eq!(frames(SMALL, &stream), [too_long(Some("A"), LimitKind::Literal), message(b"B NOOP")]);
    assert_eq!(frames(SMALL, b"A FIND {129+}\r\n"), [Err(FrameError::LiteralTooLong)]);
}

#[test]
fn a_length_that_overflows_is_the_end() {
    for stream in [&b"{99999999999+}\r\n"[..], b"A {4294967296}\r\n"] {
        assert_eq!(frames(SMALL, stream), [Err(FrameError::LiteralLength)]);
    }
}

#[test]
fn the_whole_message_has_a_limit_too() {
    let fits = b"A {5+}\r\n12345 {8+}\r\n12345678 {8+}\r\n1234";
    let limits = Limits { message: fits.len() + 4, ..SMALL };
    let stream = [&fits[..], b"5678\r\nB NOOP\r\n"].concat();
    let expected = [message(b"A {5+}\r\n12345 {8+}\r\n12345678 {8+}\r\n12345678"), message(b"B NOOP")];
    assert_eq!(frames(limits, &stream), expected);
    let expected = [too_long(Some("A"), LimitKind::Message), message(b"B NOOP")];
    assert_eq!(frames(SMALL, &stream), expected, "the literal is over the limit");
    let stream = [&fits[..], b"5678 \"\"\r\nB NOOP\r\n"].concat();
    assert_eq!(frames(limits, &stream), expected, "the line is over the limit");
}

#[test]
fn limits_can_be_raised_on_the_way() {
    let mut framer = Framer::new(SMALL);
    framer.push(b"A LOGOUT\r\nB LIST \"12345678901234567890\"\r\n");
    assert_eq!(framer.next(), message(b"A LOGOUT").map(Some));
    framer.set_limits(Limits::default());
    assert_eq!(framer.next(), message(b"B LIST \"12345678901234567890\"").map(Some));
}

#[test]
fn memory_is_given_back() {
    let mut framer = Framer::new(Limits::default());
    framer.push(&[b'x'; 60_000]);
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.buffered(), 60_000);
    framer.push(b"\n");
    assert!(matches!(framer.next(), Ok(Some(Frame::Message(_)))));
    assert_eq!((framer.buffered(), framer.buffer.capacity()), (0, 0));
    for (length, kept) in [(100, true), (KEEP, true), (KEEP + 1, false)] {
        framer.buffer = Vec::with_capacity(length);
        framer.push(b"A NOOP\n");
        assert_eq!(framer.next(), message(b"A NOOP").map(Some));
        assert_eq!(framer.buffer.capacity() > 0, kept, "a buffer of {length}");
    }
}

#[test]
fn a_buffer_that_never_runs_empty_does_not_grow() {
    let mut framer = Framer::new(SMALL);
    framer.push(b"A ");
    for _ in 0..10_000 {
        framer.push(b"NOOP\r\nA ");
        assert_eq!(framer.next(), message(b"A NOOP").map(Some));
        assert_eq!(framer.next(), Ok(None));
    }
    assert!(framer.buffer.capacity() < 100);
}

#[test]
fn what_has_been_scanned_is_not_scanned_again() {
    let mut framer = Framer::new(Limits::default());
    for pushed in 1..=5 {
        framer.push(b"x");
        assert_eq!(framer.next(), Ok(None));
        assert!(matches!(framer.state, State::Line { scanned, .. } if scanned == pushed));
    }
}
