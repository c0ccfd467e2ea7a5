//! Splitting what a server sends into units, and showing octets to a reader.
//!
//! This deliberately shares nothing with `mupdate-proto`: it is the ruler that the server is
//! measured with.

use std::fmt::Write as _;

/// The length of the first whole unit in `octets`: a line, and as long as a line ends in `{n}` or
/// `{n+}`, those n octets and the line after them.
pub fn unit_length(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + octets[at..].iter().position(|&b| b == b'\n')? + 1;
        match announced_literal(&octets[at..end]) {
            Some(length) if end + length <= octets.len() => at = end + length,
            Some(_) => return None,
            None => return Some(end),
        }
    }
}

/// The n of a line that ends in `{n}` or `{n+}`.
fn announced_literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let start = line.iter().rposition(|b| !b.is_ascii_digit())?;
    if line[start] != b'{' {
        return None;
    }
    std::str::from_utf8(&line[start + 1..]).ok()?.parse().ok()
}

/// The tag and status of an answer that ends a command; `None` for anything else.
pub fn answer(unit: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut words = unit.splitn(3, |&b| b == b' ');
    let (tag, status) = (words.next()?, words.next()?);
    matches!(status, b"OK" | b"NO" | b"BAD" | b"BYE").then_some((tag, status))
}

/// Appends `octets` to a transcript, each line behind `prefix`.
///
/// Lines end in CRLF unless shown otherwise: a bare LF is written as `\n`, and octets that are
/// not followed by a line end are marked with an ellipsis.
pub fn show(transcript: &mut String, prefix: &str, octets: &[u8]) {
    for line in octets.split_inclusive(|&b| b == b'\n') {
        let (text, end) = match (line.strip_suffix(b"\r\n"), line.strip_suffix(b"\n")) {
            (Some(text), _) => (text, ""),
            (None, Some(text)) => (text, "\\n"),
            (None, None) => (line, "…"),
        };
        let space = if text.is_empty() && end.is_empty() { "" } else { " " };
        let _ = writeln!(transcript, "{prefix}{space}{}{end}", visible(text));
    }
}

/// So many of one character in a row are shown as `\(x*N)`, as a script would send them.
const LONG: usize = 50;

/// Octets as text: UTF-8 stays as it is, what cannot be seen becomes an escape.
pub fn visible(octets: &[u8]) -> String {
    let mut text = String::new();
    for chunk in octets.utf8_chunks() {
        let characters: Vec<char> = chunk.valid().chars().collect();
        for run in characters.chunk_by(|a, b| a == b) {
            let shown = escaped(run[0]);
            if run.len() < LONG {
                text.push_str(&shown.repeat(run.len()));
            } else {
                let _ = write!(text, "\\({shown}*{})", run.len());
            }
        }
        for octet in chunk.invalid() {
            let _ = write!(text, "\\x{octet:02x}");
        }
    }
    text
}

fn escaped(character: char) -> String {
    match character {
        '\t' => "\\t".into(),
        '\r' => "\\r".into(),
        '\n' => "\\n".into(),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_takes_its_literals_along() {
        assert_eq!(unit_length(b"A OK \"x\"\r\nB"), Some(10));
        assert_eq!(unit_length(b"A {3+}\r\na\nb {1}\r\nc\r\nrest"), Some(20));
        assert_eq!(unit_length(b"A {3+}\r\na\nb {1}\r\nc"), None);
        assert_eq!(unit_length(b"A {3"), None);
        assert_eq!(unit_length(b"\r\n"), Some(2));
    }

    #[test]
    fn answers_are_told_from_data() {
        assert_eq!(answer(b"A1 OK \"done\"\r\n"), Some((&b"A1"[..], &b"OK"[..])));
        assert_eq!(answer(b"A1 MAILBOX \"a\" \"b!c\" \"\"\r\n"), None);
        assert_eq!(answer(b"+ go ahead\r\n"), None);
    }

    #[test]
    fn octets_are_shown_without_loss() {
        let mut transcript = String::new();
        show(&mut transcript, "c1<", b"a\tb\r\n\r\nc\n\xff\x01\xc3\xa9");
        assert_eq!(transcript, "c1< a\\tb\nc1<\nc1< c\\n\nc1< \\xff\\x01é…\n");
        assert_eq!(visible(&[b'x'; 60]), "\\(x*60)");
    }
}
