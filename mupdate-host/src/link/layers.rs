//! What lies between the socket and the session: nothing, TLS, DEFLATE, or DEFLATE within TLS.
//!
//! ```text
//!   socket ── wire ⇄ [TLS] ⇄ [DEFLATE] ⇄ session
//! ```

use std::{fmt, sync::Arc};

use bytes::{Buf, BytesMut};

use crate::{
    auth::TlsFacts,
    deflate::{DeflateError, Deflater, Inflater},
    room::give_back,
    tls::{Channel, Tls, TlsError},
};

/// Octets that the session is given at a time. It goes through all the commands in them before anybody else has a say,
/// so it is no more than a large command or a hundred of the smallest, which is some ten microseconds.
pub(super) const PIECE: usize = 1024;

/// Octets that wait for the session, beyond which no more are read. Less is read ahead only to keep a pipeline going and
/// to notice that a peer has closed.
const READ_AHEAD: usize = 16 * 1024;

/// The layers of one connection.
///
/// - Octets of the session leave through `out` itself while there is no layer, so nothing is copied.
/// - Input waits here, as it came, until the session wants more of it: encrypted octets stay encrypted, and compressed
///   ones compressed. Only a handshake goes on by itself.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Input without a layer.
    plain: BytesMut,
    tls: Option<Box<Channel>>,
    deflate: Option<Box<Deflate>>,
    /// Octets in the form of the outermost layer that have not left yet.
    wire: BytesMut,
}

#[derive(Debug)]
struct Deflate {
    inflater: Inflater,
    deflater: Deflater,
}

/// Why a layer cannot go on.
#[derive(Debug)]
pub(super) enum LayerError {
    Tls(TlsError),
    Deflate(DeflateError),
}

impl Layers {
    /// From here on everything is compressed, both ways, and what comes in may grow `most` times. Whatever came before was
    /// for the session.
    pub fn compress(&mut self, most: Option<u32>) {
        debug_assert!(
            self.plain.is_empty(),
            "octets that were sent ahead of a layer are not taken for its own"
        );
        let inflater = Inflater::new(most);
        self.deflate = Some(Box::new(Deflate { inflater, deflater: Deflater::default() }));
    }

    pub fn compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// From here on everything is encrypted, both ways, beginning with a handshake.
    pub fn encrypt(&mut self, tls: &Arc<Tls>) -> Result<(), LayerError> {
        debug_assert!(
            !self.holds_input(),
            "octets that were sent ahead of a layer are not taken for its own"
        );
        self.tls = Some(Box::new(tls.accept()?));
        Ok(())
    }

    pub fn encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// A handshake is not complete: only [`shake`](Self::shake) goes on.
    pub fn handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.handshaking())
    }

    /// Go on with the handshake as far as what came goes; when it is complete, what is known of the connection.
    pub fn shake(&mut self) -> Result<Option<TlsFacts>, LayerError> {
        let Some(tls) = &mut self.tls else { return Ok(None) };
        tls.shake(&mut self.wire)?;
        Ok((!tls.handshaking()).then(|| tls.facts()))
    }

    /// The handshake took over an earlier session.
    pub fn resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.resumed())
    }

    /// The peer said that nothing more comes, and all that came was taken.
    pub fn ended(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.ended())
    }

    /// Octets from the socket.
    pub fn received(&mut self, octets: &[u8]) {
        match (&mut self.tls, &mut self.deflate) {
            (Some(tls), _) => tls.push(octets),
            (None, Some(deflate)) => deflate.inflater.push(octets),
            (None, None) => self.plain.extend_from_slice(octets),
        }
    }

    /// Input is waiting.
    pub fn holds_input(&self) -> bool {
        !self.plain.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.ready())
            || self.deflate.as_ref().is_some_and(|deflate| deflate.inflater.ready())
    }

    /// There is room for more.
    pub fn wants_input(&self) -> bool {
        let waiting = match (&self.tls, &self.deflate) {
            (Some(tls), _) => tls.pending(),
            (None, Some(deflate)) => deflate.inflater.pending(),
            (None, None) => self.plain.len(),
        };
        waiting < READ_AHEAD
    }

    /// Give `take` a piece of the waiting input. It may be empty.
    pub fn step(&mut self, take: impl FnOnce(&[u8])) -> Result<(), LayerError> {
        let mut piece = [0; PIECE];
        match (&mut self.tls, &mut self.deflate) {
            (None, None) => {
                let piece = self.plain.len().min(PIECE);
                take(&self.plain[..piece]);
                self.plain.advance(piece);
                give_back(&mut self.plain);
            }
            (Some(tls), None) => {
                let length = tls.step(&mut piece, &mut self.wire)?;
                take(&piece[..length]);
            }
            (tls, Some(deflate)) => {
                if let Some(tls) = tls
                    && !deflate.inflater.ready()
                {
                    let length = tls.step(&mut piece, &mut self.wire)?;
                    deflate.inflater.push(&piece[..length]);
                }
                let length = deflate.inflater.step(&mut piece)?;
                take(&piece[..length]);
            }
        }
        Ok(())
    }

    /// A burst of the session is complete: put it into the layers' form.
    pub fn seal(&mut self, out: &mut BytesMut) -> Result<(), LayerError> {
        match (&mut self.tls, &mut self.deflate) {
            (None, None) => return Ok(()),
            (None, Some(deflate)) => deflate.deflater.burst(out, &mut self.wire)?,
            (Some(tls), None) => tls.seal(out, &mut self.wire)?,
            (Some(tls), Some(deflate)) => {
                let mut packed = BytesMut::new();
                deflate.deflater.burst(out, &mut packed)?;
                tls.seal(&packed, &mut self.wire)?;
            }
        }
        out.clear();
        Ok(())
    }

    /// Nothing more will be said: tell the peer, if the layer has a word for it.
    pub fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.wire);
        }
    }

    /// Everything that was sealed has left.
    pub fn flushed(&self) -> bool {
        self.wire.is_empty()
    }

    /// What is to be written to the socket, given the session's `out`.
    pub fn output<'a>(&'a self, out: &'a BytesMut) -> &'a [u8] {
        if self.tls.is_none() && self.deflate.is_none() { out } else { &self.wire }
    }

    /// That much of [`output`](Self::output) was written.
    pub fn wrote(&mut self, out: &mut BytesMut, length: usize) {
        let layered = self.tls.is_some() || self.deflate.is_some();
        let wire = if layered { &mut self.wire } else { out };
        wire.advance(length.min(wire.len()));
        if layered {
            give_back(&mut self.wire);
        }
    }
}

impl From<TlsError> for LayerError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<DeflateError> for LayerError {
    fn from(error: DeflateError) -> Self {
        Self::Deflate(error)
    }
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Deflate(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LayerError {}
