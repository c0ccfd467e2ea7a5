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

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(line: &[u8]) -> Result<Option<Literal>, FrameError> {
        let mut whole = LineTail::default();
        whole.feed(line);
        for split in 0..=line.len() {
            let mut pieces = LineTail::default();
            pieces.feed(&line[..split]);
            pieces.feed(&line[split..]);
            assert_eq!(pieces, whole, "split at {split}");
        }
        whole.announced()
    }

    #[test]
    fn forms() {
        let literal = |length, synchronising| Ok(Some(Literal { length, synchronising }));
        assert_eq!(announced(b"A FIND {3}"), literal(3, true));
        assert_eq!(announced(b"A FIND {3+}\r"), literal(3, false));
        assert_eq!(announced(b"{0}"), literal(0, true));
        assert_eq!(announced(b"{00000000000000000003+}"), literal(3, false));
        assert_eq!(announced(b"{1}{{2}"), literal(2, true));
        assert_eq!(announced(b"{4294967295+}"), literal(4_294_967_295, false));
    }

    #[test]
    fn what_is_no_announcement() {
        for line in [
            "", "{", "{}", "{+}", "{-1}", "{1-}", "{ 1}", "{1 }", "{1++}", "{1} ", "{1}\r\r", "1}", "\"{3}\"",
        ] {
            assert_eq!(announced(line.as_bytes()), Ok(None), "{line}");
        }
    }

    #[test]
    fn a_number_that_overflows_is_an_error_however_it_goes_on() {
        for line in ["{4294967296}", "{4294967296+}", "{99999999999999999999+}", "{42949672950000000000}"] {
            assert_eq!(announced(line.as_bytes()), Err(FrameError::LiteralLength), "{line}");
        }
    }
}
