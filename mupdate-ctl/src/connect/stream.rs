//! A connection of any kind, as octets.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    time::Duration,
};

use rustls::{ClientConnection, StreamOwned};

use super::place::Place;
use crate::fail::{Code, Fail};

/// How long a server may let us wait for anything. Cyrus's own takes seconds for a list of a million.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a host may take to answer at all.
const DIALLING: Duration = Duration::from_secs(15);

/// A connection.
pub enum Stream {
    /// To a Unix socket.
    Unix(UnixStream),
    /// In the clear.
    Tcp(TcpStream),
    /// Within TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects; TLS comes later.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn dial(place: &Place) -> Result<Self, Fail> {
        let stream = match place {
            Place::Unix(path) => {
                UnixStream::connect(path).map(Self::Unix).map_err(|error| (path.display().to_string(), error))
            }
            Place::Tcp { host, port, .. } => {
                tcp(host, *port).map(Self::Tcp).map_err(|error| (format!("{host}:{port}"), error))
            }
        };
        let stream = stream.map_err(|(name, error)| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => "only the daemon's user and root may use it",
                _ => "is the server running there?",
            };
            Fail::new(Code::Unavailable, format!("{name}: {error}; {advice}"))
        })?;
        stream.patience(Some(PATIENCE));
        Ok(stream)
    }

    /// How long reading and writing may take.
    pub fn patience(&self, time: Option<Duration>) {
        // Only a time of zero is refused.
        let _ = match self {
            Self::Unix(stream) => stream.set_read_timeout(time).and(stream.set_write_timeout(time)),
            Self::Tcp(stream) => stream.set_read_timeout(time).and(stream.set_write_timeout(time)),
            Self::Tls(stream) => stream.sock.set_read_timeout(time).and(stream.sock.set_write_timeout(time)),
        };
    }

    /// What a login by SCRAM is bound to, within TLS 1.3 (RFC 9266).
    pub fn binding(&self) -> Option<(String, Vec<u8>)> {
        let Self::Tls(stream) = self else { return None };
        // Before 1.3 the key may be known to who stands between; RFC 9266 section 4.2 asks for more there.
        if stream.conn.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        let key = stream.conn.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(b""));
        key.ok().map(|key| ("tls-exporter".into(), key.to_vec()))
    }
}

/// The first of the host's addresses that answers.
fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no such host");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DIALLING) {
            Ok(stream) => return stream.set_nodelay(true).map(|()| stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Read for Stream {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(octets),
            Self::Tcp(stream) => stream.read(octets),
            Self::Tls(stream) => stream.read(octets),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(octets),
            Self::Tcp(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
