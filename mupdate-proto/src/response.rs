//! What a server says: RFC 3656, section 3.

use crate::command::tag;
use crate::scan::{Cursor, put_line, put_text};
use crate::{Malformed, MalformedReason};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

/// How a command ended, or why the server speaks up without having been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Done.
    Ok,
    /// Understood, and refused.
    No,
    /// Not understood, or not legal now.
    Bad,
    /// The server closes the connection.
    Bye,
}

impl Status {
    const ALL: [Status; 4] = [Status::Ok, Status::No, Status::Bad, Status::Bye];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
            Status::Bye => "BYE",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of a server's answer. `S` is whatever holds the octets: `&[u8]` to write, [`Bytes`] when read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<S = Bytes> {
    /// How a command ended.
    Status {
        /// Which command; `None` is `*`: none in particular.
        tag: Option<S>,
        /// How.
        status: Status,
        /// The same for people.
        text: S,
    },
    /// A mailbox that is active.
    Mailbox {
        /// The command that asked for it; on a stream, the UPDATE.
        tag: S,
        /// Its name.
        name: S,
        /// Where it is.
        location: S,
        /// Who may do what with it.
        acl: S,
    },
    /// A name that is reserved.
    Reserve {
        /// The command that asked for it; on a stream, the UPDATE.
        tag: S,
        /// The name.
        name: S,
        /// Who has reserved it.
        location: S,
    },
    /// A mailbox that is no more; on streams only.
    Delete {
        /// The UPDATE.
        tag: S,
        /// Its name.
        name: S,
    },
    /// Leave to send a synchronising literal.
    GoAhead,
}

impl<S: AsRef<[u8]>> Response<S> {
    /// Writes the response as it goes over the wire, line end and all.
    ///
    /// Strings are quoted where they are plain (printable 7-bit or TAB without `"` and `\`, at most 1,024 octets),
    /// else non-synchronising literals. The text of a status is always quoted; what is not printable 7-bit in it
    /// becomes `?`.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Response::Status { tag, status, text } => {
                out.put_slice(tag.as_ref().map_or(b"*", |tag| tag.as_ref()));
                out.put_u8(b' ');
                out.put_slice(status.as_str().as_bytes());
                out.put_u8(b' ');
                put_text(text.as_ref(), out);
                out.put_slice(b"\r\n");
            }
            Response::Mailbox { tag, name, location, acl } => {
                let strings = [name.as_ref(), location.as_ref(), acl.as_ref()];
                put_line(tag.as_ref(), b" MAILBOX", strings, out);
            }
            Response::Reserve { tag, name, location } => {
                put_line(tag.as_ref(), b" RESERVE", [name.as_ref(), location.as_ref()], out);
            }
            Response::Delete { tag, name } => put_line(tag.as_ref(), b" DELETE", [name.as_ref()], out),
            Response::GoAhead => out.put_slice(b"+ go ahead\r\n"),
        }
    }
}

impl Response<Bytes> {
    /// Parses a message as [`Frame::Message`](crate::Frame::Message) gives it.
    ///
    /// The text of a status may be quoted, a literal, or bare; it may be missing. Not for the lines of an
    /// AUTHENTICATE exchange, which are [`SaslLine`](crate::SaslLine)s.
    ///
    /// # Errors
    /// When the server does not speak the protocol. What is [`Malformed`] has no tag unless it is a proper one.
    pub fn parse(message: Bytes) -> Result<Response, Malformed> {
        let mut cursor = Cursor::new(&message);
        if matches!(cursor.rest(), [b'+'] | [b'+', b' ', ..]) {
            return Ok(Response::GoAhead);
        }
        let untagged = matches!(cursor.rest(), [b'*'] | [b'*', b' ', ..]);
        let tag = if untagged {
            cursor.atom();
            None
        } else {
            Some(tag(&mut cursor)?)
        };
        cursor.spaces();
        let octets = tag.clone().map(crate::Tag::into_bytes);
        parse_after_tag(octets, &mut cursor).map_err(|reason| Malformed { tag, reason })
    }
}

fn parse_after_tag(tag: Option<Bytes>, cursor: &mut Cursor<'_>) -> Result<Response, MalformedReason> {
    let word = cursor.atom();
    let is = |expected: &str| word.eq_ignore_ascii_case(expected.as_bytes());
    if word.is_empty() {
        return Err(MalformedReason::NullCommand);
    }
    if let Some(status) = Status::ALL.into_iter().find(|status| is(status.as_str())) {
        return Ok(Response::Status { tag, status, text: text(cursor) });
    }
    // Data always answers somebody.
    let tag = tag.ok_or(MalformedReason::BadTag);
    if is("MAILBOX") {
        let [name, location, acl] = cursor.arguments()?;
        Ok(Response::Mailbox { tag: tag?, name, location, acl })
    } else if is("RESERVE") {
        let [name, location] = cursor.arguments()?;
        Ok(Response::Reserve { tag: tag?, name, location })
    } else if is("DELETE") {
        let [name] = cursor.arguments()?;
        Ok(Response::Delete { tag: tag?, name })
    } else {
        Err(MalformedReason::UnknownCommand)
    }
}

/// All that is left, as one string if it is one, else as it is.
fn text(cursor: &mut Cursor<'_>) -> Bytes {
    cursor.spaces();
    let bare = cursor.remainder();
    match cursor.string() {
        Ok(string) if cursor.end().is_ok() => string,
        _ => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(message: &'static [u8]) -> Result<Response, MalformedReason> {
        Response::parse(Bytes::from_static(message)).map_err(|malformed| malformed.reason)
    }

    fn encoded(response: &Response<&[u8]>) -> BytesMut {
        let mut out = BytesMut::new();
        response.encode(&mut out);
        out
    }

    fn status(tag: Option<&'static str>, status: Status, text: &'static str) -> Response {
        Response::Status { tag: tag.map(Bytes::from), status, text: text.into() }
    }

    #[test]
    fn written() {
        let tag: &[u8] = b"X1";
        let ok = Response::Status { tag: Some(tag), status: Status::Ok, text: b"done" };
        assert_eq!(encoded(&ok), "X1 OK \"done\"\r\n");
        let bye = Response::Status { tag: None, status: Status::Bye, text: &b"so\nlong"[..] };
        assert_eq!(encoded(&bye), "* BYE \"so?long\"\r\n");
        let mailbox =
            Response::Mailbox { tag, name: b"user.\xfc", location: b"be1!default", acl: b"a\tlrs\t" };
        assert_eq!(&encoded(&mailbox)[..], b"X1 MAILBOX {6+}\r\nuser.\xfc \"be1!default\" \"a\tlrs\t\"\r\n");
        let reserve = Response::Reserve { tag, name: b"user.a", location: b"be1!" };
        assert_eq!(encoded(&reserve), "X1 RESERVE \"user.a\" \"be1!\"\r\n");
        assert_eq!(encoded(&Response::Delete { tag, name: b"user.a" }), "X1 DELETE \"user.a\"\r\n");
        assert_eq!(encoded(&Response::GoAhead), "+ go ahead\r\n");
        assert_eq!(Status::ALL.map(|status| status.to_string()), ["OK", "NO", "BAD", "BYE"]);
    }

    #[test]
    fn read_as_cyrus_writes_it() {
        assert_eq!(
            parse(b"U01 MAILBOX {10+}\r\nuser.alice {11+}\r\nbe1!default {7+}\r\na\tlrs\tb"),
            Ok(Response::Mailbox {
                tag: "U01".into(),
                name: "user.alice".into(),
                location: "be1!default".into(),
                acl: "a\tlrs\tb".into()
            })
        );
        assert_eq!(
            parse(b"U01 RESERVE {1+}\r\na {4+}\r\nbe1!"),
            Ok(Response::Reserve { tag: "U01".into(), name: "a".into(), location: "be1!".into() })
        );
        assert_eq!(
            parse(b"U01 DELETE {1+}\r\na"),
            Ok(Response::Delete { tag: "U01".into(), name: "a".into() })
        );
        assert_eq!(parse(b"A01 OK \"Authenticated\""), Ok(status(Some("A01"), Status::Ok, "Authenticated")));
        assert_eq!(parse(b"+ go ahead"), Ok(Response::GoAhead));
    }

    #[test]
    fn the_text_of_a_status_may_come_in_any_form() {
        assert_eq!(parse(b"* BYE {4+}\r\nbusy"), Ok(status(None, Status::Bye, "busy")));
        assert_eq!(parse(b"* bad Need command "), Ok(status(None, Status::Bad, "Need command ")));
        assert_eq!(parse(b"X1 NO"), Ok(status(Some("X1"), Status::No, "")));
        assert_eq!(parse(b"X1 NO \"a\" b"), Ok(status(Some("X1"), Status::No, "\"a\" b")));
        assert_eq!(parse(b"X1 NO \"it's \\\"no\\\"\""), Ok(status(Some("X1"), Status::No, "it's \"no\"")));
    }

    #[test]
    fn what_no_server_says() {
        assert_eq!(parse(b""), Err(MalformedReason::NeedCommand));
        assert_eq!(parse(b"*"), Err(MalformedReason::NullCommand));
        assert_eq!(parse(b"X1"), Err(MalformedReason::NullCommand));
        assert_eq!(parse(b"X1 FROB"), Err(MalformedReason::UnknownCommand));
        assert_eq!(parse(b"* DELETE \"a\""), Err(MalformedReason::BadTag));
        assert_eq!(parse(b"X1 DELETE"), Err(MalformedReason::MissingArguments));
        assert_eq!(parse(b"X1 RESERVE \"a\" \"b\" \"c\""), Err(MalformedReason::ExtraArguments));
    }
}
