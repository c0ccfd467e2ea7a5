//! Accepting connections, a thread a listener.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mupdate_host::{
    connections::Place,
    link::Peer,
    listen::{self, Entrance, Exhaustion, Listener},
    service::{Service, refuse},
    wake::{Seen, Wake},
};
use rustix::event::PollFlags;
use socket2::Socket;
use tracing::warn;

use crate::connection;

/// Octets of stack that a connection needs at most; a page of it is used by most.
const STACK: usize = 256 * 1024;

/// Accept until woken by `stop`; each connection becomes a thread of its own.
pub fn accept(listener: &Listener, service: &Arc<Service>, stop: &Wake) {
    let mut exhaustion = Exhaustion::default();
    // What wakes the next connection's thread is made before: a connection that is taken can be served.
    let mut next = None;
    loop {
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
        let stopped = match pause {
            None => stop.wait(&listener.socket, PollFlags::IN, None).or_else(|error| {
                exhaustion.cannot_wait(&error, Instant::now());
                rest(stop, listener, listen::PAUSE)
            }),
            Some(pause) => rest(stop, listener, pause),
        };
        match stopped {
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

/// Look away from the listener for this time, or until woken.
fn rest(stop: &Wake, listener: &Listener, pause: Duration) -> io::Result<Seen> {
    stop.wait(&listener.socket, PollFlags::empty(), Some(Instant::now() + pause))
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
