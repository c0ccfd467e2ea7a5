//! Where the rest of the daemon leaves things for one connection, and how it wakes that connection.
//!
//! The writer, the authentication pool and the feeds know nothing of sockets or executors: they put a reply
//! or a mark into an [`Inbox`] and call its waker. The connection empties the inbox when it next runs.

use std::fmt;
use std::sync::Arc;

use mupdate_core::server::{Reply, Ticket};

use crate::sync::{Mutex, MutexGuard, lock};

/// What has gathered in an inbox since it was last emptied.
#[derive(Debug, Default)]
pub struct Taken {
    /// Answers to the session's requests, oldest first.
    pub replies: Vec<(Ticket, Reply)>,
    /// The connection's feed holds something that it may not have seen.
    pub changed: bool,
    /// It is the connection's turn for long work.
    pub turn: bool,
    /// The daemon is the master now, or no longer.
    pub role: bool,
    /// The daemon is going down: say farewell.
    pub shutdown: bool,
    /// An administrator wants the connection to end.
    pub dismissed: bool,
}

impl Taken {
    fn is_empty(&self) -> bool {
        let told = self.changed || self.turn || self.role || self.shutdown || self.dismissed;
        self.replies.is_empty() && !told
    }
}

/// One connection's letter box.
///
/// - The waker is called after the lock is released, so it may do what it likes, even empty the inbox.
/// - It is called once for everything that gathers between two calls of [`take`](Inbox::take).
/// - It holds at most one reply per request in flight, so it is bounded by what the session asks.
pub struct Inbox {
    waiting: Mutex<Taken>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Inbox {
    /// An empty inbox whose connection is woken by `wake`.
    #[must_use]
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), wake })
    }

    /// Leave the answer to a request.
    pub fn deliver(&self, ticket: Ticket, reply: Reply) {
        self.put(|waiting| waiting.replies.push((ticket, reply)));
    }

    /// The connection's feed has something new.
    pub fn changed(&self) {
        self.put(|waiting| waiting.changed = true);
    }

    /// It is the connection's turn.
    pub fn turn(&self) {
        self.put(|waiting| waiting.turn = true);
    }

    /// The daemon is the master now, or no longer.
    pub fn role(&self) {
        self.put(|waiting| waiting.role = true);
    }

    /// The daemon is going down.
    pub fn shutdown(&self) {
        self.put(|waiting| waiting.shutdown = true);
    }

    /// An administrator wants the connection to end.
    pub fn dismiss(&self) {
        self.put(|waiting| waiting.dismissed = true);
    }

    /// Empty the inbox. From here on the next thing put in wakes again.
    #[must_use = "what is taken is no longer in the inbox"]
    pub fn take(&self) -> Taken {
        std::mem::take(&mut *self.lock())
    }

    fn put(&self, put: impl FnOnce(&mut Taken)) {
        let first = {
            let mut waiting = self.lock();
            let first = waiting.is_empty();
            put(&mut waiting);
            first
        };
        if first {
            (self.wake)();
        }
    }

    /// A panic elsewhere leaves the contents whole: every change under the lock is one push or one store.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        lock(&self.waiting)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("waiting", &*self.lock()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn wakes_once_for_all_that_gathers() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let inbox = Inbox::new(Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        assert!(inbox.take().is_empty());
        inbox.changed();
        inbox.changed();
        inbox.shutdown();
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        let taken = inbox.take();
        assert!(taken.changed && taken.shutdown && taken.replies.is_empty());
        assert!(inbox.take().is_empty());
        inbox.changed();
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn the_waker_may_use_the_inbox() {
        let slot: Arc<Mutex<Option<Arc<Inbox>>>> = Arc::default();
        let seen = Arc::new(AtomicUsize::new(0));
        let (inner, count) = (Arc::clone(&slot), Arc::clone(&seen));
        let inbox = Inbox::new(Box::new(move || {
            let inbox = inner.lock().expect("no panic").clone();
            if inbox.is_some_and(|inbox| inbox.take().changed) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }));
        *slot.lock().expect("no panic") = Some(Arc::clone(&inbox));
        inbox.changed();
        inbox.changed();
        assert_eq!(seen.load(Ordering::SeqCst), 2);
        // Else the two would keep each other for ever.
        slot.lock().expect("no panic").take();
    }
}
