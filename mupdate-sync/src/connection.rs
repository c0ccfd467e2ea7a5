//! One connection as one thread: move octets, let the link run, wait for whatever comes first.

use std::{io, net::Shutdown, sync::Arc, time::Instant};

use mupdate_host::{
    connections::Place,
    inbox::Inbox,
    link::{Closing, Linger, Link, Peer, Readiness},
    listen::{Entrance, acknowledge},
    service::Service,
    wake::Wake,
};
use rustix::event::PollFlags;
use socket2::Socket;

/// Serve one connection until it is closed.
///
/// # Errors
/// The system has no means left to wait.
pub fn serve(
    socket: &Socket,
    peer: Peer,
    entrance: Entrance,
    place: Place,
    service: &Arc<Service>,
    wake: &Arc<Wake>,
) -> io::Result<()> {
    let waker = Arc::clone(wake);
    let inbox = Inbox::new(Box::new(move || waker.wake()));
    let mut link = Link::new(service, place, peer, entrance, inbox, Instant::now());
    let mut ready = Readiness::default();
    let closing = loop {
        let wait = link.run(Instant::now());
        if let Some(closing) = wait.closed {
            break closing;
        }
        if link.pump(socket, &wait, &mut ready, Instant::now())
            || wait.again
            || link.attend(socket, &wait, &mut ready)
        {
            continue;
        }
        if link.takes_half() {
            acknowledge(socket);
        }
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::IN, wait.read);
        interest.set(PollFlags::OUT, wait.write);
        let seen = wake.wait(socket, interest, wait.deadline)?.socket;
        // A socket that failed is ready too: moving octets will find out.
        let failed = seen.intersects(PollFlags::ERR | PollFlags::HUP);
        ready.read |= failed || seen.contains(PollFlags::IN);
        ready.write |= failed || seen.contains(PollFlags::OUT);
    };
    if closing == Closing::Lingering && socket.shutdown(Shutdown::Write).is_ok() {
        linger(socket, wake)?;
    }
    Ok(())
}

/// Throw away what the peer still sends, until it closes.
fn linger(socket: &Socket, wake: &Wake) -> io::Result<()> {
    let deadline = Instant::now() + Linger::TIME;
    let mut linger = Linger::default();
    while linger.discard(socket) && Instant::now() < deadline {
        wake.wait(socket, PollFlags::IN, Some(deadline))?;
    }
    Ok(())
}
