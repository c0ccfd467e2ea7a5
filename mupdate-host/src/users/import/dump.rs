//! The text of `db_dump` and `mdb_dump`: a header of `name=value` lines, then keys and values in turns, each on a line of
//! its own behind a space. With `format=bytevalue` their octets are hexadecimal; with `format=print` only those are that
//! cannot be printed, behind a backslash, and a backslash is two.
//!
//! A key of a sasldb is `user NUL realm NUL property`.

use zeroize::Zeroizing;

use super::{Entry, NotUnderstood};

const HEADER: &[u8] = b"VERSION=";

/// The header says so.
pub(super) fn is_one(text: &[u8]) -> bool {
    text.starts_with(HEADER)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Print,
    ByteValue,
}

/// Reads a dump of one database.
pub(super) fn read(text: &[u8]) -> Result<Vec<Entry>, NotUnderstood> {
    let not_whole = NotUnderstood { line: 0, reason: "the dump is not whole: DATA=END is missing" };
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut lines = (1..).zip(lines);
    let format = header(&mut lines)?;
    let mut entries = Vec::new();
    loop {
        let (line, key) = lines.next().ok_or_else(|| not_whole.clone())?;
        if key == b"DATA=END" {
            break;
        }
        let (value_line, value) = lines.next().ok_or_else(|| not_whole.clone())?;
        let key = octets(line, key, format)?;
        entries.push(entry(line, &key, octets(value_line, value, format)?)?);
    }
    match lines.find(|(_, line)| !line.is_empty()) {
        Some((line, _)) => Err(NotUnderstood { line, reason: "something follows after DATA=END" }),
        None => Ok(entries),
    }
}

fn header<'a>(lines: &mut impl Iterator<Item = (usize, &'a [u8])>) -> Result<Format, NotUnderstood> {
    let mut format = None;
    for (line, text) in lines {
        let wrong = |reason| Err(NotUnderstood { line, reason });
        match text {
            b"HEADER=END" => {
                let reason = "the header of the dump does not say a format";
                return format.ok_or(NotUnderstood { line, reason });
            }
            b"VERSION=3" => {}
            b"format=print" => format = Some(Format::Print),
            b"format=bytevalue" => format = Some(Format::ByteValue),
            // Of LMDB: a backslash of the password itself looks like one that begins an octet.
            _ if text.starts_with(b"mapsize=") && format == Some(Format::Print) => {
                return wrong(
                    "`mdb_dump -p` writes backslashes so that they cannot be told apart; leave out -p",
                );
            }
            // Numbers instead of keys.
            b"type=queue" | b"type=recno" | b"keys=0" => {
                return wrong("a database without keys is no sasldb");
            }
            _ if text.starts_with(HEADER) => return wrong("only version 3 of dumps is understood"),
            _ if text.starts_with(b"format=") => return wrong("this format of dumps is not understood"),
            // The name of one of several databases, page sizes and the like.
            _ if text.contains(&b'=') => {}
            _ => return wrong("this is no line of a dump's header"),
        }
    }
    Err(NotUnderstood { line: 0, reason: "the header of the dump has no end" })
}

/// What a line of data means.
fn octets(line: usize, text: &[u8], format: Format) -> Result<Zeroizing<Vec<u8>>, NotUnderstood> {
    let wrong = |reason| NotUnderstood { line, reason };
    let text = text.strip_prefix(b" ").ok_or_else(|| wrong("a line of data begins with a space"))?;
    // With its room from the start, a password is not left behind where a growing buffer was.
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while !rest.is_empty() {
        let octet = |high, low| hexadecimal(high, low).ok_or_else(|| wrong("an octet is not hexadecimal"));
        let (octet, length) = match (format, rest) {
            (Format::Print, [b'\\', b'\\', ..]) => (b'\\', 2),
            (Format::Print, [b'\\', high, low, ..]) => (octet(*high, *low)?, 3),
            (Format::Print, [plain, ..]) if *plain != b'\\' => (*plain, 1),
            (Format::ByteValue, [high, low, ..]) => (octet(*high, *low)?, 2),
            _ => return Err(wrong("it ends within an octet")),
        };
        octets.push(octet);
        rest = &rest[length..];
    }
    Ok(octets)
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn entry(line: usize, key: &[u8], value: Zeroizing<Vec<u8>>) -> Result<Entry, NotUnderstood> {
    let reason = "the key is not user, realm and property, as those of a sasldb are";
    let key = str::from_utf8(key).map_err(|_| NotUnderstood { line, reason: "the key is not UTF-8" })?;
    let mut parts = key.split('\0').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(user), Some(realm), Some(property), None) => {
            Ok(Entry { line, user, realm, property, value: Some(value) })
        }
        _ => Err(NotUnderstood { line, reason }),
    }
}
