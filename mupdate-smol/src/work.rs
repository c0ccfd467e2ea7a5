//! The threads that run tasks.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// How long a thread that has run out of tasks stays awake. To be put to sleep and woken takes longer than most tasks.
const AWAKE: Duration = Duration::from_micros(50);

/// Threads that run a future each, of which not all go to sleep at once when there is nothing to do.
///
/// smol's own `block_on` makes these threads wait for sockets too, which they do not get to while they are busy, and has
/// async-io's own thread look for sockets only every 10 ms meanwhile. This one leaves all waiting to that thread.
#[derive(Debug)]
pub struct Workers {
    /// How many may stay awake at a time.
    most: usize,
    awake: AtomicUsize,
}

impl Workers {
    /// Half of the processors are for those who have something to do; a single one always is.
    pub fn new(processors: usize) -> Self {
        Self { most: processors / 2, awake: AtomicUsize::new(0) }
    }

    /// Run a future to its end on this thread.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let sleeper = Arc::new(Sleeper::default());
        let waker = Waker::from(Arc::clone(&sleeper));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            if !sleeper.is_woken() && !self.stay_awake(&sleeper) {
                sleeper.sleep();
            }
        }
    }

    /// Wait a moment without sleeping; true if the thread was woken meanwhile.
    fn stay_awake(&self, sleeper: &Sleeper) -> bool {
        let more = |awake| (awake < self.most).then_some(awake + 1);
        if self.awake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return false;
        }
        let started = Instant::now();
        let mut woken = false;
        while !woken && started.elapsed() < AWAKE {
            // Whoever else wants this processor gets it.
            thread::yield_now();
            woken = sleeper.is_woken();
        }
        self.awake.fetch_sub(1, Ordering::Relaxed);
        woken
    }
}

/// Wakes one thread. A wake-up that comes before the sleep is not lost.
#[derive(Debug)]
struct Sleeper {
    woken: AtomicBool,
    /// It takes more than a flag to wake it.
    asleep: AtomicBool,
    thread: Thread,
}

impl Default for Sleeper {
    fn default() -> Self {
        Self { woken: AtomicBool::new(false), asleep: AtomicBool::new(false), thread: thread::current() }
    }
}

impl Sleeper {
    /// True once for all wake-ups so far.
    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::SeqCst)
    }

    fn sleep(&self) {
        // Either the waker sees that the thread sleeps, or the thread sees that it is woken.
        self.asleep.store(true, Ordering::SeqCst);
        while !self.woken.swap(false, Ordering::SeqCst) {
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) && self.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::mpsc};

    use super::*;

    /// Ready after so many wake-ups, which another thread gives one by one, after so long each.
    fn woken_by_another_thread(times: usize, pause: Duration) -> impl Future<Output = usize> {
        let (wakers, to_wake) = mpsc::channel::<Waker>();
        thread::spawn(move || {
            for waker in to_wake {
                thread::park_timeout(pause);
                waker.wake();
            }
        });
        let mut polls = 0;
        poll_fn(move |context| {
            if polls == times {
                return Poll::Ready(polls);
            }
            polls += 1;
            wakers.send(context.waker().clone()).expect("the other thread waits");
            Poll::Pending
        })
    }

    #[test]
    fn no_wake_up_is_lost_awake_or_asleep() {
        for processors in [1, 4] {
            let workers = Workers::new(processors);
            for (times, pause) in [(20_000, Duration::ZERO), (2_000, AWAKE), (200, AWAKE * 4)] {
                assert_eq!(workers.block_on(woken_by_another_thread(times, pause)), times);
            }
            assert_eq!(workers.awake.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn not_all_stay_awake() {
        let workers = Workers { most: 1, awake: AtomicUsize::new(1) };
        assert!(!workers.stay_awake(&Sleeper::default()));
        assert_eq!(workers.awake.load(Ordering::Relaxed), 1);
    }
}
