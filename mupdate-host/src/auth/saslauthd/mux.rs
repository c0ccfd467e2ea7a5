//! One question to `saslauthd`, as its socket wants it (`saslauthd(8)`, and `ipc_unix.c` of Cyrus SASL): user, password,
//! service and realm, each behind its length in two octets, big end first. The answer has the same form, and begins
//! with "OK" or "NO".

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use zeroize::Zeroizing;

use crate::config::SaslauthdSettings;

/// How many octets of an answer are looked at: it is a word and, maybe, a reason.
const ANSWER: usize = 1024;

/// `saslauthd` takes no more (`MAX_REQ_LEN`), and tells nobody but its log why.
const PASSWORD: usize = 256;

/// Where and how it is asked.
pub struct Mux {
    socket: PathBuf,
    service: String,
    realm: String,
}

impl Mux {
    /// One that is asked as is configured, at this socket.
    pub fn new(socket: &Path, settings: &SaslauthdSettings) -> Self {
        let SaslauthdSettings { service, realm, .. } = settings.clone();
        Self { socket: socket.to_owned(), service, realm }
    }

    /// Where it is asked.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Is this the user's password? Blocks, but not beyond the deadline.
    ///
    /// # Errors
    /// It is not there, or does not answer in time, or says neither yes nor no.
    pub fn ask(&self, user: &str, password: &[u8], deadline: Instant) -> io::Result<bool> {
        // The last would end the password early, and so verify another one.
        if password.len() > PASSWORD || password.contains(&0) {
            return Ok(false);
        }
        let mut stream = self.connect(deadline)?;
        stream.write_all(&self.question(user, password)?)?;
        let mut length = [0; 2];
        read(&mut stream, &mut length, deadline)?;
        let length = usize::from(u16::from_be_bytes(length)).min(ANSWER);
        let mut answer = vec![0; length];
        read(&mut stream, &mut answer, deadline)?;
        match &answer[..] {
            [b'O', b'K', ..] => Ok(true),
            [b'N', b'O', ..] => Ok(false),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is neither OK nor NO")),
        }
    }

    fn connect(&self, deadline: Instant) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // On a Unix socket this counts for the connection itself too, which waits where its backlog is full.
        socket.set_write_timeout(Some(left(deadline)?))?;
        socket.connect(&SockAddr::unix(&self.socket)?).map_err(late)?;
        socket.set_write_timeout(Some(left(deadline)?))?;
        Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
    }

    fn question(&self, user: &str, password: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let parts = [user.as_bytes(), password, self.service.as_bytes(), self.realm.as_bytes()];
        let room = parts.iter().map(|part| 2 + part.len()).sum();
        // With its room from the start, the password is not left behind where a growing buffer was.
        let mut question = Zeroizing::new(Vec::with_capacity(room));
        for part in parts {
            let length = u16::try_from(part.len()).map_err(io::Error::other)?;
            question.extend_from_slice(&length.to_be_bytes());
            question.extend_from_slice(part);
        }
        Ok(question)
    }
}

/// Fills the buffer, however late each piece comes.
fn read(stream: &mut UnixStream, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(buffer) {
            Ok(0) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed without an answer"));
            }
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(late(error)),
        }
    }
    Ok(())
}

/// The time that is left.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(too_late()) } else { Ok(left) }
}

/// What the operating system calls it when the time of a socket is over.
fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { too_late() } else { error }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")
}
