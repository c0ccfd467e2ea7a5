//! A server to be measured.

use std::{
    fs,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use mupdate_sync::client::{Client, ClientError};

use super::{BenchError, Secret};

/// The port that RFC 3656 registers.
const PORT: u16 = 3905;

/// How long a server may let us wait for anything. Cyrus's own takes seconds for a dump of a million.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and who we are there.
#[derive(Debug)]
pub struct Target {
    /// As the command line has it.
    pub name: String,
    address: SocketAddr,
    user: String,
    password: Secret,
    pid: Option<u32>,
}

/// A connection to a server.
pub type Connection = Client<TcpStream>;

impl Target {
    /// The server of this name.
    pub fn new(name: &str, user: &str, password: &Secret, pid: Option<u32>) -> Result<Self, BenchError> {
        let unknown = |error: &dyn std::fmt::Display| BenchError::Options(format!("{name}: {error}"));
        let found = if name.parse::<SocketAddr>().is_ok() || has_port(name) {
            name.to_socket_addrs()
        } else {
            (name.trim_matches(['[', ']']), PORT).to_socket_addrs()
        };
        let address = found
            .map_err(|error| unknown(&error))?
            .next()
            .ok_or_else(|| unknown(&"there is no such host"))?;
        Ok(Self { name: name.to_owned(), address, user: user.to_owned(), password: password.clone(), pid })
    }

    /// A connection that has not logged in.
    pub fn connect(&self) -> Result<Connection, ClientError> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Client::greet(stream).map(|(client, _)| client)
    }

    /// A connection that has logged in.
    pub fn login(&self) -> Result<Connection, ClientError> {
        let mut client = self.connect()?;
        client.login_plain(&self.user, &self.password)?;
        Ok(client)
    }

    /// Octets of memory that its process has, if it was named: of its own, without what it maps from files.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        anonymous(&status)
    }
}

/// A host's name with a port behind it; in an address of version 6 all colons are its own.
fn has_port(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok())
}

/// The line `RssAnon:  1234 kB`.
fn anonymous(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str) -> String {
        Target::new(name, "u", &Secret::default(), None).expect("an address").address.to_string()
    }

    #[test]
    fn the_port_may_be_left_out() {
        assert_eq!(address("127.0.0.1"), "127.0.0.1:3905");
        assert_eq!(address("127.0.0.1:1"), "127.0.0.1:1");
        assert_eq!(address("::1"), "[::1]:3905");
        assert_eq!(address("[::1]"), "[::1]:3905");
        assert_eq!(address("[::1]:1"), "[::1]:1");
    }

    #[test]
    fn memory_is_what_is_not_mapped_from_files() {
        assert_eq!(anonymous("VmRSS:\t 100 kB\nRssAnon:\t    64 kB\nRssFile:\t 36 kB\n"), Some(64 << 10));
        assert_eq!(anonymous("VmRSS:\t 100 kB\n"), None);
    }
}
