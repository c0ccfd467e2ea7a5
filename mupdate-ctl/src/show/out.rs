//! Standard output.

use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Write},
};

use anstream::AutoStream;
use serde::Serialize;

use super::{Clock, Table, text::json};
use crate::fail::Fail;

/// Rows of a table that are shown at once.
const PAGE: usize = 1000;

/// Where a command's output goes. Colours are left out where no terminal is.
pub struct Out {
    stream: BufWriter<AutoStream<io::Stdout>>,
    /// For programs.
    pub json: bool,
    /// How times are shown.
    pub clock: Clock,
}

impl Out {
    /// Standard output.
    pub fn new(json: bool, utc: bool) -> Self {
        Self {
            stream: BufWriter::with_capacity(64 << 10, AutoStream::auto(io::stdout())),
            json,
            clock: Clock::new(utc),
        }
    }

    /// A line.
    pub fn line(&mut self, text: impl fmt::Display) -> Result<(), Fail> {
        Ok(writeln!(self.stream, "{text}")?)
    }

    /// What has been written so far is to be seen now.
    pub fn flush(&mut self) -> Result<(), Fail> {
        Ok(self.stream.flush()?)
    }

    /// A value as one line of JSON.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), Fail> {
        let text = serde_json::to_string(value).map_err(io::Error::from)?;
        Ok(writeln!(self.stream, "{}", json(text))?)
    }

    /// A value as a document, for people who read JSON too.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), Fail> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        Ok(writeln!(self.stream, "{}", json(text))?)
    }

    /// The rows of a table, if there are many already.
    pub fn some_of(&mut self, table: &mut Table) -> Result<(), Fail> {
        if table.waiting() < PAGE { Ok(()) } else { self.table(table) }
    }

    /// All rows of a table that have not been shown.
    pub fn table(&mut self, table: &mut Table) -> Result<(), Fail> {
        table.lines().into_iter().try_for_each(|line| self.line(line))
    }

    /// The same; or, where there was none and people look, a line that says so.
    pub fn table_or(&mut self, table: &mut Table, nothing: &str) -> Result<(), Fail> {
        if table.is_empty() && !self.json { self.line(nothing) } else { self.table(table) }
    }

    /// Octets as they are: completions and man pages.
    pub fn raw(&mut self, octets: &[u8]) -> Result<(), Fail> {
        Ok(self.stream.write_all(octets)?)
    }
}

/// Is there a person at standard error and standard input, who can be asked?
pub fn interactive() -> bool {
    io::stderr().is_terminal() && io::stdin().is_terminal()
}
