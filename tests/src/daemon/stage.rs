//! Transcripts played on a daemon.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
};

use super::{Daemon, Kind, Signal};
use crate::player::Stage;

/// A daemon of its own for one transcript.
pub struct DaemonStage {
    daemon: Daemon,
    clients: BTreeMap<String, TcpStream>,
}

impl DaemonStage {
    /// Starts a daemon with these settings.
    pub fn new(kind: Kind, toml: &str) -> Self {
        Self { daemon: Daemon::start(kind, toml), clients: BTreeMap::new() }
    }

    fn stream(&mut self, client: &str) -> Result<&mut TcpStream, String> {
        self.clients.get_mut(client).ok_or_else(|| format!("{client} is not connected"))
    }
}

impl Stage for DaemonStage {
    fn connect(&mut self, client: &str) -> Result<(), String> {
        self.clients.insert(client.into(), self.daemon.connect());
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

    fn finish_sending(&mut self, client: &str) -> Result<(), String> {
        self.stream(client)?.shutdown(Shutdown::Write).map_err(|error| error.to_string())
    }

    fn drop_connection(&mut self, client: &str) -> Result<(), String> {
        self.clients.remove(client).map(drop).ok_or_else(|| format!("{client} is not connected"))
    }

    fn stop(&mut self) -> Result<(), String> {
        self.daemon.signal(Signal::TERM);
        Ok(())
    }
}
