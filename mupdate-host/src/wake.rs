//! Waiting for a socket and for other threads at the same time: poll(2) and an eventfd.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};

/// Wakes the one thread that waits for it. A wake-up that comes before the wait is not lost.
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    /// # Errors
    /// No file descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Wake the thread.
    pub fn wake(&self) {
        // The only way to fail is a counter that is full, and then the wake-up is under way 2^64 times.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Wait until woken, until one of `interest` is true of the socket, or until `deadline`.
    ///
    /// # Errors
    /// The system cannot wait.
    pub fn wait(
        &self,
        socket: impl AsFd,
        interest: PollFlags,
        deadline: Option<Instant>,
    ) -> io::Result<Seen> {
        let mut watched = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(&socket, interest)];
        // A socket of no interest is left out, since errors are always reported.
        let watched = if interest.is_empty() { &mut watched[..1] } else { &mut watched[..] };
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match poll(watched, left.map(timespec).as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Seen::default()),
            Err(error) => return Err(error.into()),
        }
        let woken = !watched[0].revents().is_empty();
        if woken {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
        }
        let socket = watched.get(1).map_or(PollFlags::empty(), PollFd::revents);
        Ok(Seen { woken, socket })
    }
}

/// What happened during a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Somebody called [`Wake::wake`].
    pub woken: bool,
    /// What is true of the socket.
    pub socket: PollFlags,
}

impl Default for Seen {
    /// Nothing.
    fn default() -> Self {
        Self { woken: false, socket: PollFlags::empty() }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost_and_counts_once() {
        let wake = Arc::new(Wake::new().expect("eventfd"));
        let waker = Arc::clone(&wake);
        std::thread::spawn(move || waker.wake()).join().expect("no panic");
        let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("socketpair");
        let nothing = Seen::default();
        assert_eq!(wake.wait(&socket, PollFlags::IN, None).expect("poll"), Seen { woken: true, ..nothing });
        let soon = Some(Instant::now() + Duration::from_millis(1));
        let seen = wake.wait(&socket, PollFlags::OUT, soon).expect("poll");
        assert_eq!(seen, Seen { socket: PollFlags::OUT, ..nothing });
        assert_eq!(wake.wait(&socket, PollFlags::IN, soon).expect("poll"), nothing);
    }
}
