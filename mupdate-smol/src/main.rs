//! `mupdated`: a MUPDATE master on the smol executor, with a task per connection and a thread per core.
//!
//! What the daemon does is in `mupdate-host`, and the same as in `mupdated-sync`. Here is only how it waits.
#![forbid(unsafe_code)]

mod accept;
mod connection;
mod signal;
mod work;

use std::{
    io, mem,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use async_io::Async;
use mupdate_host::{
    cli,
    daemon::{self, Runtime, Signal},
    listen::Listener,
    manager::{Answer, Ask},
    service::Service,
};
use smol::{
    Executor, Task,
    channel::{self, Sender, TrySendError},
    future::block_on,
};

use crate::{signal::Signals, work::Workers};

fn main() -> ExitCode {
    cli::main("mupdated", |command| daemon::run(command, Smol::new))
}

/// The smol runtime.
struct Smol {
    signals: Signals,
    /// One a listener; dropping it ends it.
    acceptors: Vec<Task<()>>,
    /// Where each of them is asked whether it lives.
    asked: Arc<Mutex<Vec<Sender<Answer>>>>,
}

impl Smol {
    fn new() -> io::Result<Self> {
        Ok(Self { signals: Signals::new()?, acceptors: Vec::new(), asked: Arc::default() })
    }
}

impl Runtime for Smol {
    /// The socket.
    const FILES: u64 = 1;

    fn serve(&mut self, service: &Arc<Service>, listeners: Vec<Listener>) -> io::Result<()> {
        let executor = Arc::new(Executor::new());
        for listener in listeners {
            let Listener { socket, entrance } = listener;
            let socket = Async::new(socket)?;
            let (ask, asked) = channel::unbounded();
            let task = accept::accept(socket, entrance, Arc::clone(service), Arc::clone(&executor), asked);
            self.acceptors.push(executor.spawn(task));
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(ask);
        }
        // One more than there are turns for long work and for handshakes, which are as many as processors each: short work
        // always finds one that is free, and the system shares out the processors.
        let threads = 2 * daemon::processors() + 1;
        let workers = Arc::new(Workers::new(daemon::processors()));
        for number in 0..threads {
            let (executor, workers) = (Arc::clone(&executor), Arc::clone(&workers));
            thread::Builder::new()
                .name(format!("smol-{number}"))
                .spawn(move || workers.block_on(executor.run(std::future::pending::<()>())))?;
        }
        Ok(())
    }

    fn ask(&self) -> Ask {
        let asked = Arc::clone(&self.asked);
        Box::new(move |answer| {
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            for acceptor in asked.iter() {
                // A task that is not there has panicked.
                if let Err(TrySendError::Closed(answer) | TrySendError::Full(answer)) =
                    acceptor.try_send(answer())
                {
                    answer.is_lost();
                }
            }
            asked.len()
        })
    }

    fn wait(&mut self) -> io::Result<Signal> {
        block_on(self.signals.next())
    }

    fn stop_accepting(&mut self) {
        // In this order: nobody who is gone is asked. What was asked is answered by the end.
        drop(mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner)));
        self.acceptors.clear();
    }
}
