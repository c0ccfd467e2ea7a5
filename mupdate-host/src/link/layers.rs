//! What lies between the socket and the session.
//!
//! Nothing, or DEFLATE. TLS will lie here too, below DEFLATE: its octets go through the same two doors.

use bytes::{Buf, BytesMut};

use crate::deflate::{DeflateError, Deflater, Inflater};

/// Plain octets that DEFLATE may yield before the session has looked at them.
const STEP: usize = 16 * 1024;

/// The layers of one connection.
///
/// - Octets of the session leave through `out` itself while there is no layer, so nothing is copied.
/// - With a layer, compressed input stays compressed until the session wants more.
#[derive(Debug, Default)]
pub(super) struct Layers {
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
    /// From here on everything is compressed, both ways.
    pub fn compress(&mut self) {
        self.deflate = Some(Box::default());
    }

    pub fn compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// Octets from the socket: kept, or if there is no layer, given back as they are.
    pub fn received<'a>(&mut self, octets: &'a [u8]) -> Option<&'a [u8]> {
        match &mut self.deflate {
            None => Some(octets),
            Some(deflate) => {
                deflate.inflater.push(octets);
                None
            }
        }
    }

    /// Input is waiting inside a layer.
    pub fn holds_input(&self) -> bool {
        self.deflate.as_ref().is_some_and(|deflate| deflate.inflater.ready())
    }

    /// Give `take` some of the waiting input.
    pub fn step(&mut self, take: impl FnOnce(&[u8])) -> Result<(), DeflateError> {
        if let Some(deflate) = &mut self.deflate {
            let mut plain = [0; STEP];
            let length = deflate.inflater.step(&mut plain)?;
            take(&plain[..length]);
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
