//! TLS as tests speak it: a stream over a socket, and the files of a server.

use std::{
    fs, io,
    io::{ErrorKind, Read, Write},
    path::Path,
};

use mupdate_host::tls::harness::Caller;
pub use mupdate_host::tls::harness::{Authority, Dialler, Pair};

/// What a configuration says when its files are as [`install`] leaves them.
pub const SETTINGS: &str = "[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";

/// Puts a server's certificate and key into a folder, and the certificate of the authority as `clients.pem`.
///
/// # Errors
/// The disk refuses them.
pub fn install(pair: &Pair, authority: &Authority, folder: &Path) -> io::Result<()> {
    pair.write(folder)?;
    fs::write(folder.join("clients.pem"), authority.pem())
}

/// Octets that are encrypted at once: rustls has room for more, but not for any number.
const PIECE: usize = 16 * 1024;

/// TLS over a stream.
pub struct TlsStream<S> {
    stream: S,
    caller: Caller,
    /// Decrypted, and not read yet.
    plain: Vec<u8>,
    /// The server said that nothing more comes.
    closed: bool,
}

impl<S: Read + Write> TlsStream<S> {
    /// Shakes hands.
    ///
    /// # Errors
    /// The server refuses, or the stream broke.
    pub fn connect(dialler: &Dialler, stream: S) -> io::Result<Self> {
        let mut tls = Self { stream, caller: dialler.dial(), plain: Vec::new(), closed: false };
        while tls.caller.handshaking() {
            tls.flush()?;
            if tls.caller.handshaking() && !tls.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        tls.flush()?;
        Ok(tls)
    }

    /// The client's side of TLS.
    pub fn caller(&mut self) -> &mut Caller {
        &mut self.caller
    }

    /// The stream below.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The server ended TLS in good order.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Reads once; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        let mut wire = [0; 32 * 1024];
        let length = self.stream.read(&mut wire)?;
        let opened = self.caller.open(&wire[..length]);
        // An alert tells the server why.
        let said = self.stream.write_all(&self.caller.due());
        self.plain.extend(opened.map_err(io::Error::other)?);
        self.closed = self.caller.ended();
        said.map(|()| length > 0)
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, plain: &mut [u8]) -> io::Result<usize> {
        while self.plain.is_empty() && !self.closed {
            if !self.fill()? {
                break;
            }
        }
        let length = plain.len().min(self.plain.len());
        plain[..length].copy_from_slice(&self.plain[..length]);
        self.plain.drain(..length);
        Ok(length)
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        let piece = &plain[..plain.len().min(PIECE)];
        self.stream.write_all(&self.caller.seal(piece))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.caller.due())
    }
}
