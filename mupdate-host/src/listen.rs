//! Sockets that wait for connections, made before anything else is touched: a port that is taken must leave the
//! disk as it was. Nothing here waits, and no octet of a connection is moved; both are the business of each daemon.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use tracing::{debug, warn};

use crate::{
    config::ListenAddr,
    exit::{Code, Fatal},
    link::Peer,
    manager::{Passed, Purpose},
};

/// Connections that may wait to be accepted. After a restart all frontends and backends come at once.
const BACKLOG: i32 = 4096;

/// A frontend that was switched off is noticed within a few minutes.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(120)).with_interval(Duration::from_secs(30));

/// Who may use a unix socket: the owner and the group.
const UNIX_MODE: u32 = 0o660;

/// How long to wait before accepting again when there was nothing left to accept or to wait with.
pub const PAUSE: Duration = Duration::from_millis(100);

/// Exhaustion comes and goes with each connection; it is logged at most that often.
const EXHAUSTION_LOGGED: Duration = Duration::from_secs(60);

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// With the banner.
    Plain,
    /// With a TLS handshake.
    Tls,
}

/// A socket that waits for connections; see [`accept`].
#[derive(Debug)]
pub struct Listener {
    /// The socket, of an internet address or a file.
    pub socket: Socket,
    /// How its connections begin.
    pub entrance: Entrance,
}

/// Everything this daemon listens on.
#[derive(Debug, Default)]
pub struct Listeners {
    /// The sockets.
    pub sockets: Vec<Listener>,
    /// What was actually bound, for the log: an address, with `/tls` behind it if its connections begin so.
    pub addresses: Vec<String>,
    /// The files of the unix sockets.
    pub files: SocketFiles,
}

impl Listeners {
    /// Take those that were passed, and bind all others. They do not block.
    ///
    /// # Errors
    /// The first that cannot be bound; the others are given back.
    pub fn bind(plain: &[ListenAddr], tls: &[ListenAddr], passed: &mut Passed) -> Result<Self, Fatal> {
        let mut listeners = Self::default();
        let both = [(Purpose::Plain, Entrance::Plain, plain), (Purpose::Tls, Entrance::Tls, tls)];
        for (purpose, entrance, configured) in both {
            let left: Vec<_> = configured.iter().filter(|address| !passed.covers(address)).collect();
            for (socket, name) in passed.take(purpose) {
                listeners.add(socket, name, entrance);
            }
            for address in left {
                listeners.bind_one(address, entrance)?;
            }
        }
        Ok(listeners)
    }

    fn bind_one(&mut self, address: &ListenAddr, entrance: Entrance) -> Result<(), Fatal> {
        let bound = match address {
            ListenAddr::Tcp(address) => bind_tcp(*address),
            ListenAddr::Unix(path) => bind_unix(path, &mut self.files),
        };
        let (socket, name) = bound.map_err(|error| refused(address, &error, "--listen"))?;
        self.add(socket, name, entrance);
        Ok(())
    }

    fn add(&mut self, socket: Socket, mut name: String, entrance: Entrance) {
        if entrance == Entrance::Tls {
            name.push_str("/tls");
        }
        self.addresses.push(name);
        self.sockets.push(Listener { socket, entrance });
    }
}

pub(crate) fn bind_unix(path: &Path, files: &mut SocketFiles) -> io::Result<(Socket, String)> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    files.add(path)?;
    // Nobody gets in between: connections are refused until `listen`.
    fs::set_permissions(path, fs::Permissions::from_mode(UNIX_MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((socket, path.display().to_string()))
}

pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<(Socket, String)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of the process before it to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, bound.to_string()))
}

/// Remove the socket file that a killed daemon left behind. One that somebody listens on stays, and so does
/// anything that is not a socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is there and is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already")),
        Err(error) => Err(error),
    }
}

/// The files of unix sockets, removed when this is dropped.
#[derive(Debug, Default)]
pub struct SocketFiles(Vec<(PathBuf, u64, u64)>);

impl SocketFiles {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        self.0.push((std::path::absolute(path)?, metadata.dev(), metadata.ino()));
        Ok(())
    }
}

impl SocketFiles {
    /// Where they are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, ..)| path.as_path())
    }

    /// Remove them now. A file that another daemon has put there since is not ours to remove.
    pub fn remove(&self) {
        for (path, device, inode) in &self.0 {
            if fs::symlink_metadata(path).is_ok_and(|is| is.dev() == *device && is.ino() == *inode) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Take a connection that is waiting, and set it up: it does not block, answers leave at once, and a peer that
/// vanished is noticed.
///
/// # Errors
/// `WouldBlock` if nobody is waiting. For others see [`Exhaustion`].
pub fn accept(listener: &Socket) -> io::Result<(Socket, Peer)> {
    let (socket, address) = listener.accept()?;
    socket.set_nonblocking(true)?;
    let Some(address) = address.as_socket() else { return Ok((socket, Peer::Unix)) };
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    Ok((socket, Peer::Internet(address)))
}

/// Acknowledge now what was received, and not when there is an answer to carry that along, or after 40 ms.
///
/// Over TLS, a backend of Cyrus writes AUTHENTICATE and its response separately, and its TCP keeps the second back until the
/// first is acknowledged (Nagle's algorithm). It connects anew for every operation, so each would take 40 ms longer.
pub fn acknowledge(socket: &Socket) {
    // A Unix socket has nothing of that kind, and elsewhere than on Linux it is only slower.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
}

/// Whether a listener has run out of something, file descriptors mostly: it must neither spin nor give up.
#[derive(Debug, Default)]
pub struct Exhaustion {
    logged: Option<Instant>,
}

impl Exhaustion {
    /// Accepting failed. How long to wait before the next try; `None` if only that one connection was lost.
    pub fn failed(&mut self, error: &io::Error, now: Instant) -> Option<Duration> {
        use rustix::io::Errno;
        let errno = Errno::from_io_error(error)?;
        if !matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) {
            debug!(%error, "a connection was gone before it was accepted");
            return None;
        }
        if self.is_due(now) {
            warn!(%error, "connections wait until others are closed");
        }
        Some(PAUSE)
    }

    /// Waiting for connections failed, for want of memory mostly: try again after [`PAUSE`].
    pub fn cannot_wait(&mut self, error: &io::Error, now: Instant) {
        if self.is_due(now) {
            warn!(%error, "cannot wait for connections; trying again");
        }
    }

    /// Is it time to log again?
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.logged.is_none_or(|at| now.duration_since(at) >= EXHAUSTION_LOGGED);
        if due {
            self.logged = Some(now);
        }
        due
    }
}

/// An address is taken, not this machine's, or not permitted.
pub(crate) fn refused(address: &ListenAddr, error: &io::Error, setting: &str) -> Fatal {
    let another = format!("choose another with {setting}");
    let (code, advice) = match error.kind() {
        io::ErrorKind::AddrInUse => {
            (Code::Unavailable, format!("stop what listens there (Cyrus's own mupdate?) or {another}"))
        }
        io::ErrorKind::PermissionDenied => {
            (Code::NoPerm, "ports below 1024 and other people's directories need privileges".into())
        }
        _ => (Code::Unavailable, another),
    };
    Fatal::new(code, format!("cannot listen on {address}: {error}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> ListenAddr {
        ListenAddr::Tcp(address.parse().expect("an address"))
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = Listeners::bind(&[tcp("127.0.0.1:0")], &[], &mut Passed::default()).expect("bind");
        let fatal =
            Listeners::bind(&[tcp(&first.addresses[0])], &[], &mut Passed::default()).expect_err("taken");
        assert_eq!(fatal.code, Code::Unavailable);
        assert!(fatal.message.contains(&first.addresses[0]), "{fatal}");
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        assert!(path.exists(), "left behind");
        let address = [ListenAddr::Unix(path.clone())];
        let live = Listeners::bind(&address, &[], &mut Passed::default()).expect("replaces the stale one");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, UNIX_MODE);
        let fatal = Listeners::bind(&address, &[], &mut Passed::default()).expect_err("somebody listens");
        assert_eq!(fatal.code, Code::Unavailable);
        assert!(path.exists());
        drop(live);
        assert!(!path.exists(), "removed at the end");
    }

    #[test]
    fn other_files_are_left_alone() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("mail");
        fs::write(&path, "precious").expect("write");
        Listeners::bind(&[ListenAddr::Unix(path.clone())], &[], &mut Passed::default())
            .expect_err("no socket");
        assert_eq!(fs::read(&path).expect("still there"), b"precious");
    }
}
