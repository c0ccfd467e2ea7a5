//! Recognises the announcement of a literal, `{N}` or `{N+}`, at the end of a line that comes in pieces.
//!
//! Quotes need no attention: no quoted string goes past the end of a line, so in a message that is well formed a
//! line that ends in `{N}` never ends within quotes.

use crate::FrameError;

/// A literal that a line announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Its length in octets.
    pub length: usize,
    /// Whether the peer waits for leave to send it (`{N}`) or sends it anyway (`{N+}`).
    pub synchronising: bool,
}

/// How much of an announcement the octets seen so far end with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineTail {
    /// Nothing of one.
    #[default]
    Other,
    /// `{`
    Open,
    /// `{` and digits.
    Digits(Length),
    /// `{`, digits and `+`.
    Plus(Length),
    /// All of it.
    Closed(Length, Synchronising),
    /// All of it, and a CR.
    ClosedCr(Length, Synchronising),
}

/// The number of an announcement; `None` when it does not fit.
type Length = Option<u32>;
type Synchronising = bool;

impl LineTail {
    /// Takes the next octets of the line; its LF is not one of them.
    pub(crate) fn feed(&mut self, mut octets: &[u8]) {
        // Nothing before the last brace can matter.
        if let Some(brace) = memchr::memrchr(b'{', octets) {
            *self = LineTail::Open;
            octets = &octets[brace + 1..];
        }
        for octet in octets {
            if *self == LineTail::Other {
                return;
            }
            *self = self.then(*octet);
        }
    }

    /// The literal that the line announced, now that it has ended.
    pub(crate) fn announced(self) -> Result<Option<Literal>, FrameError> {
        let (LineTail::Closed(length, synchronising) | LineTail::ClosedCr(length, synchronising)) = self
        else {
            return Ok(None);
        };
        let length = length.and_then(|n| usize::try_from(n).ok()).ok_or(FrameError::LiteralLength)?;
        Ok(Some(Literal { length, synchronising }))
    }

    fn then(self, octet: u8) -> LineTail {
        match (self, octet) {
            (LineTail::Open, b'0'..=b'9') => LineTail::Digits(with_digit(Some(0), octet)),
            (LineTail::Digits(length), b'0'..=b'9') => LineTail::Digits(with_digit(length, octet)),
            (LineTail::Digits(length), b'+') => LineTail::Plus(length),
            (LineTail::Digits(length), b'}') => LineTail::Closed(length, true),
            (LineTail::Plus(length), b'}') => LineTail::Closed(length, false),
            (LineTail::Closed(length, synchronising), b'\r') => LineTail::ClosedCr(length, synchronising),
            _ => LineTail::Other,
        }
    }
}

fn with_digit(length: Length, digit: u8) -> Length {
    length?.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
}
