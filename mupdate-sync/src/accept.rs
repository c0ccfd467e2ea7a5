//! Accepting connections, a thread a listener.

use std::{
    io, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mupdate_host::{
    connections::Place,
    link::Peer,
    listen::{self, Entrance, Exhaustion, Listener},
    manager::Answer,
    service::{Service, refuse},
    wake::{Seen, Wake},
};
use rustix::event::PollFlags;
use socket2::Socket;
use tracing::warn;

use crate::connection;

/// Octets of stack that a connection needs at most; a page of it is used by most.
const STACK: usize = 256 * 1024;

/// What a listener's thread is told by others.
pub struct Orders {
    wake: Wake,
    stop: AtomicBool,
    /// What to let go of, to show that it lives.
    asked: Mutex<Vec<Answer>>,
}

impl Orders {
    /// # Errors
    /// No file descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { wake: Wake::new()?, stop: AtomicBool::new(false), asked: Mutex::default() })
    }

    /// Accept nobody else, and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.wake();
    }

    /// Have it let go of this.
    pub fn ask(&self, answer: Answer) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
        self.wake.wake();
    }

    /// Tell whoever asked; true: it is time to end.
    fn heed(&self) -> bool {
        drop(mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner)));
        self.stop.load(Ordering::Relaxed)
    }
}

/// Accept until told to stop; each connection becomes a thread of its own.
pub fn accept(listener: &Listener, service: &Arc<Service>, orders: &Orders) {
    let mut exhaustion = Exhaustion::default();
    // What wakes the next connection's thread is made before: a connection that is taken can be served.
    let mut next = None;
    while !orders.heed() {
        let accepted = wake(&mut next).and_then(|wake| Ok((listen::accept(&listener.socket)?, wake)));
        let pause = match accepted {
            Ok(((socket, peer), wake)) => {
                next = None;
                admit(socket, peer, listener.entrance, service, wake);
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => match exhaustion.failed(&error, Instant::now()) {
                Some(pause) => Some(pause),
                None => continue,
            },
        };
        let waited = match pause {
            None => orders.wake.wait(&listener.socket, PollFlags::IN, None).or_else(|error| {
                exhaustion.cannot_wait(&error, Instant::now());
                rest(&orders.wake, listener, listen::PAUSE)
            }),
            Some(pause) => rest(&orders.wake, listener, pause),
        };
        if let Err(error) = waited {
            exhaustion.cannot_wait(&error, Instant::now());
            // What rests here needs nothing of what poll(2) may be short of.
            thread::park_timeout(listen::PAUSE);
        }
    }
}

/// Look away from the listener for this time, or until woken.
fn rest(wake: &Wake, listener: &Listener, pause: Duration) -> io::Result<Seen> {
    wake.wait(&listener.socket, PollFlags::empty(), Some(Instant::now() + pause))
}

/// The one that waits to be used, made if there is none.
fn wake(next: &mut Option<Arc<Wake>>) -> io::Result<Arc<Wake>> {
    let wake = match next.take() {
        Some(wake) => wake,
        None => Arc::new(Wake::new()?),
    };
    Ok(Arc::clone(next.insert(wake)))
}

/// Start a connection's thread, or turn the peer away.
fn admit(socket: Socket, peer: Peer, entrance: Entrance, service: &Arc<Service>, wake: Arc<Wake>) {
    let Some(place) = service.admit(&peer, entrance, &socket) else { return };
    let socket = Arc::new(socket);
    if let Err(error) = start(&socket, peer, entrance, place, service, wake) {
        if service.tells_of_refusal() {
            warn!(%peer, %error, "a connection was refused: no thread for it");
        }
        refuse(entrance, &*socket, "out of threads");
    }
}

fn start(
    socket: &Arc<Socket>,
    peer: Peer,
    entrance: Entrance,
    place: Place,
    service: &Arc<Service>,
    wake: Arc<Wake>,
) -> io::Result<()> {
    let name = format!("peer-{}", place.number());
    let (socket, service) = (Arc::clone(socket), Arc::clone(service));
    let run = move || {
        if let Err(error) = connection::serve(&socket, peer, entrance, place, &service, &wake) {
            warn!(%peer, %error, "a connection was given up");
        }
    };
    thread::Builder::new().name(name).stack_size(STACK).spawn(run).map(drop)
}
