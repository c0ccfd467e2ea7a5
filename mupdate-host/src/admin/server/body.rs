//! The body of a request, read as it comes.

use std::{
    io::{self, ErrorKind, Read},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

use super::socket::{PIECE, Wire};
use crate::{
    admin::http::{CONTINUE, Reader, Refused},
    wake::Wake,
};

/// A peer that owes a body and sends nothing for so long is gone.
const STALL: Duration = Duration::from_secs(30);

/// A request's body. No longer than its route allows; what a handler does not read is never asked for.
#[derive(Debug)]
pub struct Body<'a> {
    wire: &'a mut Wire,
    reader: &'a mut Reader,
    /// The peer waits to be asked for it.
    expects: bool,
}

impl<'a> Body<'a> {
    pub(super) fn new(wire: &'a mut Wire, reader: &'a mut Reader, expects: bool) -> Self {
        Self { wire, reader, expects }
    }

    /// What wakes this connection's thread where it [rests](super::Out::rest).
    pub fn wake(&self) -> &Arc<Wake> {
        self.wire.wake()
    }

    /// All of it, in memory: for routes whose bodies are small.
    ///
    /// # Errors
    /// The peer sends no more.
    pub fn whole(&mut self) -> Result<Vec<u8>, Refused> {
        let mut octets = Vec::new();
        match self.read_to_end(&mut octets) {
            Ok(_) => Ok(octets),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(Refused::new(408, "the body did not come"))
            }
            Err(error) => Err(Refused::bad(format!("the body did not come: {error}"))),
        }
    }

    /// What it says as JSON.
    ///
    /// # Errors
    /// It is something else, or the peer sends no more.
    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refused> {
        let octets = self.whole()?;
        serde_json::from_slice(&octets)
            .map_err(|error| Refused::bad(format!("the body is not as expected: {error}")))
    }
}

impl Read for Body<'_> {
    /// # Errors
    /// The peer takes too long (`TimedOut`), or is gone (`UnexpectedEof`).
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        loop {
            let some = self.reader.body(octets.len());
            if !some.is_empty() || self.reader.body_left() == 0 || octets.is_empty() {
                octets[..some.len()].copy_from_slice(&some);
                return Ok(some.len());
            }
            if std::mem::take(&mut self.expects) {
                self.wire.write(CONTINUE)?;
            }
            let mut piece = [0; PIECE];
            match self.wire.read(&mut piece, Instant::now() + STALL)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.reader.push(&piece[..length]),
            }
        }
    }
}
