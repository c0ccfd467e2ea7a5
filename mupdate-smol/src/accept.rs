//! Accepting connections, a task a listener.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use async_io::{Async, Timer};
use mupdate_host::{
    listen::{self, Entrance, Exhaustion},
    service::Service,
};
use smol::{
    Executor,
    future::{self, FutureExt},
};
use socket2::Socket;

use crate::connection;

/// Connections that are accepted in a row before others go on. That many may have to be greeted before a command is
/// looked at that comes in the middle of a storm.
const ROW: usize = 8;

/// Accept for ever; each connection becomes a task of its own.
pub async fn accept(
    listener: Async<Socket>,
    entrance: Entrance,
    service: Arc<Service>,
    executor: Arc<Executor<'static>>,
) {
    let mut exhaustion = Exhaustion::default();
    for accepted in 1_usize.. {
        if accepted % ROW == 0 {
            future::yield_now().await;
        }
        match listener.read_with(listen::accept).await {
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
