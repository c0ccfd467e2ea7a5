//! One connection as one task: move octets, let the link run, wait for whatever comes first.

use std::{
    future::poll_fn,
    net::Shutdown,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use async_io::{Async, Timer};
use mupdate_host::{
    connections::Place,
    inbox::Inbox,
    link::{Closing, Linger, Link, Peer, Readiness, Wait},
    listen::{Entrance, acknowledge},
    service::Service,
};
use smol::{
    channel::{self, Receiver},
    future,
    stream::Stream,
};
use socket2::Socket;
use tracing::debug;

/// Serve one connection until it is closed.
pub async fn serve(socket: Socket, peer: Peer, entrance: Entrance, place: Place, service: Arc<Service>) {
    let socket = match Async::new_nonblocking(socket) {
        Ok(socket) => socket,
        Err(error) => return debug!(%peer, %error, "a connection could not be watched"),
    };
    let (wake, woken) = channel::bounded(1);
    let inbox = Inbox::new(Box::new(move || {
        // A full channel means that a wake-up is under way.
        let _ = wake.try_send(());
    }));
    let mut link = Link::new(&service, place, peer, entrance, inbox, Instant::now());
    let mut ready = Readiness::default();
    let mut woken = pin!(woken);
    let mut alarm = Alarm::default();
    let closing = loop {
        let wait = link.run(Instant::now());
        if let Some(closing) = wait.closed {
            break closing;
        }
        if link.pump(socket.get_ref(), &wait, &mut ready, Instant::now()) || wait.again {
            future::yield_now().await;
            // While others had their turn the answer may have been read and the next command sent. To look is one system
            // call; to be told takes two, and a wake-up.
            ready.read |= wait.write;
        } else if !link.attend(socket.get_ref(), &wait, &mut ready) {
            if link.takes_half() {
                acknowledge(socket.get_ref());
            }
            alarm.set(wait.deadline);
            let mut asleep = false;
            poll_fn(|context| {
                let due = poll_events(&socket, &wait, &mut ready, woken.as_mut(), &mut alarm, context);
                if std::mem::replace(&mut asleep, true) {
                    // Something woke the task. Not every time does async-io tell which side of a socket it was, as its
                    // own I/O simply tries again; so do we.
                    ready = Readiness::default();
                    return Poll::Ready(());
                }
                due
            })
            .await;
        }
    };
    if closing == Closing::Lingering && socket.get_ref().shutdown(Shutdown::Write).is_ok() {
        let enough = async {
            Timer::after(Linger::TIME).await;
        };
        future::or(linger(&socket), enough).await;
    }
}

/// Ready as soon as anything that `wait` names has happened. Every source is asked, so that each will wake the task.
fn poll_events(
    socket: &Async<Socket>,
    wait: &Wait,
    ready: &mut Readiness,
    woken: Pin<&mut Receiver<()>>,
    alarm: &mut Alarm,
    context: &mut Context<'_>,
) -> Poll<()> {
    let mut due = woken.poll_next(context).is_ready();
    // A socket that failed is ready too: moving octets will find out.
    if wait.read && socket.poll_readable(context).is_ready() {
        ready.read = true;
        due = true;
    }
    if wait.write && socket.poll_writable(context).is_ready() {
        ready.write = true;
        due = true;
    }
    due |= alarm.rings(context);
    if due { Poll::Ready(()) } else { Poll::Pending }
}

/// A timer that may ring too early, which costs a look at the clock, but is not wound anew with every command.
struct Alarm {
    timer: Timer,
    at: Option<Instant>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { timer: Timer::never(), at: None }
    }
}

impl Alarm {
    /// Ring at this time at the latest.
    fn set(&mut self, latest: Option<Instant>) {
        if let Some(latest) = latest
            && self.at.is_none_or(|at| latest < at)
        {
            self.at = Some(latest);
            self.timer = Timer::at(latest);
        }
    }

    fn rings(&mut self, context: &mut Context<'_>) -> bool {
        let rings = Pin::new(&mut self.timer).poll_next(context).is_ready();
        if rings {
            *self = Self::default();
        }
        rings
    }
}

/// Throw away what the peer still sends, until it closes.
async fn linger(socket: &Async<Socket>) {
    let mut linger = Linger::default();
    while linger.discard(socket.get_ref()) && socket.readable().await.is_ok() {}
}
