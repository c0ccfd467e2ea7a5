//! What can be wrong with what a peer sent: [`Malformed`] can be answered, [`FrameError`] is fatal.

use crate::{InvalidLocation, InvalidName, InvalidServer, Status, Tag};
use std::{error::Error, fmt};

/// A message that makes no sense. The stream is still in step: answer it and go on.
///
/// Its `Display` is the text to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Whom to answer; `None` is the untagged `*`.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub reason: MalformedReason,
}

impl Malformed {
    /// How to answer: NO for a mailbox name that cannot be, BAD for all that is wrong with the syntax.
    pub fn status(&self) -> Status {
        match self.reason {
            MalformedReason::InvalidName(_) => Status::No,
            _ => Status::Bad,
        }
    }
}

/// What is wrong with a message; always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedReason {
    /// A tag, and nothing after it.
    NullCommand,
    /// Nothing at all, not even a tag.
    NeedCommand,
    /// What stands in the place of the tag is none.
    BadTag,
    /// Not a command, or not a response, of this protocol.
    UnknownCommand,
    /// Fewer arguments than the command takes.
    MissingArguments,
    /// More arguments than the command takes.
    ExtraArguments,
    /// An argument that is neither a quoted string nor a literal.
    UnquotedArgument,
    /// A string that is not well formed.
    BadString(BadString),
    /// A string that cannot name a mailbox. The only reason that is answered NO.
    InvalidName(InvalidName),
    /// A string that cannot be a location.
    InvalidLocation(InvalidLocation),
    /// A string that cannot name a server.
    InvalidServer(InvalidServer),
    /// A server's first lines are not a MUPDATE banner. Only from [`BannerReader`](crate::BannerReader).
    NotABanner,
}

/// What is wrong with a quoted string or a literal (RFC 3656, section 2; RFC 2244, section 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadString {
    /// A quoted string without its closing quote.
    Unclosed,
    /// A backslash before anything but `"` or `\`.
    BadEscape,
    /// A NUL, CR or LF within the quotes.
    Forbidden,
    /// A `{` that does not begin `{N}` or `{N+}`, a line end, and N octets.
    BadLiteral,
    /// Something stuck to the end of a string, where a space must be.
    NoSpace,
}

/// The stream cannot be followed any further: say `* BYE` with this text and close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The peer announced a literal whose length no 32 bits hold.
    LiteralLength,
    /// The peer went on and on without ending its line.
    LineTooLong,
    /// The peer announced a non-synchronising literal too long to wait for its end.
    LiteralTooLong,
}

/// Which of the [`Limits`](crate::Limits) a message exceeded. Its `Display` is the text to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// The octets between two line ends.
    Line,
    /// The octets of one literal.
    Literal,
    /// All of the message, literals included.
    Message,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// The texts are Cyrus's own where it has one.
impl fmt::Display for MalformedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MalformedReason::NullCommand => "Null command",
            MalformedReason::NeedCommand => "Need command",
            MalformedReason::BadTag => "Invalid tag",
            MalformedReason::UnknownCommand => "Unrecognized command",
            MalformedReason::MissingArguments => "Missing arguments",
            MalformedReason::ExtraArguments => "Extra arguments",
            MalformedReason::UnquotedArgument => "strings must be quoted or literal",
            MalformedReason::NotABanner => "not a MUPDATE banner",
            MalformedReason::BadString(bad) => return bad.fmt(f),
            MalformedReason::InvalidName(invalid) => return invalid.fmt(f),
            MalformedReason::InvalidLocation(invalid) => return invalid.fmt(f),
            MalformedReason::InvalidServer(invalid) => return invalid.fmt(f),
        })
    }
}

impl fmt::Display for BadString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadString::Unclosed => "quoted string has no end",
            BadString::BadEscape => "quoted string has an unknown escape",
            BadString::Forbidden => "quoted string holds a NUL, CR or LF",
            BadString::BadLiteral => "literal is not well formed",
            BadString::NoSpace => "arguments must be separated by a space",
        })
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::LiteralLength => "literal length is out of range",
            FrameError::LineTooLong => "line is too long",
            FrameError::LiteralTooLong => "literal is too long",
        })
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitKind::Line => "line is too long",
            LimitKind::Literal => "literal is too long",
            LimitKind::Message => "command is too long",
        })
    }
}

impl Error for Malformed {}
impl Error for MalformedReason {}
impl Error for BadString {}
impl Error for FrameError {}

impl From<BadString> for MalformedReason {
    fn from(bad: BadString) -> Self {
        MalformedReason::BadString(bad)
    }
}

impl From<InvalidName> for MalformedReason {
    fn from(invalid: InvalidName) -> Self {
        MalformedReason::InvalidName(invalid)
    }
}

impl From<InvalidLocation> for MalformedReason {
    fn from(invalid: InvalidLocation) -> Self {
        MalformedReason::InvalidLocation(invalid)
    }
}

impl From<InvalidServer> for MalformedReason {
    fn from(invalid: InvalidServer) -> Self {
        MalformedReason::InvalidServer(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mailbox_name_that_cannot_be_is_answered_no() {
        let status = |reason| Malformed { tag: None, reason }.status();
        assert_eq!(status(MalformedReason::InvalidName(InvalidName::Empty)), Status::No);
        assert_eq!(status(MalformedReason::InvalidLocation(InvalidLocation::TwoBangs)), Status::Bad);
        assert_eq!(status(MalformedReason::InvalidServer(InvalidServer::Empty)), Status::Bad);
        assert_eq!(status(MalformedReason::BadString(BadString::Unclosed)), Status::Bad);
        assert_eq!(status(MalformedReason::UnknownCommand), Status::Bad);
    }

    /// Administrators search their logs for the words of Cyrus's own server.
    #[test]
    fn texts_are_those_of_cyrus_where_it_has_one() {
        for (reason, text) in [
            (MalformedReason::NullCommand, "Null command"),
            (MalformedReason::NeedCommand, "Need command"),
            (MalformedReason::BadTag, "Invalid tag"),
            (MalformedReason::UnknownCommand, "Unrecognized command"),
            (MalformedReason::MissingArguments, "Missing arguments"),
            (MalformedReason::ExtraArguments, "Extra arguments"),
            (MalformedReason::UnquotedArgument, "strings must be quoted or literal"),
            (MalformedReason::NotABanner, "not a MUPDATE banner"),
            (BadString::Unclosed.into(), "quoted string has no end"),
            (BadString::BadEscape.into(), "quoted string has an unknown escape"),
            (BadString::Forbidden.into(), "quoted string holds a NUL, CR or LF"),
            (BadString::BadLiteral.into(), "literal is not well formed"),
            (BadString::NoSpace.into(), "arguments must be separated by a space"),
            (InvalidName::Empty.into(), "mailbox name is empty"),
            (InvalidLocation::NoServer.into(), "location has no server"),
            (InvalidServer::Bang.into(), "server name holds a !"),
        ] {
            assert_eq!(Malformed { tag: None, reason }.to_string(), text);
        }
        assert_eq!(FrameError::LiteralLength.to_string(), "literal length is out of range");
        assert_eq!(FrameError::LineTooLong.to_string(), "line is too long");
        assert_eq!(FrameError::LiteralTooLong.to_string(), "literal is too long");
        assert_eq!(LimitKind::Line.to_string(), "line is too long");
        assert_eq!(LimitKind::Literal.to_string(), "literal is too long");
        assert_eq!(LimitKind::Message.to_string(), "command is too long");
    }

    /// An answer is sent quoted; a text without quotes in it is readable by everybody.
    #[test]
    fn texts_hold_nothing_to_escape() {
        let texts = [
            MalformedReason::BadString(BadString::BadEscape).to_string(),
            MalformedReason::InvalidLocation(InvalidLocation::TwoBangs).to_string(),
            MalformedReason::InvalidName(InvalidName::Forbidden(0)).to_string(),
            MalformedReason::InvalidServer(InvalidServer::Bang).to_string(),
            FrameError::LiteralLength.to_string(),
            LimitKind::Message.to_string(),
        ];
        for text in texts {
            assert!(!text.contains(['"', '\\']), "{text}");
        }
    }
}
