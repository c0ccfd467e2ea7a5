//! Lists of mailboxes as files: what `ctl_mboxlist -d` writes and `ctl_mboxlist -u` reads, and our own.
//!
//! | form | who | a row |
//! |---|---|---|
//! | [`Form::CyrusText`] | Cyrus 2.x to 3.4 | `name TAB type SP server!partition SP acl` |
//! | [`Form::CyrusJson`] | Cyrus 3.6 and later | a member of one object: name, and an object |
//! | [`Form::JsonLines`] | ours | an object a line, [`Mailbox`](crate::admin::api::Mailbox) |
//!
//! - Everything is read and written by and by: what is held is a row, however long the list.
//! - A row that is wrong is told with its number and does not keep the others from being read; what is no list at all ends
//!   the reading.
//! - What is written is read to the same, in each form; but for a reservation's ACL, which there is none of, for partitions
//!   that are not known, which the text calls `default`, and for names, locations and ACLs that are no UTF-8, which Cyrus's JSON has no way to write.

#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod json;
mod lines;
#[cfg(test)]
mod tests;
mod text;

use std::{
    fmt,
    io::{self, BufRead, Write},
    str::FromStr,
};

use bytes::Bytes;
use mupdate_core::directory::{Edit, Record, State};
use mupdate_proto::{Acl, Location, MailboxName, ServerName};

/// Octets of one row at most: a name, a location, and an ACL of a megabyte.
const LONGEST: u64 = 4 << 20;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text, with the type numbers of a release.
    CyrusText(Release),
    /// One JSON object.
    CyrusJson,
    /// JSON Lines.
    JsonLines,
}

/// A release of Cyrus, as far as its type numbers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// What says that a mailbox is at another server.
    pub(super) remote: u32,
    /// What says that it is only reserved.
    pub(super) reserved: u32,
}

impl Release {
    /// 2.0 to 3.4.
    pub const OLD: Self = Self { remote: 1, reserved: 2 };
    /// 3.5 and later, which write JSON but for some of their development.
    pub const NEW: Self = Self { remote: 16, reserved: 32 };
}

impl FromStr for Release {
    type Err = &'static str;

    /// As in `3.2` or `2.4.17`.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const ALLOWED: &str = "allowed: a release of Cyrus, as in \"3.2\"";
        let mut parts = text.split('.').map(|part| part.parse::<u32>().map_err(|_| ALLOWED));
        let major = parts.next().ok_or(ALLOWED)??;
        let minor = parts.next().unwrap_or(Ok(0))?;
        for part in parts {
            part?;
        }
        match (major, minor) {
            (2, _) | (3, 0..=4) => Ok(Self::OLD),
            (3, _) => Ok(Self::NEW),
            _ => Err(ALLOWED),
        }
    }
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name.
    pub mailbox: MailboxName,
    /// What is known of it.
    pub record: Record,
}

impl From<Row> for Edit {
    fn from(Row { mailbox, record }: Row) -> Self {
        Self { mailbox, record: Some(record) }
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its line; the first is 1.
    pub at: u64,
    /// What is wrong, in one line.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.at, self.text)
    }
}

/// Who is given the rows: the line of each, and the row, or what is wrong with it.
pub type Each<'a> = &'a mut dyn FnMut(u64, Result<Row, Fault>) -> io::Result<()>;

/// Read a list; `each` is given every row, or what is wrong with it, in sequence, and stops the reading by an error of its
/// own. `server` is where mailboxes are whose row names no server: those of a backend's own list.
///
/// # Errors
/// It cannot be read, it is no list of this form from some place on ([`io::ErrorKind::InvalidData`]), or `each` said so.
pub fn read(form: Form, from: impl BufRead, server: Option<&ServerName>, each: Each<'_>) -> io::Result<()> {
    match form {
        Form::CyrusText(release) => by_line(from, each, |line| text::parse(line, release, server)),
        Form::JsonLines => by_line(from, each, lines::parse),
        Form::CyrusJson => json::read(from, server, each),
    }
}

/// Writes a list, row by row.
#[derive(Debug)]
pub struct Writer<W> {
    form: Form,
    to: W,
    rows: u64,
}

impl<W: Write> Writer<W> {
    /// A list of this form.
    pub fn new(form: Form, to: W) -> Self {
        Self { form, to, rows: 0 }
    }

    /// One more row.
    ///
    /// # Errors
    /// It cannot be written, or not in this form ([`io::ErrorKind::InvalidData`]).
    pub fn row(&mut self, row: &Row) -> io::Result<()> {
        let line = match self.form {
            Form::CyrusText(release) => text::write(row, release)?,
            Form::JsonLines => lines::write(row)?,
            Form::CyrusJson => {
                let line = json::write(row)?;
                self.to.write_all(if self.rows == 0 { b"{\n" } else { b",\n" })?;
                line
            }
        };
        self.rows += 1;
        self.to.write_all(&line)
    }

    /// A line of JSON Lines that says nothing, so that the lines after it have the numbers that they have elsewhere.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn blank(&mut self) -> io::Result<()> {
        debug_assert_eq!(self.form, Form::JsonLines, "other forms have no such line");
        self.to.write_all(b"\n")
    }

    /// The end of the list.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self) -> io::Result<W> {
        if self.form == Form::CyrusJson {
            self.to.write_all(if self.rows == 0 { b"{\n\n}\n" } else { b"\n}\n" })?;
        }
        self.to.flush()?;
        Ok(self.to)
    }
}

/// Rows that are lines; empty ones are none.
fn by_line(
    mut from: impl BufRead,
    each: Each<'_>,
    parse: impl Fn(&[u8]) -> Result<Row, String>,
) -> io::Result<()> {
    let mut line = Vec::new();
    for at in 1.. {
        line.clear();
        if io::Read::take(&mut from, LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("line {at} has no end")));
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            each(at, parse(line).map_err(|text| Fault { at, text }))?;
        }
    }
    Ok(())
}

/// A row of what was read.
fn row(name: &[u8], location: &[u8], acl: Option<&[u8]>) -> Result<Row, String> {
    let shown = name.escape_ascii();
    let mailbox = MailboxName::new(Bytes::copy_from_slice(name))
        .map_err(|_| format!("\"{shown}\" is no mailbox name"))?;
    let location = Location::new(Bytes::copy_from_slice(location))
        .map_err(|_| format!("\"{}\", of {shown}, is no location", location.escape_ascii()))?;
    let state = acl.map_or(State::Reserved, |acl| State::Active(Acl::new(Bytes::copy_from_slice(acl))));
    Ok(Row { mailbox, record: Record { location, state } })
}

/// `server!partition` of two that may be missing.
fn location(server: Option<&[u8]>, partition: &[u8], at: Option<&ServerName>) -> Result<Vec<u8>, String> {
    let server = server.or_else(|| at.map(ServerName::as_bytes));
    let server = server.ok_or("is on the server that wrote the list: name that server")?;
    Ok([server, b"!", partition].concat())
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}
