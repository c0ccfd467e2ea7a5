//! The sans-IO part, whatever comes: what fuzz targets and tests call.

use std::time::UNIX_EPOCH;

use bytes::BytesMut;

use super::{Framing, HEAD, Head, Reader, Refused, Request, chunk, last_chunk};

/// Octets that are pushed at once.
const PIECE: usize = 97;

/// What becomes of a connection: its requests with their bodies, and the error that ends it, if one does.
type Conversation = (Vec<(Request, Vec<u8>)>, Option<Refused>);

/// Read `data` as what a connection sends, and panic at the first broken promise:
///
/// - whether it comes at once, in pieces or octet by octet, the same requests come out, and the same error;
/// - nothing is held but a head, and a piece;
/// - chunks give back what was put into them.
pub fn connection(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    assert_eq!(read(data, 1), whole, "octet by octet");
    assert_eq!(read(data, PIECE), whole, "in pieces");
    for (request, body) in &whole.0 {
        assert!(request.path.starts_with('/') && !request.path.contains(['?', '\r', '\n', ' ']));
        assert!(body.len() as u64 <= request.length);
        chunks(body);
    }
    for framing in [Framing::Length(data.len() as u64), Framing::Chunked, Framing::Close] {
        let mut out = BytesMut::new();
        let head = Head { status: 200, kind: "text/plain", framing, close: false, fields: &[] };
        head.encode(UNIX_EPOCH, &mut out);
        assert!(out.ends_with(b"\r\n\r\n"));
    }
}

fn read(data: &[u8], piece: usize) -> Conversation {
    let (mut reader, mut requests) = (Reader::default(), Vec::<(Request, Vec<u8>)>::new());
    for octets in data.chunks(piece) {
        reader.push(octets);
        loop {
            while let (Some((_, body)), true) = (requests.last_mut(), reader.body_left() > 0) {
                match reader.body(7) {
                    none if none.is_empty() => break,
                    some => body.extend_from_slice(&some),
                }
            }
            match reader.request() {
                Ok(Some(request)) => requests.push((request, Vec::new())),
                Ok(None) => break,
                Err(refused) => return (requests, Some(refused)),
            }
        }
        assert!(reader.buffered() <= HEAD, "no more than a head is held");
    }
    (requests, None)
}

/// A body in chunks, read as a client would.
fn chunks(body: &[u8]) {
    let mut out = BytesMut::new();
    body.chunks(PIECE).for_each(|piece| chunk(piece, &mut out));
    chunk(b"", &mut out);
    last_chunk(&mut out);
    let (mut rest, mut read) = (&out[..], Vec::new());
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a length");
        let digits = str::from_utf8(&rest[..end]).expect("digits");
        let length = usize::from_str_radix(digits, 16).expect("a length");
        rest = &rest[end + 2..];
        read.extend_from_slice(&rest[..length]);
        assert_eq!(&rest[length..length + 2], b"\r\n");
        rest = &rest[length + 2..];
        if length == 0 {
            break;
        }
    }
    assert!(rest.is_empty());
    assert_eq!(read, body);
}
