//! One connection's socket, with or without TLS: reads and writes that end by a deadline.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rustix::{
    event::PollFlags,
    io::Errno,
    net::{RecvFlags, recv},
};
use socket2::Socket;

use super::Seat;
use crate::{
    auth::TlsFacts,
    link::Linger,
    tls::{Channel, Tls},
    wake::Wake,
};

/// Octets that are read at once.
pub(super) const PIECE: usize = 8 * 1024;

/// A peer that takes nothing for so long is gone.
const STALL: Duration = Duration::from_secs(30);

/// What comes first in every connection that begins with TLS: a record of the handshake.
const HANDSHAKE: u8 = 22;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Arc<Socket>,
    seat: Seat,
    tls: Option<Channel>,
    /// What waits to be written to the socket, if there is TLS.
    sealed: BytesMut,
}

impl Wire {
    pub(super) fn new(socket: Arc<Socket>, seat: Seat) -> Self {
        Self { socket, seat, tls: None, sealed: BytesMut::new() }
    }

    /// The place of the connection.
    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The number of the user at the other end of a Unix socket, where the system says it.
    pub(super) fn peer_uid(&self) -> Option<u32> {
        #[cfg(target_os = "linux")]
        return rustix::net::sockopt::socket_peercred(&*self.socket).ok().map(|peer| peer.uid.as_raw());
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// What wakes this connection's thread where it [rests](Self::rest).
    pub(super) fn wake(&self) -> &Arc<Wake> {
        self.seat.wake()
    }

    /// The daemon goes down.
    pub(super) fn is_closing(&self) -> bool {
        self.seat.is_closing()
    }

    /// Whether the peer begins with TLS, as soon as it has sent anything.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn begins_with_tls(&self, deadline: Instant) -> io::Result<bool> {
        let mut first = [0];
        loop {
            match recv(&*self.socket, &mut first[..], RecvFlags::PEEK) {
                Ok((0, _)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(first[0] == HANDSHAKE),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => self.wait(PollFlags::IN, deadline)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shake hands.
    ///
    /// # Errors
    /// It fails, or the peer takes too long.
    pub(super) fn encrypt(&mut self, tls: &Arc<Tls>, deadline: Instant) -> io::Result<TlsFacts> {
        let mut channel = tls.accept().map_err(io::Error::other)?;
        let mut piece = [0; PIECE];
        while channel.handshaking() {
            let length = self.receive(&mut piece, deadline)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            channel.push(&piece[..length]);
            let shaken = channel.shake(&mut self.sealed);
            // Also after an error: the alert.
            self.send_sealed()?;
            shaken.map_err(io::Error::other)?;
        }
        let facts = channel.facts();
        self.tls = Some(channel);
        Ok(facts)
    }

    /// Read some octets; none at the end.
    ///
    /// # Errors
    /// `TimedOut` at the deadline, `ConnectionAborted` when the daemon goes down, or the connection is broken.
    pub(super) fn read(&mut self, octets: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else { return self.receive(octets, deadline) };
            if tls.ready() {
                let length = tls.step(octets, &mut self.sealed).map_err(io::Error::other)?;
                self.send_sealed()?;
                if length > 0 {
                    return Ok(length);
                }
                continue;
            }
            if tls.ended() {
                return Ok(0);
            }
            let mut piece = [0; PIECE];
            let length = self.receive(&mut piece, deadline)?;
            if length == 0 {
                return Ok(0);
            }
            if let Some(tls) = &mut self.tls {
                tls.push(&piece[..length]);
            }
        }
    }

    /// Write all of this.
    ///
    /// # Errors
    /// The peer takes nothing for too long (`TimedOut`), or the connection is broken.
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.send(octets),
            Some(tls) => {
                tls.seal(octets, &mut self.sealed).map_err(io::Error::other)?;
                self.send_sealed()
            }
        }
    }

    /// Wait until woken, until the deadline, or until the peer has gone. False: there is nothing to wait for any more,
    /// since the daemon goes down.
    ///
    /// # Errors
    /// The peer has gone, or the system cannot wait.
    pub(super) fn rest(&self, deadline: Option<Instant>) -> io::Result<bool> {
        if self.is_closing() {
            return Ok(false);
        }
        let seen = self.wake().wait(&*self.socket, PollFlags::RDHUP, deadline)?;
        if seen.socket.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(!self.is_closing())
    }

    /// Close in such a way that the peer gets to read what was written last.
    pub(super) fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.sealed);
            let _ = self.send_sealed();
        }
        if self.socket.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let (deadline, mut linger) = (Instant::now() + Linger::TIME, Linger::default());
        while linger.discard(&*self.socket) && self.wait(PollFlags::IN, deadline).is_ok() {}
    }

    fn receive(&self, octets: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            match (&*self.socket).read(octets) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN, deadline)?,
                other => return other,
            }
        }
    }

    fn send_sealed(&mut self) -> io::Result<()> {
        let sealed = std::mem::take(&mut self.sealed);
        self.send(&sealed)
    }

    fn send(&self, mut octets: &[u8]) -> io::Result<()> {
        let mut deadline = Instant::now() + STALL;
        while !octets.is_empty() {
            match (&*self.socket).write(octets) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    octets = &octets[length..];
                    deadline = Instant::now() + STALL;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_to_write(deadline)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Wait for the socket to be ready.
    fn wait(&self, interest: PollFlags, deadline: Instant) -> io::Result<()> {
        loop {
            if self.is_closing() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            if self.ready(interest, deadline)? {
                return Ok(());
            }
        }
    }

    /// An answer is finished though the daemon goes down: it is as good as under way.
    fn wait_to_write(&self, deadline: Instant) -> io::Result<()> {
        while !self.ready(PollFlags::OUT, deadline)? {}
        Ok(())
    }

    /// False: it was woken by others.
    fn ready(&self, interest: PollFlags, deadline: Instant) -> io::Result<bool> {
        let seen = self.wake().wait(&*self.socket, interest, Some(deadline))?;
        if !seen.socket.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(false)
    }
}
