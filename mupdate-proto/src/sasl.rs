//! The lines of an AUTHENTICATE exchange: bare base64, without the `+ ` that other protocols put before a challenge.

use bytes::{BufMut, BytesMut};
use std::{error::Error, fmt};

/// Not base64 (RFC 4648, section 4), or not the one way to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBase64;

/// A line of an AUTHENTICATE exchange, either way.
///
/// Its `Debug` does not show the data, which may be a password.
#[derive(Clone, PartialEq, Eq)]
pub enum SaslLine {
    /// A challenge or a response, decoded. Empty is legal.
    Data(Vec<u8>),
    /// `*`: the client gives up.
    Cancel,
}

impl SaslLine {
    /// Parses a line without its end.
    ///
    /// # Errors
    /// When it is neither `*` nor base64.
    pub fn parse(line: &[u8]) -> Result<SaslLine, BadBase64> {
        if line == b"*" { Ok(SaslLine::Cancel) } else { decode_base64(line).map(SaslLine::Data) }
    }

    /// Writes the line with its end.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            SaslLine::Data(data) => encode_challenge(data, out),
            SaslLine::Cancel => out.put_slice(b"*\r\n"),
        }
    }
}

impl fmt::Debug for SaslLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslLine::Data(data) => write!(f, "Data(<{} octets>)", data.len()),
            SaslLine::Cancel => f.write_str("Cancel"),
        }
    }
}

/// Writes `data` as a line of bare base64; no data is an empty line.
pub fn encode_challenge(data: &[u8], out: &mut BytesMut) {
    out.put_slice(encode_base64(data).as_bytes());
    out.put_slice(b"\r\n");
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes as base64 with padding.
pub fn encode_base64(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for group in data.chunks(3) {
        let bits = group.iter().fold(0, |bits, octet| bits << 8 | u32::from(*octet));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 0x3f;
            let letter = if digit <= group.len() { ALPHABET[value as usize] } else { b'=' };
            out.push(char::from(letter));
        }
    }
    out
}

/// Decodes base64; the padding must be there, and the bits that it pads must be zero.
///
/// # Errors
/// When that is not so, or an octet is not of the alphabet.
pub fn decode_base64(text: &[u8]) -> Result<Vec<u8>, BadBase64> {
    let (groups, []) = text.as_chunks::<4>() else { return Err(BadBase64) };
    let mut out = Vec::with_capacity(groups.len() * 3);
    for (at, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|octet| **octet == b'=').count();
        if padding > 2 || padding > 0 && at + 1 < groups.len() {
            return Err(BadBase64);
        }
        let mut bits = 0;
        for octet in &group[..4 - padding] {
            bits = bits << 6 | value(*octet).ok_or(BadBase64)?;
        }
        let octets = (bits << (6 * padding)).to_be_bytes();
        let (data, padded) = octets[1..].split_at(3 - padding);
        if padded.iter().any(|octet| *octet != 0) {
            return Err(BadBase64);
        }
        out.extend_from_slice(data);
    }
    Ok(out)
}

/// What a letter of the alphabet stands for.
fn value(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

impl fmt::Display for BadBase64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid base64")
    }
}

impl Error for BadBase64 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("murder\0murder\0secret", "bXVyZGVyAG11cmRlcgBzZWNyZXQ="),
        ] {
            assert_eq!(encode_base64(data.as_bytes()), text);
            assert_eq!(decode_base64(text.as_bytes()).as_deref(), Ok(data.as_bytes()));
        }
        assert_eq!(decode_base64(b"++//").as_deref(), Ok(&[0xfb, 0xef, 0xff][..]));
    }

    #[test]
    fn what_is_not_base64() {
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "Zm9v ",
            "Zm9v\r",
            "Zh==",
            "Zm9=",
            "====",
            "Z===",
            "=Zg=",
            "Z=g=",
            "Zg==Zg==",
            "Zg==Zm9v",
            "Zm-v",
            "Zm_v",
            "\u{fc}\u{fc}",
            "=",
        ] {
            assert_eq!(decode_base64(text.as_bytes()), Err(BadBase64), "{text}");
        }
    }

    #[test]
    fn lines() {
        assert_eq!(SaslLine::parse(b""), Ok(SaslLine::Data(vec![])));
        assert_eq!(SaslLine::parse(b"Zm9v"), Ok(SaslLine::Data(b"foo".to_vec())));
        assert_eq!(SaslLine::parse(b"*"), Ok(SaslLine::Cancel));
        assert_eq!(SaslLine::parse(b"* "), Err(BadBase64));
        assert_eq!(BadBase64.to_string(), "invalid base64");

        let mut out = BytesMut::new();
        encode_challenge(b"", &mut out);
        SaslLine::Data(b"foo".to_vec()).encode(&mut out);
        SaslLine::Cancel.encode(&mut out);
        assert_eq!(out, "\r\nZm9v\r\n*\r\n");
    }

    #[test]
    fn debug_hides_passwords() {
        assert_eq!(format!("{:?}", SaslLine::Data(b"secret".to_vec())), "Data(<6 octets>)");
        assert_eq!(format!("{:?}", SaslLine::Cancel), "Cancel");
    }
}
