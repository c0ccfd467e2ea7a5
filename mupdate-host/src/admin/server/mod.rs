//! Serving the admin interface: a thread for each listener, and one for each of a few connections.
//!
//! - Whatever a peer does, it costs one of [`SEATS`] threads, a head and a piece of memory, and that for no longer than
//!   its time for a request. Who is one too many is told so and closed; peers of Unix sockets and of the network do not
//!   take each other's seats, nor may one address take all of them.
//! - Long answers (streams, lists, copies) have no more than some of the seats, and so have open pages: each leave the
//!   other theirs, and short answers are always to be had.
//! - Threads wait in poll(2) for their socket, a deadline and the daemon's end at once.

mod body;
mod conversation;
mod login;
mod out;
mod seats;
mod socket;

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use rustix::{event::PollFlags, process::nice};
use socket2::Socket;
use tracing::{debug, warn};

pub use self::{body::Body, login::Who, out::Out, seats::Long};
use self::{
    conversation::Conversation,
    seats::{Seat, Seats},
    socket::Wire,
};
use super::{
    Admin,
    http::{Framing, Head},
};
use crate::{
    link::Peer,
    listen::{self, Exhaustion},
    wake::Wake,
};

/// Connections at a time from Unix sockets, and so many from the network.
const SEATS: usize = 12;

/// How far this stands back for everything else that the daemon does. On Linux a thread has a priority of its own.
const PRIORITY: i32 = if cfg!(all(target_os = "linux", not(test))) { 5 } else { 0 };

/// Octets of stack of a thread.
const STACK: usize = 512 * 1024;

/// The running admin interface.
#[derive(Debug)]
pub struct AdminServer {
    seats: Arc<Seats>,
    acceptors: Vec<Arc<Wake>>,
}

impl AdminServer {
    /// Serve from now on, on threads that may do what the calling one may.
    ///
    /// # Errors
    /// The system has no means for it.
    pub fn start(admin: Admin, listeners: Vec<Socket>) -> io::Result<Self> {
        let (admin, seats) = (Arc::new(admin), Arc::new(Seats::default()));
        let mut acceptors = Vec::new();
        for listener in listeners {
            let stop = Arc::new(Wake::new()?);
            acceptors.push(Arc::clone(&stop));
            let (admin, seats) = (Arc::clone(&admin), Arc::clone(&seats));
            thread::Builder::new()
                .name("admin".into())
                .stack_size(STACK)
                .spawn(move || accept(&listener, &admin, &seats, &stop))?;
        }
        Ok(Self { seats, acceptors })
    }

    /// The daemon goes down: streams end, and so does every connection when it has been answered.
    pub fn close(&self) {
        self.seats.close();
    }

    /// Accept nobody else, and wait until all have left, but no longer than `limit`. Says how many are still there.
    pub fn stop(&self, limit: Duration) -> usize {
        self.close();
        self.acceptors.iter().for_each(|acceptor| acceptor.wake());
        self.seats.wait_until_empty(limit)
    }
}

/// Accept until woken by `stop`.
fn accept(listener: &Socket, admin: &Arc<Admin>, seats: &Arc<Seats>, stop: &Wake) {
    // If it is refused, this is in others' way a little more.
    let _ = nice(PRIORITY);
    let mut exhaustion = Exhaustion::default();
    loop {
        let (interest, until) = match listen::accept(listener) {
            Ok((socket, peer)) => {
                admit(socket, peer, admin, seats);
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Whoever waits here anyway sees when a minute is over.
                admin.board.tick(&admin.service);
                (PollFlags::IN, Some(admin.board.due()))
            }
            Err(error) => match exhaustion.failed(&error, Instant::now()) {
                Some(pause) => (PollFlags::empty(), Some(Instant::now() + pause)),
                None => continue,
            },
        };
        match stop.wait(listener, interest, until) {
            Ok(seen) if seen.woken => return,
            Ok(_) => {}
            Err(error) => {
                exhaustion.cannot_wait(&error, Instant::now());
                // What rests here needs nothing of what poll(2) may be short of.
                thread::park_timeout(listen::PAUSE);
            }
        }
    }
}

/// Give a connection a thread, or turn it away.
fn admit(socket: Socket, peer: Peer, admin: &Arc<Admin>, seats: &Arc<Seats>) {
    let seat = match seats.take(&peer, admin.service.settings().ipv6_prefix) {
        Ok(Some(seat)) => seat,
        Ok(None) => {
            if seats.tells(Instant::now()) {
                warn!(%peer, "the admin interface is busy: a connection was refused");
            }
            return refuse(&socket);
        }
        Err(error) => {
            warn!(%peer, %error, "a connection to the admin interface was refused");
            return refuse(&socket);
        }
    };
    let number = seat.number();
    let socket = Arc::new(socket);
    let (admin, ours) = (Arc::clone(admin), Arc::clone(&socket));
    let run = move || serve(ours, peer, &admin, seat);
    let started = thread::Builder::new().name(format!("admin-{number}")).stack_size(STACK).spawn(run);
    if let Err(error) = started {
        warn!(%peer, %error, "a connection to the admin interface was refused: no thread for it");
        refuse(&socket);
    }
}

/// Serve one connection to its end.
fn serve(socket: Arc<Socket>, peer: Peer, admin: &Arc<Admin>, seat: Seat) {
    let _ = nice(PRIORITY);
    debug!(%peer, "connected to the admin interface");
    let wire = Wire::new(socket, seat);
    if let Err(error) = Conversation::new(admin, peer, wire).run() {
        debug!(%peer, %error, "a connection to the admin interface was lost");
    }
}

/// Say that nobody has time. If it does not fit into the socket, or the peer awaits TLS, it does without.
fn refuse(mut socket: &Socket) {
    let text = b"{\"error\":\"the admin interface is busy; try again\"}\n";
    let fields = [("Retry-After", "1".to_owned())];
    let framing = Framing::Length(text.len() as u64);
    let head = Head { status: 503, kind: "application/json", framing, close: true, fields: &fields };
    let mut out = BytesMut::new();
    head.encode(SystemTime::now(), &mut out);
    out.extend_from_slice(text);
    let _ = socket.write(&out);
    // What is not read before the end takes the answer back.
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.read(&mut [0; 4096]);
}
