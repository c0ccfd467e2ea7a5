//! Octets and names as text that no terminal takes for commands.

use std::io::{self, Write};

use mupdate_host::admin::api::Text;

/// A name as a line of text: characters that would not be seen for what they are, and octets that are no UTF-8, are escaped
/// as in Rust and C. A backslash of the name's own is doubled, so that nothing is shown alike that is not.
pub fn escaped(octets: &[u8]) -> String {
    let mut shown = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => shown.push_str("\\\\"),
                char if char.is_control() || misleads(char) => shown.extend(char.escape_default()),
                char => shown.push(char),
            }
        }
        for octet in chunk.invalid() {
            shown.push_str(&format!("\\x{octet:02x}"));
        }
    }
    shown
}

/// Characters that are not seen, or that change the direction of what is beside them.
fn misleads(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// JSON in which no such character stands for itself. All of it is ASCII but for the contents of strings, where escapes mean
/// the same; the other control characters are escaped there already.
pub fn json(text: String) -> String {
    let odd = |char: char| char > '~' && (char.is_control() || misleads(char));
    if !text.contains(odd) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        // All of them have four digits at most.
        if odd(char) { shown.push_str(&format!("\\u{:04x}", u32::from(char))) } else { shown.push(char) }
    }
    shown
}

/// Lists for programs that are written to a terminal instead: what is no text is escaped there, TABs and line ends are not.
pub struct Harmless<W> {
    terminal: W,
    line: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// On the way to this terminal.
    pub fn new(terminal: W) -> Self {
        Self { terminal, line: Vec::new() }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.flush()?;
            }
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A piece between two of these is text, or part of it.
        for piece in self.line.split_inclusive(|octet| matches!(octet, b'\n' | b'\r' | b'\t' | b'\\')) {
            match piece.split_last() {
                Some((end @ (b'\n' | b'\r' | b'\t' | b'\\'), text)) => {
                    self.terminal.write_all(escaped(text).as_bytes())?;
                    self.terminal.write_all(&[*end])?;
                }
                _ => self.terminal.write_all(escaped(piece).as_bytes())?,
            }
        }
        self.line.clear();
        self.terminal.flush()
    }
}

/// The same of a text of the admin interface.
pub fn shown(text: &Text) -> String {
    escaped(text.as_bytes())
}

/// The same of one that may be missing.
pub fn shown_or_dash(text: Option<&Text>) -> String {
    text.map_or_else(|| "-".into(), shown)
}

/// What others have said, in one line: control characters become spaces.
pub fn one_line(text: &str) -> String {
    text.trim().chars().map(|char| if char.is_control() || misleads(char) { ' ' } else { char }).collect()
}

/// Octets for people.
pub fn octets(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

/// So many things, of one word that is put into the plural: `1 name`, `2 echoes`.
pub fn number(number: u64, word: &str) -> String {
    let plural = match word {
        _ if number == 1 => "",
        word if word.ends_with('o') => "es",
        _ => "s",
    };
    format!("{} {word}{plural}", count(number))
}

/// A number for people.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_raw() {
        assert_eq!(escaped("user.müller".as_bytes()), "user.müller");
        assert_eq!(escaped(b"a\x1b[31mb\tc\x7f"), "a\\u{1b}[31mb\\tc\\u{7f}");
        assert_eq!(escaped(b"a\xff\\"), "a\\xff\\\\");
        assert_eq!(escaped("\u{9b}\u{202e}x".as_bytes()), "\\u{9b}\\u{202e}x");
        assert_eq!((number(1, "name"), number(2000, "echo")), ("1 name".into(), "2,000 echoes".into()));
        assert_eq!(json("\"a\u{9b}\u{202e}\u{7f}é\"\n".into()), "\"a\\u009b\\u202e\\u007fé\"\n");
        let mut terminal = Harmless::new(Vec::new());
        terminal.write_all(b"user.a\x1b[31m\t1 be!p\\\xc3").expect("it takes all");
        terminal.write_all(b"\xa9\r\nrest\x9b").expect("it takes all");
        terminal.flush().expect("it takes all");
        assert_eq!(terminal.terminal, "user.a\\u{1b}[31m\t1 be!p\\é\r\nrest\\x9b".as_bytes());
        assert_eq!(one_line(" one\r\ntwo\x1b[0m\n"), "one  two [0m");
    }
}
