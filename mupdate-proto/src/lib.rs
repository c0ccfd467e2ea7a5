//! The MUPDATE protocol of [RFC 3656] as it is spoken on the wire by a Cyrus Murder.
//!
//! This crate turns octets into typed values and typed values into octets. It performs no I/O, reads no clock,
//! keeps no connection state beyond half a message, and decides nothing about who may say what: that belongs to
//! whoever holds the session.
//!
//! # In scope
//! - [`Framer`]: cuts what a peer sends, in whatever pieces it comes, into messages: lines with the literals that
//!   they announce, within [`Limits`].
//! - [`Command`]: what clients say, and [`Response`] and [`Banner`]: what servers say; each with `parse` and
//!   `encode` side by side.
//! - [`SaslLine`] and base64: the lines of an AUTHENTICATE exchange.
//! - [`Tag`], [`MailboxName`], [`ServerName`], [`Location`], [`Acl`]: octet strings that have been checked once and
//!   need no second check.
//!
//! # Not in scope
//! - Sockets, TLS, compression, timeouts, and the SASL mechanisms themselves.
//! - Which command is legal when, and what its answer is.
//! - How long a mailbox name may be: that depends on the store behind the session.
//!
//! # What a peer can do
//! No input makes this crate panic. A message that is framed but makes no sense is [`Malformed`], which knows the
//! tag and the text to answer with. Input too long is dropped without being stored and reported as
//! [`Frame::TooLong`]. Only where the stream cannot be followed any further is there a [`FrameError`], after which
//! the connection must be closed.
//!
//! # Example
//! ```
//! use bytes::BytesMut;
//! use mupdate_proto::{Command, Frame, Framer, Limits, Response, Status, Verb};
//!
//! let mut framer = Framer::new(Limits::default());
//! framer.push(b"X0 FIND {10+}\r\nuser.a");
//! assert_eq!(framer.next()?, None); // the rest of the literal has yet to come
//! framer.push(b"lice\r\n");
//!
//! let Some(Frame::Message(message)) = framer.next()? else { unreachable!("the message is whole") };
//! let command = Command::parse(message)?;
//! let Verb::Find { mailbox } = &command.verb else { unreachable!("it says FIND") };
//! assert_eq!(mailbox.as_bytes(), b"user.alice");
//!
//! let tag = command.tag.as_bytes();
//! let mut out = BytesMut::new();
//! Response::Mailbox { tag, name: mailbox.as_bytes(), location: b"be1!default", acl: b"alice\tlrs\t" }
//!     .encode(&mut out);
//! Response::Status { tag: Some(tag), status: Status::Ok, text: b"Search completed" }.encode(&mut out);
//! assert_eq!(
//!     &out[..],
//!     b"X0 MAILBOX \"user.alice\" \"be1!default\" \"alice\tlrs\t\"\r\nX0 OK \"Search completed\"\r\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [RFC 3656]: https://www.rfc-editor.org/rfc/rfc3656
#![forbid(unsafe_code)]

mod banner;
mod command;
mod error;
mod framer;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod literal;
mod response;
mod sasl;
mod scan;
mod types;

pub use banner::{Banner, BannerReader, CompressLines, Role};
pub use command::{Command, Verb};
pub use error::{BadString, FrameError, LimitKind, Malformed, MalformedReason};
pub use framer::{Frame, Framer, Limits};
pub use response::{Response, Status};
pub use sasl::{BadBase64, SaslLine, decode_base64, encode_base64, encode_challenge};
pub use types::{
    Acl, InvalidLocation, InvalidName, InvalidServer, InvalidTag, Location, MailboxName, ServerName, Tag,
};
