//! How far something long has come, for whoever waits for it.

use std::{fmt, sync::Arc};

/// Called with what is done, and what there is to do.
type Tell = dyn Fn(u64, u64) + Send + Sync;

/// Somebody who wants to know; nobody by default.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Tell>>);

impl Progress {
    /// `tell` is called every few dozen MiB with how much was looked at and how much there may be, and with both the same
    /// at the end.
    pub fn new(tell: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, done: u64, all: u64) {
        if let Some(tell) = &self.0 {
            tell(done, all);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Progress").field(&self.0.is_some()).finish()
    }
}
