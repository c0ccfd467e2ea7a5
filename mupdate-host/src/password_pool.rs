//! Threads for the slow hashes of passwords, so that no executor and no connection waits for another's login.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::process::nice;

use crate::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use crate::sync::{Mutex, lock, thread};

/// How far hashing stands back for everything else that the daemon does: a flood of wrong passwords keeps all of these
/// threads busy. On Linux a thread has a priority of its own.
const PRIORITY: i32 = if cfg!(all(target_os = "linux", not(test))) { 10 } else { 0 };

/// A few threads behind a bounded queue. They end after the last handle is gone and the queue is empty.
pub struct PasswordPool<Job> {
    queue: SyncSender<Job>,
}

impl<Job: Send + 'static> PasswordPool<Job> {
    /// Starts `threads` threads that do every job by `work`; `waiting` jobs can queue before more are refused.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(
        threads: usize,
        waiting: usize,
        work: impl Fn(Job) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting);
        let (jobs, work) = (Arc::new(Mutex::new(jobs)), Arc::new(work));
        for number in 0..threads.max(1) {
            let (jobs, work) = (Arc::clone(&jobs), Arc::clone(&work));
            let run = move || {
                // If it is refused, hashing is in others' way a little more.
                let _ = nice(PRIORITY);
                while let Some(job) = next(&jobs) {
                    work(job);
                }
            };
            thread::Builder::new().name(format!("password-{number}")).spawn(run)?;
        }
        Ok(Self { queue })
    }

    /// Queues a job; gives it back when the queue is full.
    ///
    /// # Errors
    /// The job itself.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        self.queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }
}

/// Waits for a job; the lock is held while waiting, not while working.
fn next<Job>(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    lock(jobs).recv().ok()
}

impl<Job> fmt::Debug for PasswordPool<Job> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordPool")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn every_job_is_done() {
        let (done, results) = channel();
        let pool = PasswordPool::start(3, 100, move |number: u32| done.send(number).unwrap()).unwrap();
        for number in 0..100 {
            pool.submit(number).unwrap();
        }
        drop(pool);
        let mut results: Vec<u32> = results.iter().collect();
        results.sort_unstable();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_queue_gives_the_job_back() {
        let (started, has_started) = channel();
        let (release, released) = channel::<()>();
        let released = Mutex::new(released);
        let pool = PasswordPool::start(1, 2, move |number: u32| {
            started.send(number).unwrap();
            let _ = released.lock().unwrap().recv();
        })
        .unwrap();
        pool.submit(1).unwrap();
        assert_eq!(has_started.recv(), Ok(1));
        assert_eq!([2, 3, 4].map(|number| pool.submit(number)), [Ok(()), Ok(()), Err(4)]);
        drop(release);
        drop(pool);
        assert_eq!(has_started.iter().collect::<Vec<_>>(), [2, 3]);
    }
}
