//! What lies between the socket and the session.
//!
//! Nothing, or DEFLATE. TLS will lie here too, below DEFLATE: its octets go through the same two doors.

use bytes::{Buf, BytesMut};

use crate::deflate::{DeflateError, Deflater, Inflater};

/// Octets that the session is given at a time. It goes through all the commands in them before anybody else has a say,
/// so it is no more than a large command or a hundred of the smallest, which is some ten microseconds.
pub(super) const PIECE: usize = 1024;

/// Octets that wait for the session, beyond which no more are read. Less is read ahead only to keep a pipeline going and
/// to notice that a peer has closed.
const READ_AHEAD: usize = 16 * 1024;

/// A waiting room that is larger is given back when it is empty: idle connections are many.
const KEEP: usize = 4 * 1024;

/// The layers of one connection.
///
/// - Octets of the session leave through `out` itself while there is no layer, so nothing is copied.
/// - Input waits here, as it came, until the session wants more of it: compressed octets stay compressed.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Input without a layer.
    plain: BytesMut,
    deflate: Option<Box<Deflate>>,
}

#[derive(Debug, Default)]
struct Deflate {
    inflater: Inflater,
    deflater: Deflater,
    /// Compressed octets that have not left yet.
    wire: BytesMut,
}

impl Layers {
    /// From here on everything is compressed, both ways. Whatever came before was for the session.
    pub fn compress(&mut self) {
        debug_assert!(
            self.plain.is_empty(),
            "octets that were sent ahead of a layer are not taken for its own"
        );
        self.deflate = Some(Box::default());
    }

    pub fn compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// Octets from the socket.
    pub fn received(&mut self, octets: &[u8]) {
        match &mut self.deflate {
            None => self.plain.extend_from_slice(octets),
            Some(deflate) => deflate.inflater.push(octets),
        }
    }

    /// Input is waiting.
    pub fn holds_input(&self) -> bool {
        self.deflate.as_ref().map_or(!self.plain.is_empty(), |deflate| deflate.inflater.ready())
    }

    /// There is room for more.
    pub fn wants_input(&self) -> bool {
        self.deflate.as_ref().map_or(self.plain.len(), |deflate| deflate.inflater.pending()) < READ_AHEAD
    }

    /// Give `take` a piece of the waiting input. It may be empty.
    pub fn step(&mut self, take: impl FnOnce(&[u8])) -> Result<(), DeflateError> {
        match &mut self.deflate {
            None => {
                let piece = self.plain.len().min(PIECE);
                take(&self.plain[..piece]);
                self.plain.advance(piece);
                if self.plain.is_empty() && self.plain.capacity() > KEEP {
                    self.plain = BytesMut::new();
                }
            }
            Some(deflate) => {
                let mut plain = [0; PIECE];
                let length = deflate.inflater.step(&mut plain)?;
                take(&plain[..length]);
            }
        }
        Ok(())
    }

    /// A burst of the session is complete: put it into the layer's form.
    pub fn seal(&mut self, out: &mut BytesMut) -> Result<(), DeflateError> {
        if let Some(deflate) = &mut self.deflate {
            deflate.deflater.burst(out, &mut deflate.wire)?;
            out.clear();
        }
        Ok(())
    }

    /// Everything that was sealed has left.
    pub fn flushed(&self) -> bool {
        self.deflate.as_ref().is_none_or(|deflate| deflate.wire.is_empty())
    }

    /// What is to be written to the socket, given the session's `out`.
    pub fn output<'a>(&'a self, out: &'a BytesMut) -> &'a [u8] {
        self.deflate.as_ref().map_or(out, |deflate| &deflate.wire)
    }

    /// That much of [`output`](Self::output) was written.
    pub fn wrote(&mut self, out: &mut BytesMut, length: usize) {
        let wire = self.deflate.as_mut().map_or(out, |deflate| &mut deflate.wire);
        wire.advance(length.min(wire.len()));
    }
}
