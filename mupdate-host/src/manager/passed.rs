//! Sockets that the service manager has made and passes on, as sd_listen_fds(3) has it.
//!
//! It keeps them while the daemon is started anew: who connects meanwhile waits, and is served by the next one.
//!
//! The name of a socket says what it is for; systemd gives it by `FileDescriptorName=`. One without a name of its own is
//! for what the configuration has at its address, or else plain.

use std::{
    io,
    net::SocketAddr,
    path::{self, Path},
};

use listenfd::ListenFd;
use socket2::Socket;
use tracing::info;

use crate::{
    admin,
    config::{Config, ListenAddr},
    exit::{Code, Fatal},
};

/// The variable with the names of the sockets, with colons in between. (listenfd looks at the others.)
const NAMES: &str = "LISTEN_FDNAMES";

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// MUPDATE, which begins with the banner.
    Plain,
    /// MUPDATE, which begins with TLS.
    Tls,
    /// The admin interface.
    Admin,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::Admin];

    /// What a socket is called that is for this.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Admin => "admin",
        }
    }

    /// Everything that is listened for, and where the configuration wants it.
    pub fn of_config(config: &Config) -> impl Iterator<Item = (Self, ListenAddr)> {
        let admin = config.admin.listen.iter().map(|address| admin::resolved(&config.data_dir, address));
        let plain = config.listen.iter().cloned().map(|address| (Self::Plain, address));
        let tls = config.listen_tls.iter().cloned().map(|address| (Self::Tls, address));
        plain.chain(tls).chain(admin.map(|address| (Self::Admin, address)))
    }
}

/// A socket that was passed.
#[derive(Debug)]
struct PassedSocket {
    /// Until somebody takes it.
    socket: Option<Socket>,
    purpose: Purpose,
    address: ListenAddr,
    /// At an address of IPv6, it takes IPv4's too.
    both: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Passed(Vec<PassedSocket>);

impl Passed {
    /// Those that the environment tells of. To be called once, before there are other threads.
    ///
    /// # Errors
    /// One is none that could be listened on, has a name that says nothing, or is for something else than the
    /// configuration has at its address.
    pub fn of_environment(config: &Config) -> Result<Self, Fatal> {
        let names = std::env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut all = Self::default();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let socket = take(&mut passed, index).map_err(|error| {
                let text = format!("the service manager passes what cannot be listened on: {error}");
                Fatal::new(Code::Config, format!("{text}; a socket unit has to have ListenStream="))
            })?;
            all.add(socket, name, config)?;
        }
        if !all.0.is_empty() {
            let addresses: Vec<_> = all.0.iter().map(PassedSocket::shown).collect();
            info!(at = addresses.join(" "), "the service manager has passed sockets");
        }
        Ok(all)
    }

    fn add(&mut self, socket: Socket, name: &str, config: &Config) -> Result<(), Fatal> {
        let wrong = |text: String| Fatal::new(Code::Config, text);
        let named = purpose(name).map_err(wrong)?;
        // As all are that are made here.
        let prepared = socket.set_nonblocking(true).and_then(|()| address(&socket));
        let address = prepared.map_err(|error| wrong(format!("{error}; pass TCP and Unix sockets")))?;
        let six = matches!(address, ListenAddr::Tcp(SocketAddr::V6(_)));
        let both = six && socket.only_v6().is_ok_and(|only| !only);
        let mut passed = PassedSocket { socket: Some(socket), purpose: Purpose::Plain, address, both };
        let configured = Purpose::of_config(config).find(|(_, wanted)| passed.covers(wanted));
        if let (Some(named), Some((configured, address))) = (named, &configured)
            && named != *configured
        {
            return Err(wrong(format!(
                "{address} is passed as {}, and configured as {}; correct FileDescriptorName= or the configuration",
                named.name(),
                configured.name()
            )));
        }
        passed.purpose = named.or(configured.map(|(purpose, _)| purpose)).unwrap_or(Purpose::Plain);
        if passed.purpose == Purpose::Tls && !config.tls.is_on() {
            let address = &passed.address;
            return Err(wrong(format!(
                "{address} is passed for TLS, and there is none; name a certificate in [tls]"
            )));
        }
        self.0.push(passed);
        Ok(())
    }

    /// Is an address listened on that is configured?
    pub fn covers(&self, wanted: &ListenAddr) -> bool {
        self.0.iter().any(|passed| passed.covers(wanted))
    }

    /// Where it listens, for what, beside the configuration's own.
    pub fn list(&self) -> impl Iterator<Item = (Purpose, &ListenAddr)> {
        self.0.iter().map(|passed| (passed.purpose, &passed.address))
    }

    /// The configuration, as if it had these sockets too: the first of all, and in the place of those that they cover.
    #[must_use]
    pub fn with(&self, config: &Config) -> Config {
        let all = |purpose, configured: &[ListenAddr]| {
            let ours = self.list().filter(|(is, _)| *is == purpose).map(|(_, address)| address.clone());
            ours.chain(configured.iter().filter(|address| !self.covers(address)).cloned()).collect()
        };
        Config {
            listen: all(Purpose::Plain, &config.listen),
            listen_tls: all(Purpose::Tls, &config.listen_tls),
            ..config.clone()
        }
    }

    /// Those for this purpose, and where they are. They cover what they cover afterwards, too.
    pub fn take(&mut self, purpose: Purpose) -> Vec<(Socket, String)> {
        let asked = self.0.iter_mut().filter(|passed| passed.purpose == purpose);
        asked.filter_map(|passed| Some((passed.socket.take()?, passed.address.to_string()))).collect()
    }
}

impl PassedSocket {
    fn covers(&self, wanted: &ListenAddr) -> bool {
        match (&self.address, wanted) {
            (ListenAddr::Unix(is), ListenAddr::Unix(wanted)) => same(is, wanted),
            (ListenAddr::Tcp(is), ListenAddr::Tcp(wanted)) => {
                let all = is.ip().is_unspecified() && (self.both || is.is_ipv4() == wanted.is_ipv4());
                is.port() == wanted.port() && (all || is.ip().to_canonical() == wanted.ip().to_canonical())
            }
            _ => false,
        }
    }

    fn shown(&self) -> String {
        format!("{} ({})", self.address, self.purpose.name())
    }
}

/// What a name says; `None` if it is nobody's choice.
fn purpose(name: &str) -> Result<Option<Purpose>, String> {
    match name {
        // systemd's own, where a socket unit has no FileDescriptorName=, and where nobody has said any.
        "" | "unknown" => Ok(None),
        unit if unit.ends_with(".socket") => Ok(None),
        name => match Purpose::ALL.into_iter().find(|purpose| purpose.name() == name) {
            Some(purpose) => Ok(Some(purpose)),
            None => Err(format!(
                "a socket is passed that is called {name}; allowed in FileDescriptorName=: plain, tls, admin"
            )),
        },
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let whole = |is: &Path| path::absolute(is).unwrap_or_else(|_| is.to_owned());
    whole(one) == whole(other)
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Socket> {
    // TCP is both families'.
    let tcp = passed.take_custom(index, libc::AF_INET, libc::SOCK_STREAM, "TCP socket");
    let socket: Option<Socket> = match tcp {
        Ok(socket) => socket,
        Err(_) => passed.take_custom(index, libc::AF_UNIX, libc::SOCK_STREAM, "TCP or Unix socket")?,
    };
    match socket {
        Some(socket) if rustix::net::sockopt::socket_acceptconn(&socket)? => Ok(socket),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket does not wait for connections")),
    }
}

fn address(socket: &Socket) -> io::Result<ListenAddr> {
    let address = socket.local_addr()?;
    let tcp = address.as_socket().map(ListenAddr::Tcp);
    let unix = || address.as_pathname().map(|path| ListenAddr::Unix(path.to_owned()));
    tcp.or_else(unix)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a passed socket has no address"))
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        os::{fd::OwnedFd, unix::net::UnixListener},
    };

    use super::*;

    fn tcp(address: &str) -> (Socket, SocketAddr) {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("bound");
        (OwnedFd::from(listener).into(), address)
    }

    fn config(text: &str) -> Config {
        Config::parse(text).expect("settings")
    }

    fn refused(socket: Socket, name: &str, config: &Config) -> String {
        let fatal = Passed::default().add(socket, name, config).expect_err("refused");
        assert_eq!(fatal.code, Code::Config);
        fatal.message
    }

    #[test]
    fn a_name_says_what_a_socket_is_for() {
        let mut passed = Passed::default();
        for (name, purpose) in [("plain", Purpose::Plain), ("admin", Purpose::Admin), ("", Purpose::Plain)] {
            let (socket, address) = tcp("127.0.0.1:0");
            passed.add(socket, name, &Config::default()).expect("allowed");
            assert_eq!(passed.list().last(), Some((purpose, &ListenAddr::Tcp(address))));
        }
        assert_eq!(passed.take(Purpose::Plain).len(), 2);
        assert_eq!((passed.take(Purpose::Plain).len(), passed.take(Purpose::Admin).len()), (0, 1));
        let said = refused(tcp("127.0.0.1:0").0, "http", &Config::default());
        assert!(said.contains("called http") && said.contains("plain, tls, admin"), "{said}");
        let said = refused(tcp("127.0.0.1:0").0, "tls", &Config::default());
        assert!(said.contains("certificate in [tls]"), "{said}");
    }

    #[test]
    fn without_a_name_the_configuration_says_it() {
        let tls = "tls.certificate = 'c'\ntls.key = 'k'";
        let (socket, address) = tcp("127.0.0.1:0");
        let config = config(&format!("listen_tls = ['{address}']\n{tls}"));
        let said = refused(socket.try_clone().expect("a socket"), "plain", &config);
        assert!(said.contains("passed as plain, and configured as tls"), "{said}");
        let mut passed = Passed::default();
        passed.add(socket, "mupdated.socket", &config).expect("allowed");
        assert_eq!(passed.list().next(), Some((Purpose::Tls, &ListenAddr::Tcp(address))));
        // It is there once, and beside what is not passed.
        let both = passed.with(&config);
        assert_eq!((both.listen, both.listen_tls), (config.listen, config.listen_tls));
    }

    #[test]
    fn all_addresses_of_a_port_are_covered_by_one_socket() {
        let (socket, address) = tcp("0.0.0.0:0");
        let mut passed = Passed::default();
        passed.add(socket, "unknown", &Config::default()).expect("allowed");
        let covers = |text: String| passed.covers(&text.parse().expect("an address"));
        let port = address.port();
        assert!(covers(format!("127.0.0.1:{port}")) && covers(format!("0.0.0.0:{port}")));
        assert!(!covers(format!("[::1]:{port}")) && !covers(format!("127.0.0.1:{}", port ^ 1)));
    }

    #[test]
    fn a_unix_socket_is_known_by_its_path() {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("admin.sock")).expect("the folder is ours");
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let mut passed = Passed::default();
        passed.add(OwnedFd::from(listener).into(), "", &config).expect("allowed");
        assert_eq!(passed.list().next().map(|(purpose, _)| purpose), Some(Purpose::Admin));
        assert!(passed.covers(&ListenAddr::Unix(dir.path().join("./admin.sock"))));
        assert!(!passed.covers(&ListenAddr::Unix(dir.path().join("other.sock"))));
    }
}
