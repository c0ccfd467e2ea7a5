//! Whoever asks for something while the writer stops gets an answer, and a true one.

use std::sync::Arc;

use mupdate_core::directory::{Filter, Order};
use mupdate_core::server::Reply;
use mupdate_host::writer::{Job, Memo};
use shuttle::thread;

use crate::bench::{Bench, OK, Peer};
use crate::common::{find, name, reserve, server};
use crate::explore::explore;

/// Ask for a change; it is done or declined, and never half.
fn change(bench: &Bench, mailbox: &str) {
    let reply = Peer::new().change(bench, reserve(mailbox, "be1!"));
    bench.writer.stop();
    let there = find(&bench.store, &name(mailbox)).is_some();
    match reply {
        OK => assert!(there, "{mailbox}: OK, and not on the disk"),
        Reply::Failed(text) => assert!(!there, "{mailbox}: {text}, and yet on the disk"),
        reply => panic!("{reply:?} answers a change"),
    }
}

#[test]
fn whoever_asks_during_stop_is_answered() {
    explore("whoever asks during stop is answered", || {
        let bench = Bench::new(&[]);
        let mut asking: Vec<_> = ["m1", "m2", "m3"]
            .map(|mailbox| {
                let bench = Arc::clone(&bench);
                thread::spawn(move || change(&bench, mailbox))
            })
            .into();
        asking.push({
            let bench = Arc::clone(&bench);
            thread::spawn(move || {
                let peer = Peer::new();
                let subscription = peer.subscribe(&bench, Filter::All);
                match peer.barrier(&bench, &subscription) {
                    Ok(position) => assert!(position <= 3),
                    Err(text) => assert!(text.contains("shutting down"), "{text}"),
                }
            })
        });
        bench.writer.stop();
        for asking in asking {
            asking.join().expect("no panic");
        }
    });
}

#[test]
fn what_was_noted_before_stop_is_written() {
    explore("what was noted before stop is written", || {
        let bench = Bench::new(&[]);
        let noting = ["be1", "be2"].map(|at| {
            let bench = Arc::clone(&bench);
            thread::spawn(move || {
                bench.writer.submit(Job::Note(Memo::Learned { server: server(at), order: Order::Octet }));
                bench.writer.stop();
                let order = bench.store.order_of(&server(at)).expect("readable");
                // The other one may have said stop before this was noted.
                order.is_some()
            })
        });
        let written = noting.map(|noting| noting.join().expect("no panic"));
        assert!(written.contains(&true), "neither was written, and one of them noted before any stop");
    });
}
