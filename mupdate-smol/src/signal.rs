//! Signals as something to await.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::{Arc, atomic::AtomicBool},
};

use async_io::Async;
use mupdate_host::daemon::{IMPATIENT, Signal};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};
use smol::future;

/// The signals that the daemon answers.
pub struct Signals {
    stop: Async<UnixStream>,
    reload: Async<UnixStream>,
}

impl Signals {
    /// From here on SIGTERM, SIGINT and SIGHUP are ours. The second of the first two ends the process at once.
    pub fn new() -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let (reload, reloaded) = UnixStream::pair()?;
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, IMPATIENT, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
            pipe::register(signal, stopped.try_clone()?)?;
        }
        pipe::register(SIGHUP, reloaded)?;
        Ok(Self { stop: Async::new(stop)?, reload: Async::new(reload)? })
    }

    /// The next signal.
    pub async fn next(&mut self) -> io::Result<Signal> {
        let stop = async { self.stop.read_with(take).await.map(|()| Signal::Stop) };
        let reload = async { self.reload.read_with(take).await.map(|()| Signal::Reload) };
        future::or(stop, reload).await
    }
}

/// Empty the pipe: several signals of a kind at once are one.
fn take(mut pipe: &UnixStream) -> io::Result<()> {
    pipe.read(&mut [0; 64]).map(drop)
}
