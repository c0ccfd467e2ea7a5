//! Signals as something to wait for.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use mupdate_host::daemon::{IMPATIENT, Signal};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, iterator,
};

/// The signals that the daemon answers.
pub struct Signals(iterator::Signals);

impl Signals {
    /// From here on SIGTERM, SIGINT and SIGHUP are ours. The second of the first two ends the process at once.
    pub fn new() -> io::Result<Self> {
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, IMPATIENT, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
        }
        Ok(Self(iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?))
    }

    /// The next signal.
    pub fn next(&mut self) -> io::Result<Signal> {
        match self.0.forever().next() {
            Some(SIGHUP) => Ok(Signal::Reload),
            Some(_) => Ok(Signal::Stop),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
