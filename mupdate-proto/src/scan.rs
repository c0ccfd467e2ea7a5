//! A cursor over the atoms and strings of one message, and how strings are written.

use crate::{BadString, MalformedReason};
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr;

/// The longest string that is sent quoted, in octets; a longer one goes as a literal.
const QUOTED_MAX: usize = 1024;

/// What is left of a message.
#[derive(Debug)]
pub(crate) struct Cursor {
    rest: Bytes,
}

impl Cursor {
    pub(crate) fn new(message: Bytes) -> Cursor {
        Cursor { rest: message }
    }

    /// What has not been read yet, as it came.
    pub(crate) fn rest(&self) -> &Bytes {
        &self.rest
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Skips any number of spaces; tells whether there were any.
    pub(crate) fn spaces(&mut self) -> bool {
        let spaces = self.rest.iter().take_while(|octet| **octet == b' ').count();
        self.take(spaces);
        spaces > 0
    }

    /// Everything up to the next space; empty if there is none.
    pub(crate) fn atom(&mut self) -> Bytes {
        let end = memchr(b' ', &self.rest).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// The next argument: at least one space and a string, or `None` when nothing but spaces is left.
    pub(crate) fn argument(&mut self) -> Result<Option<Bytes>, MalformedReason> {
        let spaces = self.spaces();
        if self.is_at_end() {
            return Ok(None);
        }
        if !spaces {
            return Err(BadString::NoSpace.into());
        }
        self.string().map(Some)
    }

    /// Exactly `N` arguments and nothing else.
    pub(crate) fn arguments<const N: usize>(&mut self) -> Result<[Bytes; N], MalformedReason> {
        let mut arguments = [const { Bytes::new() }; N];
        for argument in &mut arguments {
            *argument = self.argument()?.ok_or(MalformedReason::MissingArguments)?;
        }
        self.end()?;
        Ok(arguments)
    }

    /// Nothing but spaces is left.
    pub(crate) fn end(&mut self) -> Result<(), MalformedReason> {
        let spaces = self.spaces();
        match self.rest.first() {
            None => Ok(()),
            Some(_) if spaces => Err(MalformedReason::ExtraArguments),
            Some(_) => Err(BadString::NoSpace.into()),
        }
    }

    /// A quoted string or a literal.
    pub(crate) fn string(&mut self) -> Result<Bytes, MalformedReason> {
        match self.rest.first() {
            Some(b'"') => Ok(self.quoted()?),
            Some(b'{') => Ok(self.literal()?),
            _ => Err(MalformedReason::UnquotedArgument),
        }
    }

    /// The octets are shared unless there are escapes to undo.
    fn quoted(&mut self) -> Result<Bytes, BadString> {
        self.take(1);
        let end = memchr::memchr2(b'"', b'\\', &self.rest).ok_or(BadString::Unclosed)?;
        if self.rest[end] == b'"' {
            let string = self.take(end);
            self.take(1);
            return allowed(&string).map(|()| string);
        }
        let mut string = Vec::with_capacity(end + 16);
        loop {
            let end = memchr::memchr2(b'"', b'\\', &self.rest).ok_or(BadString::Unclosed)?;
            let plain = self.take(end);
            allowed(&plain)?;
            string.extend_from_slice(&plain);
            if self.take(1)[0] == b'"' {
                return Ok(string.into());
            }
            match self.rest.first().copied() {
                Some(octet @ (b'"' | b'\\')) => string.push(octet),
                Some(_) => return Err(BadString::BadEscape),
                None => return Err(BadString::Unclosed),
            }
            self.take(1);
        }
    }

    /// `{N}` or `{N+}`, a line end, and N octets.
    fn literal(&mut self) -> Result<Bytes, BadString> {
        let close = memchr(b'}', &self.rest).ok_or(BadString::BadLiteral)?;
        let announcement = self.take(close + 1);
        let number = &announcement[1..close];
        let number = number.strip_suffix(b"+").unwrap_or(number);
        // `parse` alone would take "+1".
        if !number.iter().all(u8::is_ascii_digit) {
            return Err(BadString::BadLiteral);
        }
        let length = std::str::from_utf8(number).ok().and_then(|digits| digits.parse::<u32>().ok());
        let length = length.and_then(|n| usize::try_from(n).ok()).ok_or(BadString::BadLiteral)?;
        let line_end = match &self.rest[..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => return Err(BadString::BadLiteral),
        };
        self.take(line_end);
        if self.rest.len() < length {
            return Err(BadString::BadLiteral);
        }
        Ok(self.take(length))
    }

    /// The next `octets`, of which there are at least that many.
    fn take(&mut self, octets: usize) -> Bytes {
        self.rest.split_to(octets)
    }
}

/// Whether these octets may stand between quotes.
fn allowed(octets: &[u8]) -> Result<(), BadString> {
    match memchr::memchr3(0, b'\r', b'\n', octets) {
        None => Ok(()),
        Some(_) => Err(BadString::Forbidden),
    }
}

/// Writes `string` quoted where that is plain, else as a non-synchronising literal.
///
/// Plain is printable 7-bit or TAB without `"` and `\`, and not long. Cyrus itself sends literals only, but some of
/// its clients cannot read them; all of them read quoted strings.
pub(crate) fn put_string(string: &[u8], out: &mut BytesMut) {
    if string.len() <= QUOTED_MAX && is_plain(string) {
        out.reserve(string.len() + 2);
        out.extend_from_slice(b"\"");
        out.extend_from_slice(string);
        out.extend_from_slice(b"\"");
    } else {
        out.put_slice(format!("{{{}+}}\r\n", string.len()).as_bytes());
        out.put_slice(string);
    }
}

/// Can this be quoted as it is, and be read by everybody? All of it is looked at, many octets at a time, instead of one by
/// one up to the first that cannot: nearly all strings can.
fn is_plain(string: &[u8]) -> bool {
    let odd =
        |octet: u8| (octet < b' ' && octet != b'\t') | (octet > b'~') | (octet == b'"') | (octet == b'\\');
    !string.iter().fold(false, |any, &octet| any | odd(octet))
}

/// Writes `text` for people, always quoted: what is not printable 7-bit becomes `?`.
pub(crate) fn put_text(text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    for octet in text {
        match octet {
            b'"' | b'\\' => out.put_slice(&[b'\\', *octet]),
            b' '..=b'~' => out.put_u8(*octet),
            _ => out.put_u8(b'?'),
        }
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(octets: &'static [u8]) -> Result<Bytes, MalformedReason> {
        Cursor::new(Bytes::from_static(octets)).string()
    }

    #[test]
    fn quoted_strings() {
        assert_eq!(string(b"\"\""), Ok(Bytes::new()));
        assert_eq!(string(b"\"a\tb {3}\" c").as_deref(), Ok(&b"a\tb {3}"[..]));
        assert_eq!(string(b"\"\xfc\xff\"").as_deref(), Ok(&b"\xfc\xff"[..]));
        assert_eq!(string(br#""\"a\\b\"""#).as_deref(), Ok(&br#""a\b""#[..]));
    }

    #[test]
    fn quoted_strings_that_are_none() {
        for (octets, bad) in [
            (&b"\""[..], BadString::Unclosed),
            (b"\"abc", BadString::Unclosed),
            (b"\"a\\\"", BadString::Unclosed),
            (b"\"a\\", BadString::Unclosed),
            (b"\"a\\n\"", BadString::BadEscape),
            (b"\"a\0\"", BadString::Forbidden),
            (b"\"a {3+}\r\nabc\"", BadString::Forbidden),
            (b"\"\\\\\r\"", BadString::Forbidden),
        ] {
            assert_eq!(string(octets), Err(bad.into()), "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn literals() {
        assert_eq!(string(b"{3}\r\nabc").as_deref(), Ok(&b"abc"[..]));
        assert_eq!(string(b"{3+}\nabc x").as_deref(), Ok(&b"abc"[..]));
        assert_eq!(string(b"{0+}\r\n"), Ok(Bytes::new()));
        assert_eq!(string(b"{5+}\r\n\0\r\n\"}").as_deref(), Ok(&b"\0\r\n\"}"[..]));
    }

    #[test]
    fn literals_that_are_none() {
        for octets in [
            "{",
            "{}",
            "{+}",
            "{-1}\r\nx",
            "{+1}\r\nx",
            "{1++}\r\nx",
            "{3}",
            "{3}abc",
            "{3}\r\nab",
            "{3}\rabc",
            "{ 1}\r\nx",
            "{4294967296}\r\nx",
        ] {
            assert_eq!(string(octets.as_bytes()), Err(BadString::BadLiteral.into()), "{octets}");
        }
    }

    #[test]
    fn strings_without_escapes_are_not_copied() {
        let message = Bytes::from(b"\"abc\" {3}\r\ndef".to_vec());
        let mut cursor = Cursor::new(message.clone());
        for _ in 0..2 {
            let string = cursor.string().expect("a string");
            assert!(message.as_ptr_range().contains(&string.as_ptr()));
            cursor.spaces();
        }
    }

    #[test]
    fn written_quoted_where_plain() {
        let written = |octets: &[u8]| {
            let mut out = BytesMut::new();
            put_string(octets, &mut out);
            out
        };
        assert_eq!(written(b""), "\"\"");
        assert_eq!(written(b"a\tlrs\t~"), "\"a\tlrs\t~\"");
        assert_eq!(written(b"a\"b"), "{3+}\r\na\"b");
        assert_eq!(written(b"a\\b"), "{3+}\r\na\\b");
        assert_eq!(written(b"a\x7f"), "{2+}\r\na\x7f");
        assert_eq!(written(b"\xc3\xbc"), "{2+}\r\n\u{fc}");
        assert_eq!(written(&[b'x'; 1024]).len(), 1026);
        assert!(written(&[b'x'; 1025]).starts_with(b"{1025+}\r\n"));
    }

    #[test]
    fn texts_are_made_printable() {
        let mut out = BytesMut::new();
        put_text(b"\"a\\b\"\r\n\t\0\x7f\xff", &mut out);
        assert_eq!(out, "\"\\\"a\\\\b\\\"??????\"");
    }
}
