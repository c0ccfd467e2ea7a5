//! Transcripts played on a daemon.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
};

use mupdate_host::store::{Store, StoreOptions};
use mupdate_proto::ServerName;

use super::{Daemon, Kind, Signal};
use crate::{
    player::Stage,
    script::drained,
    tls::{self, Authority, Dialler, TlsStream},
};

/// A daemon of its own for one transcript.
pub struct DaemonStage {
    daemon: Daemon,
    dialler: Dialler,
    clients: BTreeMap<String, Connection>,
}

/// A client's connection.
enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.stream(),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(octets),
            Self::Tls(stream) => stream.read(octets),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Has the store know which servers are drained.
fn drain(data: &Path, toml: &str) {
    for server in drained(toml) {
        let options = StoreOptions { map_size: 1 << 20, max_readers: 16, ..StoreOptions::default() };
        let store = Store::open(data, options).expect("a fresh directory");
        let mut txn = store.begin().expect("nobody else writes");
        let server = ServerName::new(server.to_owned()).expect("legal");
        txn.set_draining(&server, true, 10).expect("there is room");
        txn.commit().expect("there is room");
    }
}

impl DaemonStage {
    /// Starts a daemon with these settings, and with the files that `[tls]` may name.
    ///
    /// # Panics
    /// It does not come up.
    pub fn new(kind: Kind, toml: &str) -> Self {
        let authority = Authority::new("authority");
        let daemon = Daemon::start_on(kind, toml, |data| {
            let folder = data.parent().expect("the data has a folder");
            drain(data, toml);
            tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
        });
        Self { daemon, dialler: Dialler::both(&authority), clients: BTreeMap::new() }
    }

    fn stream(&mut self, client: &str) -> Result<&mut Connection, String> {
        self.clients.get_mut(client).ok_or_else(|| format!("{client} is not connected"))
    }
}

impl Stage for DaemonStage {
    fn connect(&mut self, client: &str) -> Result<(), String> {
        self.clients.insert(client.into(), Connection::Plain(self.daemon.connect()));
        Ok(())
    }

    fn send(&mut self, client: &str, octets: &[u8]) -> Result<(), String> {
        self.stream(client)?.write_all(octets).map_err(|error| format!("{client} cannot send: {error}"))
    }

    fn receive(&mut self, client: &str) -> Result<Vec<u8>, String> {
        let mut octets = vec![0; 64 * 1024];
        loop {
            match self.stream(client)?.read(&mut octets) {
                Ok(length) => {
                    octets.truncate(length);
                    return Ok(octets);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A server may close while octets are under way to it.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Vec::new()),
                Err(error) => return Err(format!("{client} waits in vain: {error}")),
            }
        }
    }

    fn encrypt(&mut self, client: &str) -> Result<(), String> {
        match self.clients.remove(client) {
            Some(Connection::Plain(stream)) => {
                let stream = TlsStream::connect(&self.dialler, stream).map_err(|error| error.to_string())?;
                self.clients.insert(client.into(), Connection::Tls(Box::new(stream)));
                Ok(())
            }
            _ => Err(format!("{client} cannot begin TLS")),
        }
    }

    fn finish_sending(&mut self, client: &str) -> Result<(), String> {
        self.stream(client)?.socket().shutdown(Shutdown::Write).map_err(|error| error.to_string())
    }

    fn drop_connection(&mut self, client: &str) -> Result<(), String> {
        self.clients.remove(client).map(drop).ok_or_else(|| format!("{client} is not connected"))
    }

    fn stop(&mut self) -> Result<(), String> {
        self.daemon.signal(Signal::TERM);
        Ok(())
    }
}
