//! The threads that hash passwords.

use std::sync::Arc;

use mupdate_host::password_pool::PasswordPool;
use shuttle::sync::mpsc::channel;
use shuttle::thread;

use crate::explore::explore;

/// Connections log in and go, the last handle with them: what was taken is done once, and the threads end.
#[test]
fn every_login_that_was_taken_is_checked_once() {
    explore("every login that was taken is checked once", || {
        let (done, results) = channel();
        let work = move |job: usize| done.send(job).expect("the model listens");
        let pool = Arc::new(PasswordPool::start(2, 1, work).expect("threads"));
        let logins = [[0, 1], [2, 3]].map(|jobs| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || jobs.map(|job| (job, pool.submit(job))))
        });
        drop(pool);
        let logins: Vec<_> = logins.into_iter().flat_map(|login| login.join().expect("no panic")).collect();
        let taken: Vec<usize> =
            logins.iter().filter(|(_, taken)| taken.is_ok()).map(|(job, _)| *job).collect();
        assert!(logins.iter().all(|(job, taken)| taken.is_ok() || *taken == Err(*job)), "{logins:?}");
        let mut results: Vec<usize> = results.iter().collect();
        results.sort_unstable();
        assert_eq!(results, taken);
    });
}
