//! What is true when an answer comes.

use std::sync::Arc;

use mupdate_core::directory::Filter;
use shuttle::thread;

use crate::bench::{Bench, OK, Peer};
use crate::common::{find, name, reserve, server};
use crate::explore::explore;

/// Two backends change the directory. Whoever has an OK finds the change on the disk and in the feeds.
#[test]
fn an_answer_comes_after_the_commit_and_after_the_feeds() {
    explore("an answer comes after the commit and after the feeds", || {
        let bench = Bench::new(&[]);
        let backends = ["be1", "be2"].map(|at| {
            let bench = Arc::clone(&bench);
            thread::spawn(move || backend(&bench, at))
        });
        for backend in backends {
            backend.join().expect("no panic");
        }
        bench.writer.stop();
        assert_eq!((bench.store.revision().expect("readable"), bench.feeds.published()), (4, 4));
    });
}

fn backend(bench: &Bench, at: &str) {
    let peer = Peer::new();
    let subscription = peer.subscribe(bench, Filter::Servers([server(at)].into()));
    for done in 1..=2 {
        let mailbox = format!("{at}.{done}");
        assert_eq!(peer.change(bench, reserve(&mailbox, &format!("{at}!"))), OK);
        assert!(find(&bench.store, &name(&mailbox)).is_some(), "answered before the commit");
        assert_eq!(subscription.feed().lock().expect("no panic").end(), done, "answered before the feeds");
        let published = bench.feeds.published();
        assert!(published >= done, "answered before it was published");
        assert!(published <= bench.store.revision().expect("readable"), "published before the commit");
    }
}

/// A barrier goes along with a round: a change that was submitted just before it is in that round, or was in one before.
#[test]
fn a_barrier_waits_for_what_was_submitted_before_it() {
    explore("a barrier waits for what was submitted before it", || {
        let bench = Bench::new(&[]);
        let other = {
            let bench = Arc::clone(&bench);
            thread::spawn(move || assert_eq!(Peer::new().change(&bench, reserve("be2.m", "be2!")), OK))
        };
        let (backend, frontend) = (Peer::new(), Peer::new());
        let subscription = frontend.subscribe(&bench, Filter::Servers([server("be1")].into()));
        bench.writer.submit(backend.action(reserve("be1.m", "be1!")));
        assert_eq!(frontend.barrier(&bench, &subscription), Ok(1));
        other.join().expect("no panic");
        bench.writer.stop();
    });
}
