//! The body of an answer that is written as it is made.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use bytes::BytesMut;
use serde::Serialize;

use super::socket::Wire;
use crate::{
    admin::http::{Framing, chunk, last_chunk},
    wake::Wake,
};

/// Octets that are gathered before they are written.
const GATHERED: usize = 16 * 1024;

/// Where a handler writes an answer of any length. Writing waits for the peer, so no lock and no read transaction is
/// held meanwhile; an error means that the peer is gone, and is to be handed on.
#[derive(Debug)]
pub struct Out<'a> {
    wire: &'a mut Wire,
    framing: Framing,
    gathered: Vec<u8>,
}

impl<'a> Out<'a> {
    pub(super) fn new(wire: &'a mut Wire, framing: Framing) -> Self {
        Self { wire, framing, gathered: Vec::new() }
    }

    /// Write a line of JSON.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.gathered, value)?;
        self.gathered.push(b'\n');
        if self.gathered.len() < GATHERED { Ok(()) } else { self.flush() }
    }

    /// What wakes this connection's thread where it [rests](Self::rest).
    pub fn wake(&self) -> &Arc<Wake> {
        self.wire.wake()
    }

    /// Write what was gathered, then wait until woken, or until the deadline. False: the daemon goes down, and the answer
    /// is to end.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn rest(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        self.flush()?;
        self.wire.rest(deadline)
    }

    /// The daemon goes down, and the answer is to end.
    pub fn is_closing(&self) -> bool {
        self.wire.is_closing()
    }

    /// Say that this is all.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        if self.framing != Framing::Chunked {
            return Ok(());
        }
        let mut end = BytesMut::new();
        last_chunk(&mut end);
        self.wire.write(&end)
    }
}

impl Write for Out<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= GATHERED {
            self.flush()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        if self.framing == Framing::Chunked {
            let mut out = BytesMut::new();
            chunk(&self.gathered, &mut out);
            self.wire.write(&out)?;
        } else {
            self.wire.write(&self.gathered)?;
        }
        self.gathered.clear();
        Ok(())
    }
}
