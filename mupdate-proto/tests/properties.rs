//! What must hold for whatever anybody sends.

use bytes::{Bytes, BytesMut};
use mupdate_proto::{Command, Frame, FrameError, Framer, Limits, Malformed, Response, harness};
use proptest::collection::vec;
use proptest::prelude::*;

/// Octets that look like the protocol, so that the interesting paths are taken.
fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\r\n", "\n", "\r", " ", "  ", "\t", "\"", "\\", "\\\"", "{", "}", "+}", "{}", "{+}", "{-1}", "{0}",
            "{0+}", "{3}\r\n", "{3+}\r\n", "{3+}\n", "{003+}\r\n", "{9}\r\n", "{9+}\r\n", "{100+}\r\n",
            "{129+}\r\n", "{600+}\r\n", "{70000000+}\r\n", "{4294967295}\r\n", "{4294967296+}\r\n",
            "{99999999999999999999+}\r\n", "abc", "A1", "X0 ", "*", "+", "* OK MUPDATE", "* AUTH", "FIND",
            "RESERVE ", "ACTIVATE ", "deactivate ", "DELETE", "LIST", "UPDATE", "NOOP", "LOGOUT", "STARTTLS",
            "COMPRESS ", "AUTHENTICATE ", "MAILBOX ", " OK ", "BAD", "\"user.a\"", "\"be1!default\"", "\"a!b!c\"",
            "\"\"", "=", "bXVy",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_chunking_gives_the_same_frames(head in any::<[u8; 2]>(), stream in dialogue()) {
        harness::chunking(&[&head[..], &stream].concat());
    }

    #[test]
    fn any_chunking_of_noise_gives_the_same_frames(data in vec(any::<u8>(), 0..600)) {
        harness::chunking(&data);
    }

    #[test]
    fn commands_survive_the_wire(data in vec(any::<u8>(), 0..600)) {
        harness::command_round_trip(&data);
    }

    #[test]
    fn responses_survive_the_wire(data in vec(any::<u8>(), 0..600)) {
        harness::response_round_trip(&data);
    }

    #[test]
    fn banners_survive_the_wire(data in vec(any::<u8>(), 0..600)) {
        harness::banner_round_trip(&data);
    }

    #[test]
    fn base64_is_one_to_one(data in vec(any::<u8>(), 0..100), text in "[A-Da-d01+/=*]{0,12}") {
        harness::sasl(&data);
        harness::sasl(text.as_bytes());
    }

    /// Parsers are never handed a message that no framer made, but must not mind it either.
    #[test]
    fn parsers_take_octets_that_were_never_framed(data in dialogue()) {
        let data = Bytes::from(data);
        let _ = Command::parse(data.clone());
        let _ = Response::parse(data);
    }

    /// What a long line, a long literal and all that follows them leave behind is a stream in step.
    #[test]
    fn a_message_too_long_does_not_harm_the_next(lines in vec(0_usize..300, 1..6), literal in 9_usize..129) {
        let limits = Limits { line: 32, literal: 8, message: 100 };
        let mut stream = Vec::new();
        stream.extend_from_slice(format!("A1 FIND {{{literal}+}}\r\n").as_bytes());
        stream.extend(std::iter::repeat_n(b'\n', literal));
        for line in &lines {
            stream.extend(std::iter::repeat_n(b'x', *line));
            stream.extend_from_slice(b" {3+}\r\na\nb");
        }
        stream.extend_from_slice(b"\r\nA2 NOOP\r\n");
        let frames = harness::frames(limits, [&stream[..]]);
        prop_assert_eq!(frames.len(), 2);
        let dropped =
            matches!(&frames[0], Ok(Frame::TooLong { tag: Some(tag), .. }) if tag.as_bytes() == b"A1");
        prop_assert!(dropped);
        prop_assert_eq!(&frames[1], &Ok(Frame::Message(Bytes::from_static(b"A2 NOOP"))));
    }

    /// Commands one after the other come out one after the other.
    #[test]
    fn pipelined_commands_stay_apart(names in vec(vec(1_u8.., 1..20), 0..20)) {
        let mut out = BytesMut::new();
        let mut sent = Vec::new();
        for name in names {
            let message = [b"T FIND {" as &[u8], name.len().to_string().as_bytes(), b"+}\r\n", &name].concat();
            if let Ok(command) = Command::parse(message.into()) {
                command.encode(&mut out);
                sent.push(command);
            }
        }
        let received: Result<Vec<_>, Malformed> = harness::frames(Limits::default(), [&out[..]])
            .into_iter()
            .map(|frame| match frame {
                Ok(Frame::Message(message)) => Command::parse(message),
                other => panic!("not a message: {other:?}"),
            })
            .collect();
        prop_assert_eq!(received, Ok(sent));
    }
}

/// A peer that sends without end costs no more memory than the limits, whatever it sends.
#[test]
fn endless_input_is_not_kept() {
    let limits = Limits { line: 1 << 10, literal: 4 << 10, message: 8 << 10 };
    let chunk = [b'x'; 4096];

    let mut framer = Framer::new(limits);
    let mut taken = 0;
    let error = loop {
        framer.push(&chunk);
        taken += chunk.len();
        match framer.next() {
            Ok(frame) => assert_eq!(frame, None),
            Err(error) => break error,
        }
        assert!(framer.buffered() <= limits.message);
    };
    assert_eq!(error, FrameError::LineTooLong);
    assert_eq!(taken, 5 * chunk.len(), "sixteen lines' worth, and then no more");

    let mut framer = Framer::new(limits);
    framer.push(b"A1 FIND ");
    for _ in 0..10_000 {
        framer.push(b"{4096+}\r\n");
        assert_eq!(framer.next(), Ok(None));
        framer.push(&chunk);
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.buffered() <= limits.message);
    }
}
