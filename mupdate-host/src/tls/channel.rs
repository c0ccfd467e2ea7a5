//! One connection's TLS, without its socket.

use std::{fmt, io::Read, sync::Arc};

use bytes::{Buf, BufMut, BytesMut};
use rustls::{HandshakeKind, ServerConnection};

use super::{Tls, certificate::Certificate};
use crate::{auth::TlsFacts, room::give_back};

/// The server's side of one TLS connection.
///
/// - What came from the socket stays as it came until somebody wants it, but for the record that is being decoded: a peer
///   that sends much makes nothing grow but what was read ahead.
/// - What is to go to the socket is appended to the `wire` that the caller has.
/// - A handshake message is no longer than 64 KiB, and rustls bounds how often a peer may ask for new keys or send nothing.
pub struct Channel {
    tls: Arc<Tls>,
    connection: ServerConnection,
    /// Records that were not looked at yet.
    pending: BytesMut,
    /// Decoded octets that wait inside the connection.
    readable: usize,
    /// The peer has sent `close_notify`.
    peer_closed: bool,
    /// We have.
    closed: bool,
}

/// Why a connection cannot go on in TLS.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsError(rustls::Error);

impl Channel {
    pub(super) fn new(tls: Arc<Tls>) -> Result<Self, TlsError> {
        let mut connection = ServerConnection::new(Arc::clone(&tls.config)).map_err(TlsError)?;
        // What we say is bounded by the session's own high-water mark.
        connection.set_buffer_limit(None);
        Ok(Self { tls, connection, pending: BytesMut::new(), readable: 0, peer_closed: false, closed: false })
    }

    /// Octets from the socket.
    pub fn push(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    /// Octets that were not looked at yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether [`shake`](Self::shake) or [`step`](Self::step) has something to work with.
    pub fn ready(&self) -> bool {
        self.readable > 0 || !self.pending.is_empty()
    }

    /// The handshake is not complete.
    pub fn handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The peer has said that it sends nothing more, and all that it sent was read.
    pub fn ended(&self) -> bool {
        self.peer_closed && self.readable == 0
    }

    /// Go on with the handshake as far as what came goes.
    ///
    /// # Errors
    /// It failed; `wire` has the alert that tells the peer why.
    pub fn shake(&mut self, wire: &mut BytesMut) -> Result<(), TlsError> {
        while self.handshaking() && !self.pending.is_empty() {
            self.take(wire)?;
        }
        Ok(())
    }

    /// Decode up to `plain.len()` octets; says how many. None only means that more input is needed.
    ///
    /// # Errors
    /// What came is not TLS, or not from the peer; `wire` has the alert.
    pub fn step(&mut self, plain: &mut [u8], wire: &mut BytesMut) -> Result<usize, TlsError> {
        if self.readable == 0 && !self.pending.is_empty() {
            self.take(wire)?;
        }
        if self.readable == 0 {
            return Ok(0);
        }
        let length = self.connection.reader().read(plain).unwrap_or(0);
        self.readable -= length;
        Ok(length)
    }

    /// Encode what is to be said.
    pub fn seal(&mut self, plain: &[u8], wire: &mut BytesMut) -> Result<(), TlsError> {
        if !plain.is_empty() {
            use std::io::Write;
            self.connection.writer().write_all(plain).map_err(|_| TlsError(rustls::Error::EncryptError))?;
            self.flush(wire);
        }
        Ok(())
    }

    /// Say that nothing more comes: `close_notify`, once.
    pub fn close(&mut self, wire: &mut BytesMut) {
        if !std::mem::replace(&mut self.closed, true) {
            self.connection.send_close_notify();
            self.flush(wire);
        }
    }

    /// What a login can rest on; complete after the handshake.
    pub fn facts(&self) -> TlsFacts {
        let suite = self.connection.protocol_version().zip(self.connection.negotiated_cipher_suite());
        let exporter =
            || self.connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        let client = self.connection.peer_certificates().and_then(|chain| chain.first());
        TlsFacts {
            suite: suite
                .map(|(version, suite)| format!("{version:?} {:?}", suite.suite()))
                .unwrap_or_default(),
            server_end_point: self.tls.end_point.clone(),
            // Under TLS 1.2 it binds only with the extended master secret, and rustls does not say whether that is in use.
            exporter: (self.connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3))
                .then(exporter)
                .flatten(),
            client: client.and_then(Certificate::parse).map(|certificate| certificate.client()),
        }
    }

    /// The handshake took over an earlier session.
    pub fn resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Give some of what came to rustls.
    fn take(&mut self, wire: &mut BytesMut) -> Result<(), TlsError> {
        let mut rest = &self.pending[..];
        let taken = self.connection.read_tls(&mut rest);
        let too_large = |_| TlsError(rustls::Error::General("a message is too large".into()));
        self.pending.advance(taken.map_err(too_large)?);
        give_back(&mut self.pending);
        let state = self.connection.process_new_packets();
        // Also after an error: the alert.
        self.flush(wire);
        let state = state.map_err(TlsError)?;
        self.readable = state.plaintext_bytes_to_read();
        self.peer_closed = state.peer_has_closed();
        if self.peer_closed {
            // What comes after it is from nobody.
            self.pending.clear();
        }
        Ok(())
    }

    fn flush(&mut self, wire: &mut BytesMut) {
        while self.connection.wants_write() {
            let mut writer = wire.writer();
            self.connection.write_tls(&mut writer).expect("memory takes whatever is written");
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("handshaking", &self.handshaking())
            .field("pending", &self.pending.len())
            .field("readable", &self.readable)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS: {}", self.0)
    }
}

impl std::error::Error for TlsError {}
