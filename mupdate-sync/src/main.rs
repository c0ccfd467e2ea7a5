//! `mupdated-sync`: a MUPDATE master with a thread per connection.
//!
//! What the daemon does is in `mupdate-host`, and the same as in `mupdated`. Here is only how it waits.
#![forbid(unsafe_code)]

mod accept;
mod connection;
mod signal;

use std::{io, process::ExitCode, sync::Arc, thread};

use mupdate_host::{
    cli,
    daemon::{self, Runtime, Signal},
    listen::Listener,
    service::Service,
    wake::Wake,
};

use crate::signal::Signals;

fn main() -> ExitCode {
    cli::main("mupdated-sync", |command| daemon::run(command, Threads::new))
}

/// The runtime of threads.
struct Threads {
    signals: Signals,
    /// What ends the thread of each listener.
    acceptors: Vec<Arc<Wake>>,
}

impl Threads {
    fn new() -> io::Result<Self> {
        Ok(Self { signals: Signals::new()?, acceptors: Vec::new() })
    }
}

impl Runtime for Threads {
    /// The socket, and what wakes its thread.
    const FILES: u64 = 2;

    fn serve(&mut self, service: &Arc<Service>, listeners: Vec<Listener>) -> io::Result<()> {
        for listener in listeners {
            let stop = Arc::new(Wake::new()?);
            self.acceptors.push(Arc::clone(&stop));
            let service = Arc::clone(service);
            thread::Builder::new()
                .name("accept".into())
                .spawn(move || accept::accept(&listener, &service, &stop))?;
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<Signal> {
        self.signals.next()
    }

    fn stop_accepting(&mut self) {
        for stop in self.acceptors.drain(..) {
            stop.wake();
        }
    }
}
