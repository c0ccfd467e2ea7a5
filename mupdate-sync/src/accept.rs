//! Accepting connections, a thread a listener.

use std::{io, sync::Arc, thread, time::Instant};

use mupdate_host::{
    connections::Place,
    link::Peer,
    listen::{self, Entrance, Exhaustion, Listener},
    service::{Service, refuse},
};
use rustix::event::PollFlags;
use socket2::Socket;
use tracing::{error, warn};

use crate::{connection, wake::Wake};

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
        let interest = if pause.is_some() { PollFlags::empty() } else { PollFlags::IN };
        match stop.wait(&listener.socket, interest, pause.map(|pause| Instant::now() + pause)) {
            Ok(seen) if seen.woken => return,
            Ok(_) => {}
            Err(error) => return error!(%error, "cannot wait for connections any more"),
        }
    }
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
