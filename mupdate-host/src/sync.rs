//! The threads, locks and channels of everything that connections share with the writer and with each other.
//!
//! They are the standard library's. In the same place model checkers put their own, which try every order of events, or
//! very many: loom for the small parts (`RUSTFLAGS="--cfg loom"`), shuttle for all of them together (`--cfg shuttle`).
//! `just model` does both. Counters that no decision rests on stay the standard library's.

#[cfg(not(any(loom, shuttle)))]
mod kind {
    pub use std::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64, mpsc};
    pub use std::thread;
}

#[cfg(shuttle)]
mod kind {
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64, mpsc};
    pub use shuttle::thread;
}

#[cfg(loom)]
#[path = "sync/loom.rs"]
mod kind;

pub(crate) use kind::*;

/// What is under a lock here is always put in and taken out whole, so a panic elsewhere does no harm.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
