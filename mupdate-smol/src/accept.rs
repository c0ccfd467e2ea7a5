//! Accepting connections, a task a listener.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use async_io::{Async, Timer};
use mupdate_host::{
    listen::{self, Entrance, Exhaustion},
    manager::Answer,
    service::Service,
};
use smol::{
    Executor,
    channel::Receiver,
    future::{self, FutureExt},
};
use socket2::Socket;

use crate::connection;

/// Connections that are accepted in a row before others go on. That many may have to be greeted before a command is
/// looked at that comes in the middle of a storm.
const ROW: usize = 8;

/// Accept for ever; each connection becomes a task of its own. Whoever asks whether this task lives sends an answer, which
/// is let go of.
pub async fn accept(
    listener: Async<Socket>,
    entrance: Entrance,
    service: Arc<Service>,
    executor: Arc<Executor<'static>>,
    asked: Receiver<Answer>,
) {
    let mut exhaustion = Exhaustion::default();
    for accepted in 1_usize.. {
        if accepted % ROW == 0 {
            future::yield_now().await;
        }
        // Who is there already goes first, but not for ever: in a storm somebody always is.
        let answered = async {
            while let Ok(answer) = asked.recv().await {
                drop(answer);
            }
            future::pending().await
        };
        if accepted % ROW == 0 {
            drop(asked.try_recv());
        }
        match listener.read_with(listen::accept).or(answered).await {
            Ok((socket, peer)) => {
                if let Some(place) = service.admit(&peer, entrance, &socket) {
                    let task = connection::serve(socket, peer, entrance, place, Arc::clone(&service));
                    // A panic must not take the worker's thread along; the panic hook has reported it.
                    executor.spawn(AssertUnwindSafe(task).catch_unwind()).detach();
                }
            }
            Err(error) => {
                if let Some(pause) = exhaustion.failed(&error, Instant::now()) {
                    Timer::after(pause).await;
                }
            }
        }
    }
}
