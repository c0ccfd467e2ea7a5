//! What can happen to a session.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Commands that arbitrary octets would hardly ever hit upon, behind their tag.
const COMMANDS: [&str; 24] = [
    " AUTHENTICATE \"PLAIN\" \"AHUAcA==\"\r\n",
    " AUTHENTICATE \"LOGIN\"\r\n",
    " authenticate \"X\" \"=\"\n",
    " AUTHENTICATE \"X\" {1}\r\n!\r\n",
    " STARTTLS\r\n",
    " COMPRESS \"DEFLATE\"\r\n",
    " RESERVE {1+}\r\na \"s!p\"\r\n",
    " ACTIVATE \"a\" \"s!\" {3+}\r\nx\ty\r\n",
    " DEACTIVATE \"a\" \"s!p\"\r\n",
    " DELETE {1}\r\na\r\n",
    " DELETE \"too.long\"\r\n",
    " FIND \"a\"\r\n",
    " FIND \"b\"\r\n",
    " LIST\r\n",
    " LIST \"s!\"\r\n",
    " UPDATE\r\n",
    " UPDATE \"s\" {1+}\r\nt\r\n",
    " NOOP\r\n",
    " NOOP {101+}\r\n",
    " {200}\r\n",
    " LOGOUT\r\n",
    " FIND\r\n",
    " FIND \"\"\r\n",
    " {4294967296+}\r\n",
];

/// What is said without a tag.
const LINES: [&str; 8] = ["dQ==\r\n", "*\r\n", "=\r\n", "\r\n", "\n", "x", " \r\n", "{1601+}\r\n"];

/// One thing that happens to a session.
#[derive(Debug)]
pub(super) enum Operation<'a> {
    /// The peer sends a phrase; its last octets come later.
    Say { phrase: u8, tag: u8, held: u8 },
    /// The peer sends these octets.
    Send(&'a [u8]),
    /// The peer sends many lines at once: eight times this is more than is read ahead.
    Flood,
    /// The outstanding request is answered, or the layer is in place.
    Answer(u8),
    /// Some other request is answered.
    Stale(u8),
    /// Tenths of a second pass.
    Wait(u8),
    /// The peer reads four times that many octets.
    Flush(u8),
    /// The feed holds something.
    Changed,
    /// The peer closes its side.
    Eof,
    /// This side wants to end.
    Shutdown,
    /// The peer is gone.
    Abandon,
}

/// One octet says what happens, those behind it how: an operation stays the same when another is put before it.
impl<'a> Arbitrary<'a> for Operation<'a> {
    fn arbitrary(source: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match source.arbitrary::<u8>()? % 20 {
            0..=6 => Self::Say { phrase: source.arbitrary()?, tag: source.arbitrary()?, held: 0 },
            7 => {
                let (phrase, tag) = (source.arbitrary()?, source.arbitrary()?);
                Self::Say { phrase, tag, held: source.arbitrary()? }
            }
            8 => {
                let length = usize::from(source.arbitrary::<u8>()? % 64).min(source.len());
                Self::Send(source.bytes(length)?)
            }
            9..=11 => Self::Answer(source.arbitrary()?),
            12 => Self::Stale(source.arbitrary()?),
            13 => Self::Wait(source.arbitrary()?),
            14 => Self::Flush(source.arbitrary()?),
            15 => Self::Changed,
            16 => Self::Eof,
            17 => Self::Shutdown,
            18 => Self::Abandon,
            _ => Self::Flood,
        })
    }
}

/// Appends a phrase to what the peer sends.
pub(super) fn phrase(phrase: u8, tag: u8, wire: &mut Vec<u8>) {
    let phrase = usize::from(phrase) % (COMMANDS.len() + LINES.len());
    match COMMANDS.get(phrase) {
        Some(command) => {
            wire.push(b'A' + tag % 26);
            wire.extend_from_slice(command.as_bytes());
        }
        None => wire.extend_from_slice(LINES[phrase - COMMANDS.len()].as_bytes()),
    }
}
