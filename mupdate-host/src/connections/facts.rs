//! What others see of a connection. Whoever serves it leaves here what it does, at little cost: nothing waits for who
//! looks.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use crate::{
    feeds::Followed,
    link::Peer,
    sync::{Mutex, lock},
};

/// See above. Nothing is decided by any of it.
#[derive(Debug, Default)]
pub struct Facts {
    begun: OnceLock<(Peer, SystemTime)>,
    user: OnceLock<Box<str>>,
    tls: AtomicBool,
    compressed: AtomicBool,
    commands: AtomicU64,
    stream: Mutex<Option<Followed>>,
}

impl Facts {
    /// The connection is served from now on.
    pub(crate) fn begin(&self, peer: Peer) {
        let _ = self.begun.set((peer, SystemTime::now()));
    }

    /// What it is wrapped in now.
    pub(crate) fn wrapped(&self, tls: bool, compressed: bool) {
        self.tls.store(tls, Ordering::Relaxed);
        self.compressed.store(compressed, Ordering::Relaxed);
    }

    /// How many commands were given so far.
    pub(crate) fn given(&self, commands: u64) {
        self.commands.store(commands, Ordering::Relaxed);
    }

    /// Who it is logged in as: once, for good.
    pub(crate) fn logged_in(&self, user: &str) {
        let _ = self.user.set(user.into());
    }

    /// It follows the directory.
    pub(crate) fn follows(&self, followed: Followed) {
        *lock(&self.stream) = Some(followed);
    }

    /// Who is at its other end, and since when; nothing of one that is just being set up.
    pub fn begun(&self) -> Option<(Peer, SystemTime)> {
        self.begun.get().copied()
    }

    /// Who it is logged in as.
    pub fn user(&self) -> Option<&str> {
        self.user.get().map(AsRef::as_ref)
    }

    /// It is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.load(Ordering::Relaxed)
    }

    /// It is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed.load(Ordering::Relaxed)
    }

    /// How many commands it has given.
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// What it follows, if it follows the directory.
    pub fn stream(&self) -> Option<Followed> {
        lock(&self.stream).clone()
    }
}
