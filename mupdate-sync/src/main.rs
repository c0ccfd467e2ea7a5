//! `mupdated-sync`: a MUPDATE master with a thread per connection.
//!
//! What the daemon does is in `mupdate-host`, and the same as in `mupdated`. Here is only how it waits.
#![forbid(unsafe_code)]

mod accept;
mod connection;
mod signal;

use std::{
    io, mem,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use mupdate_host::{
    cli,
    daemon::{self, Runtime, Signal},
    listen::Listener,
    manager::Ask,
    service::Service,
};

use crate::{accept::Orders, signal::Signals};

fn main() -> ExitCode {
    cli::main("mupdated-sync", |command| daemon::run(command, Threads::new))
}

/// The runtime of threads.
struct Threads {
    signals: Signals,
    /// How the thread of each listener is spoken to.
    acceptors: Arc<Mutex<Vec<Arc<Orders>>>>,
}

impl Threads {
    fn new() -> io::Result<Self> {
        Ok(Self { signals: Signals::new()?, acceptors: Arc::default() })
    }
}

impl Runtime for Threads {
    /// The socket, and what wakes its thread.
    const FILES: u64 = 2;

    fn serve(&mut self, service: &Arc<Service>, listeners: Vec<Listener>) -> io::Result<()> {
        for listener in listeners {
            let orders = Arc::new(Orders::new()?);
            self.acceptors.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&orders));
            let service = Arc::clone(service);
            thread::Builder::new()
                .name("accept".into())
                .spawn(move || accept::accept(&listener, &service, &orders))?;
        }
        Ok(())
    }

    fn ask(&self) -> Ask {
        let acceptors = Arc::clone(&self.acceptors);
        Box::new(move |answer| {
            let acceptors = acceptors.lock().unwrap_or_else(PoisonError::into_inner);
            for orders in acceptors.iter() {
                orders.ask(answer());
            }
            acceptors.len()
        })
    }

    fn wait(&mut self) -> io::Result<Signal> {
        self.signals.next()
    }

    fn stop_accepting(&mut self) {
        let acceptors = mem::take(&mut *self.acceptors.lock().unwrap_or_else(PoisonError::into_inner));
        for orders in acceptors {
            orders.stop();
        }
    }
}
