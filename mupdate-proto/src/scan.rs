//! A cursor over the atoms and strings of one message, and how strings are written.

use crate::{BadString, MalformedReason};
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr;

/// The longest string that is sent quoted, in octets; a longer one goes as a literal.
const QUOTED_MAX: usize = 1024;

/// What is left of a message. Strings that are taken out of it share its memory; whatever is only looked at does not.
#[derive(Debug)]
pub(crate) struct Cursor<'m> {
    message: &'m Bytes,
    /// Where the rest begins.
    at: usize,
}

impl<'m> Cursor<'m> {
    pub(crate) fn new(message: &'m Bytes) -> Self {
        Cursor { message, at: 0 }
    }

    /// What has not been read yet, as it came.
    pub(crate) fn rest(&self) -> &'m [u8] {
        &self.message[self.at..]
    }

    /// The same to keep.
    pub(crate) fn remainder(&self) -> Bytes {
        self.message.slice(self.at..)
    }

    /// The same octets, which are of this message, to keep.
    pub(crate) fn keep(&self, octets: &[u8]) -> Bytes {
        self.message.slice_ref(octets)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.message.len()
    }

    /// Skips any number of spaces; tells whether there were any.
    pub(crate) fn spaces(&mut self) -> bool {
        let spaces = self.rest().iter().take_while(|octet| **octet == b' ').count();
        self.at += spaces;
        spaces > 0
    }

    /// Everything up to the next space; empty if there is none.
    pub(crate) fn atom(&mut self) -> &'m [u8] {
        let end = memchr(b' ', self.rest()).unwrap_or(self.rest().len());
        self.pass(end)
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
        match self.rest().first() {
            None => Ok(()),
            Some(_) if spaces => Err(MalformedReason::ExtraArguments),
            Some(_) => Err(BadString::NoSpace.into()),
        }
    }

    /// A quoted string or a literal.
    pub(crate) fn string(&mut self) -> Result<Bytes, MalformedReason> {
        match self.rest().first() {
            Some(b'"') => Ok(self.quoted()?),
            Some(b'{') => Ok(self.literal()?),
            _ => Err(MalformedReason::UnquotedArgument),
        }
    }

    /// The octets are shared unless there are escapes to undo.
    fn quoted(&mut self) -> Result<Bytes, BadString> {
        self.pass(1);
        let rest = self.rest();
        let end = memchr::memchr2(b'"', b'\\', rest).ok_or(BadString::Unclosed)?;
        if rest[end] == b'"' {
            allowed(&rest[..end])?;
            let string = self.take(end);
            self.pass(1);
            return Ok(string);
        }
        let mut string = Vec::with_capacity(end + 16);
        loop {
            let end = memchr::memchr2(b'"', b'\\', self.rest()).ok_or(BadString::Unclosed)?;
            let plain = self.pass(end);
            allowed(plain)?;
            string.extend_from_slice(plain);
            if self.pass(1) == b"\"" {
                return Ok(string.into());
            }
            match self.rest().first().copied() {
                Some(octet @ (b'"' | b'\\')) => string.push(octet),
                Some(_) => return Err(BadString::BadEscape),
                None => return Err(BadString::Unclosed),
            }
            self.pass(1);
        }
    }

    /// `{N}` or `{N+}`, a line end, and N octets.
    fn literal(&mut self) -> Result<Bytes, BadString> {
        let close = memchr(b'}', self.rest()).ok_or(BadString::BadLiteral)?;
        let number = &self.pass(close + 1)[1..close];
        let number = number.strip_suffix(b"+").unwrap_or(number);
        // `parse` alone would take "+1".
        if !number.iter().all(u8::is_ascii_digit) {
            return Err(BadString::BadLiteral);
        }
        let length = std::str::from_utf8(number).ok().and_then(|digits| digits.parse::<u32>().ok());
        let length = length.and_then(|n| usize::try_from(n).ok()).ok_or(BadString::BadLiteral)?;
        let line_end = match self.rest() {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => return Err(BadString::BadLiteral),
        };
        self.pass(line_end);
        if self.rest().len() < length {
            return Err(BadString::BadLiteral);
        }
        Ok(self.take(length))
    }

    /// The next `octets`, of which there are at least that many, to look at.
    fn pass(&mut self, octets: usize) -> &'m [u8] {
        let passed = &self.message[self.at..self.at + octets];
        self.at += octets;
        passed
    }

    /// The next `octets`, of which there are at least that many, to keep.
    fn take(&mut self, octets: usize) -> Bytes {
        let taken = self.message.slice(self.at..self.at + octets);
        self.at += octets;
        taken
    }
}

/// Whether these octets may stand between quotes.
fn allowed(octets: &[u8]) -> Result<(), BadString> {
    match memchr::memchr3(0, b'\r', b'\n', octets) {
        None => Ok(()),
        Some(_) => Err(BadString::Forbidden),
    }
}

/// Octets around a string that [`put_string`] writes: the announcement of a literal is the longest.
const AROUND: usize = " {18446744073709551615+}\r\n".len();

/// Writes a line: a tag, a word with the space before it, and the strings.
///
/// There is room for all of it before the first octet is written: a LIST has millions of these.
pub(crate) fn put_line<const N: usize>(tag: &[u8], word: &[u8], strings: [&[u8]; N], out: &mut BytesMut) {
    let strings_at_most: usize = strings.iter().map(|string| string.len() + AROUND).sum();
    out.reserve(tag.len() + word.len() + strings_at_most + 2);
    out.extend_from_slice(tag);
    out.extend_from_slice(word);
    for string in strings {
        put_string(string, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a space and `string`, quoted where that is plain, else as a non-synchronising literal.
///
/// Plain is printable 7-bit or TAB without `"` and `\`, and not long. Cyrus itself sends literals only, but some of
/// its clients cannot read them; all of them read quoted strings.
pub(crate) fn put_string(string: &[u8], out: &mut BytesMut) {
    if string.len() <= QUOTED_MAX && is_plain(string) {
        out.extend_from_slice(b" \"");
        out.extend_from_slice(string);
        out.extend_from_slice(b"\"");
    } else {
        out.put_slice(format!(" {{{}+}}\r\n", string.len()).as_bytes());
        out.put_slice(string);
    }
}

/// Can this be quoted as it is, and be read by everybody?
///
/// All of it is looked at, [`BLOCK`] octets at a time, instead of one by one up to the first that cannot: nearly all
/// strings can. What is left over is looked at with octets before it a second time, for want of a whole block.
fn is_plain(string: &[u8]) -> bool {
    let (blocks, rest) = string.as_chunks::<BLOCK>();
    let odd_blocks = blocks.iter().fold(0, |any, block| any | odd(block));
    let odd_rest = match string.last_chunk::<BLOCK>() {
        _ if rest.is_empty() => 0,
        Some(last) => odd(last),
        None => odd(rest),
    };
    odd_blocks | odd_rest == 0
}

/// Octets that a processor compares at once.
const BLOCK: usize = 16;

/// Nothing, if all of these can be quoted as they are. There is no branch in it, so that whole blocks can be compared.
#[inline(always)]
fn odd(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |any, &octet| {
        let printable = octet.wrapping_sub(b' ') <= b'~' - b' ';
        let odd = (!printable & (octet != b'\t')) | (octet == b'"') | (octet == b'\\');
        any | u8::from(odd).wrapping_neg()
    })
}

/// Writes `text` for people, always quoted: what is not printable 7-bit becomes `?`.
pub(crate) fn put_text(text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    if odd(text) == 0 && !text.contains(&b'\t') {
        out.extend_from_slice(text);
        out.put_u8(b'"');
        return;
    }
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
        Cursor::new(&Bytes::from_static(octets)).string()
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
        let mut cursor = Cursor::new(&message);
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
        assert_eq!(written(b""), " \"\"");
        assert_eq!(written(b"a\tlrs\t~"), " \"a\tlrs\t~\"");
        assert_eq!(written(b"a\"b"), " {3+}\r\na\"b");
        assert_eq!(written(b"a\\b"), " {3+}\r\na\\b");
        assert_eq!(written(b"a\x7f"), " {2+}\r\na\x7f");
        assert_eq!(written(b"\xc3\xbc"), " {2+}\r\n\u{fc}");
        assert_eq!(written(&[b'x'; 1024]).len(), 1027);
        assert!(written(&[b'x'; 1025]).starts_with(b" {1025+}\r\n"));
    }

    #[test]
    fn texts_are_made_printable() {
        let mut out = BytesMut::new();
        put_text(b"\"a\\b\"\r\n\t\0\x7f\xff", &mut out);
        assert_eq!(out, "\"\\\"a\\\\b\\\"??????\"");
    }
}
