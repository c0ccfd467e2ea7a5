//! Loom's, and what it lacks. Channels and threads stay the standard library's: what needs them is checked with shuttle.

use std::sync::{LockResult, PoisonError};
use std::time::Duration;

pub use loom::sync::{Mutex, MutexGuard, atomic::AtomicU64};
pub use std::sync::mpsc;
pub use std::thread;

/// Loom's, with the one method that is used here. Time stands still under loom: it waits until the condition is met.
#[derive(Debug, Default)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        // Without time to wait, there is nothing to wait for.
        while condition(&mut guard) && !limit.is_zero() {
            guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        Ok((guard, ()))
    }
}
