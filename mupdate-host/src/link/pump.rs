//! Moving octets between a link and a socket that does not block.

use std::{
    cell::RefCell,
    io::{self, ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use super::{Link, Wait};

/// Octets read at a time.
const CHUNK: usize = 16 * 1024;

/// What a socket is thought to be good for. A side that was found exhausted is not tried again until somebody has
/// seen that it is ready.
#[derive(Debug, Clone, Copy)]
pub struct Readiness {
    /// Reading may give something.
    pub read: bool,
    /// Writing may go on.
    pub write: bool,
}

impl Default for Readiness {
    /// A fresh socket is worth a try.
    fn default() -> Self {
        Self { read: true, write: true }
    }
}

impl Link {
    /// Octets for the socket.
    pub fn output(&self) -> &[u8] {
        self.layers.output(&self.out)
    }

    /// That many of them were written.
    pub fn wrote(&mut self, length: usize, now: Instant) {
        self.layers.wrote(&mut self.out, length);
        if length > 0 {
            self.unanswered = false;
            self.waiting_since = (!self.output().is_empty()).then_some(now);
        }
    }

    /// The peer is in the midst of a command, so no answer will tell it that the beginning has arrived; true once for
    /// what has arrived. See [`acknowledge`](crate::listen::acknowledge).
    pub fn takes_half(&mut self) -> bool {
        self.awaits_peer && std::mem::take(&mut self.unanswered)
    }

    /// Write what is waiting, and read once if `wait` allows it. True if anything happened, so that
    /// [`run`](Self::run) is due; otherwise wait for the socket first.
    pub fn pump<S: Read + Write>(
        &mut self,
        mut socket: S,
        wait: &Wait,
        ready: &mut Readiness,
        now: Instant,
    ) -> bool {
        let wrote = wait.write && ready.write && self.write(&mut socket, ready, now);
        let read = wait.read && ready.read && self.read(&mut socket, ready);
        wrote || read
    }

    /// When [`pump`](Self::pump) has nothing more to move: look for the next command for a moment before going to sleep, if
    /// this peer is one of the quick ones. True if there is one, so that [`run`](Self::run) is due.
    pub fn attend<S: Read>(&mut self, mut socket: S, wait: &Wait, ready: &mut Readiness) -> bool {
        if !self.awaits_peer || !wait.read || wait.write {
            return false;
        }
        let Some(kept) = self.vigil.begin() else { return false };
        let mut came = false;
        while !came && kept.goes_on() {
            came = self.read(&mut socket, ready);
        }
        self.vigil.settle(came);
        came
    }

    fn write<S: Write>(&mut self, socket: &mut S, ready: &mut Readiness, now: Instant) -> bool {
        let mut moved = false;
        while !self.output().is_empty() {
            match socket.write(self.output()) {
                Ok(0) => {
                    self.broken(&ErrorKind::WriteZero.into());
                    return true;
                }
                Ok(length) => {
                    self.traffic.sent(length);
                    self.wrote(length, now);
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready.write = false;
                    return moved;
                }
                Err(error) => {
                    self.broken(&error);
                    return true;
                }
            }
        }
        moved
    }

    fn read<S: Read>(&mut self, socket: &mut S, ready: &mut Readiness) -> bool {
        ROOM.with_borrow_mut(|chunk| {
            match retry(|| socket.read(chunk)) {
                Ok(0) => self.end_of_input(),
                Ok(length) => {
                    // A socket that gives less than it was asked for has no more.
                    ready.read = length == CHUNK;
                    self.pours = ready.read;
                    self.received(&chunk[..length]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready.read = false;
                    return false;
                }
                Err(error) => {
                    self.broken(&error);
                }
            }
            true
        })
    }
}

thread_local! {
    /// Where octets are read to. To clear that much anew for each command would take a tenth of the time that a FIND takes.
    static ROOM: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into());
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reading and throwing away what a peer sends after the end, within bounds. See [`Closing`](super::Closing).
#[derive(Debug, Default)]
pub struct Linger {
    discarded: usize,
}

impl Linger {
    /// How long a peer is waited for.
    pub const TIME: Duration = Duration::from_secs(1);

    /// How much of it is read.
    const OCTETS: usize = 1 << 20;

    /// Read what is there; false when there is nothing more to wait for.
    pub fn discard<S: Read>(&mut self, mut socket: S) -> bool {
        let mut chunk = [0; CHUNK];
        while self.discarded < Self::OCTETS {
            match retry(|| socket.read(&mut chunk)) {
                Ok(0) => return false,
                Ok(length) => self.discarded += length,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        false
    }
}
