//! Answers as octets.

use std::fmt::Write;
use std::time::SystemTime;

use bytes::BytesMut;

use super::date::date;

/// What is said to a sender who wants to be asked for the body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Octets of a chunk's length in front of it.
const LENGTH: usize = 18;

/// How the end of an answer's body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has so many octets.
    Length(u64),
    /// By its last chunk.
    Chunked,
    /// By the end of the connection, as for HTTP/1.0.
    Close,
}

/// What stands before an answer's body.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// The status code.
    pub status: u16,
    /// The media type of the body.
    pub kind: &'a str,
    /// How its end is known.
    pub framing: Framing,
    /// The connection is closed after it.
    pub close: bool,
    /// Other fields. Neither their names nor their values come from a peer.
    pub fields: &'a [(&'static str, String)],
}

impl Head<'_> {
    /// Append the octets.
    pub fn encode(&self, now: SystemTime, out: &mut BytesMut) {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            write!(text, "{name}: {value}\r\n").expect("a String takes everything");
        };
        if let Some(date) = date(now) {
            field("Date", &date);
        }
        field("Content-Type", &self.kind);
        // What is true now is not in a minute; and nobody is to guess at types.
        field("Cache-Control", &"no-store");
        field("X-Content-Type-Options", &"nosniff");
        for (name, value) in self.fields {
            field(name, value);
        }
        match self.framing {
            Framing::Length(length) => field("Content-Length", &length),
            Framing::Chunked => field("Transfer-Encoding", &"chunked"),
            Framing::Close => {}
        }
        if self.close || self.framing == Framing::Close {
            field("Connection", &"close");
        }
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Append a chunk with these octets; no octets are no chunk, since an empty one is the last.
pub fn chunk(octets: &[u8], out: &mut BytesMut) {
    if octets.is_empty() {
        return;
    }
    out.reserve(octets.len() + LENGTH + 2);
    out.extend_from_slice(format!("{:x}\r\n", octets.len()).as_bytes());
    out.extend_from_slice(octets);
    out.extend_from_slice(b"\r\n");
}

/// Append what says that there are no more chunks.
pub fn last_chunk(out: &mut BytesMut) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// What a status is called (RFC 9110 section 15).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Other",
    }
}
