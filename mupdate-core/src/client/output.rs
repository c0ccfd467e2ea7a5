//! What a client's session tells its user.

use bytes::Bytes;
use mupdate_proto::{Banner, Response, Status, Tag};

use super::state::Violation;

/// What the server said, or why there is nothing more to say. Poll again after taking it.
#[must_use = "the server's words are lost otherwise"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Something came.
    Event(Event),
    /// Nothing more until octets arrive.
    Blocked,
    /// The session is over; every further poll says the same.
    Closed(Reason),
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The banner: first of all, and again when TLS is in place.
    Banner(Banner),
    /// A line of data: of a FIND, a LIST, a dump or a stream. Its tag is that of the command that asked.
    Data(Response),
    /// A command is answered. Its tag names it.
    Completed {
        /// The command's tag.
        tag: Tag,
        /// OK, NO or BAD; for LOGOUT, RFC 3656 allows BYE too.
        status: Status,
        /// What it said.
        text: Bytes,
    },
    /// The mechanism's next challenge; answer with [`respond`](super::ClientSession::respond).
    Challenge(Vec<u8>),
    /// The server takes the literal that was announced.
    GoAhead,
    /// An untagged status: `* BYE` before the end, `* BAD` for what had no tag; from a foreign server, any.
    Untagged {
        /// What kind.
        status: Status,
        /// What it said.
        text: Bytes,
    },
}

/// Why a client's session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The server closed its side.
    EndOfInput,
    /// The server sent what a server must not.
    Violation(Violation),
}
