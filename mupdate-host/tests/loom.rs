//! Inboxes, feeds and the list of connections under loom: every interleaving that there is, and every value that a read
//! could see under the memory model.
//!
//! `just model` runs this. `LOOM_LOG=1 LOOM_LOCATION=1` show what led to a failure.
#![cfg(loom)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use loom::sync::Notify;
use loom::thread;
use mupdate_core::directory::{Event, Filter, Record, State};
use mupdate_core::server::Reply;
use mupdate_host::connections::Connections;
use mupdate_host::feeds::{Feeds, Subscription};
use mupdate_host::inbox::Inbox;
use mupdate_proto::{Location, MailboxName};

/// Run a model in every order, and say how many there were.
fn check(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let (executions, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let count = Arc::clone(&executions);
    loom::model(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    println!("{name}: {executions} executions (every) in {:.1} s", start.elapsed().as_secs_f32());
}

/// A connection: an inbox, and what wakes whoever it belongs to. A wake-up before the wait is kept, two are one: as
/// with the descriptor of one daemon and the channel of the other.
struct Peer {
    inbox: Arc<Inbox>,
    woken: Arc<Notify>,
    wakes: Arc<AtomicUsize>,
}

impl Peer {
    fn new() -> Self {
        let (woken, wakes) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (wake, count) = (Arc::clone(&woken), Arc::clone(&wakes));
        let wake = move || {
            count.fetch_add(1, Ordering::Relaxed);
            wake.notify();
        };
        Self { inbox: Inbox::new(Box::new(wake)), woken, wakes }
    }
}

#[test]
fn no_wake_up_is_lost_and_none_is_for_nothing() {
    check("inbox: no wake-up is lost, and none is for nothing", || {
        let peer = Peer::new();
        let inboxes = [Arc::clone(&peer.inbox), Arc::clone(&peer.inbox)];
        let [writer, daemon] = inboxes;
        let writer = thread::spawn(move || {
            writer.changed();
            writer.deliver(1.into(), Reply::Subscribed);
        });
        let daemon = thread::spawn(move || daemon.shutdown());
        let (mut replies, mut changed, mut shutdown, mut emptied) = (0, false, false, 0);
        while !(replies == 1 && changed && shutdown) {
            peer.woken.wait();
            let taken = peer.inbox.take();
            replies += taken.replies.len();
            changed |= taken.changed;
            shutdown |= taken.shutdown;
            emptied += 1;
        }
        writer.join().expect("no panic");
        daemon.join().expect("no panic");
        assert!(peer.wakes.load(Ordering::Relaxed) <= emptied, "woken for nothing");
    });
}

/// The event that makes a revision: one more mailbox, named after it.
fn event(revision: u64) -> Event {
    let location = Location::new("be1!").expect("legal");
    Event {
        revision,
        mailbox: MailboxName::new(format!("m{revision}")).expect("legal"),
        before: None,
        after: Some(Record { location, state: State::Reserved }),
        takeover_from: None,
    }
}

/// Take one name out of a feed.
fn pop(subscription: &Subscription, seen: &mut BTreeSet<Vec<u8>>) -> bool {
    let name = subscription.feed().lock().expect("no panic").pop();
    name.map(|name| seen.insert(name.as_bytes().to_vec())).is_some()
}

#[test]
fn what_is_published_is_in_the_feed_and_a_sleeper_is_woken() {
    check("feeds: what is published is there, and a sleeper is woken", || {
        let (feeds, peer) = (Feeds::new(0), Peer::new());
        let subscription = feeds.subscribe(Filter::All, Arc::clone(&peer.inbox));
        let writer = thread::spawn(move || {
            feeds.publish(&[event(1)], 1);
            feeds.publish(&[event(2)], 2);
        });
        let mut seen = BTreeSet::new();
        loop {
            let published = subscription.published();
            while pop(&subscription, &mut seen) {}
            assert!(seen.len() as u64 >= published, "published, and not in the feed");
            if seen.len() == 2 {
                break;
            }
            peer.woken.wait();
            let _ = peer.inbox.take();
        }
        writer.join().expect("no panic");
    });
}

#[test]
fn who_subscribes_first_misses_nothing_that_is_not_in_the_dump() {
    check("feeds: dump and feed together miss nothing", || {
        // What is committed: the store in this model.
        let (feeds, committed) = (Feeds::new(0), Arc::new(loom::sync::Mutex::new(0)));
        let writer = {
            let (feeds, committed) = (Arc::clone(&feeds), Arc::clone(&committed));
            thread::spawn(move || {
                for revision in 1..=2 {
                    *committed.lock().expect("no panic") = revision;
                    feeds.publish(&[event(revision)], revision);
                }
            })
        };
        let subscription = feeds.subscribe(Filter::All, Peer::new().inbox);
        let dumped = *committed.lock().expect("no panic");
        writer.join().expect("no panic");
        let mut seen: BTreeSet<_> =
            (1..=dumped).map(|revision| format!("m{revision}").into_bytes()).collect();
        while pop(&subscription, &mut seen) {}
        assert_eq!(seen.len(), 2, "missed between dump and feed");
    });
}

#[test]
fn a_subscriber_may_leave_while_it_is_told_something() {
    check("feeds: a subscriber may leave at any time", || {
        let feeds = Feeds::new(0);
        let subscription = feeds.subscribe(Filter::All, Peer::new().inbox);
        let staying = feeds.subscribe(Filter::All, Peer::new().inbox);
        let writer = {
            let feeds = Arc::clone(&feeds);
            thread::spawn(move || feeds.publish(&[event(1)], 1))
        };
        drop(subscription);
        writer.join().expect("no panic");
        assert_eq!((feeds.subscribers(), feeds.longest()), (1, 1));
        drop(staying);
    });
}

#[test]
fn every_connection_hears_of_the_end_whenever_it_comes() {
    check("connections: everybody hears of the end, and the end waits for all", || {
        let connections = Arc::new(Connections::default());
        let coming = {
            let connections = Arc::clone(&connections);
            thread::spawn(move || {
                let Some(place) = connections.admit(2) else { return };
                let peer = Peer::new();
                place.attach(&peer.inbox);
                while !peer.inbox.take().shutdown {
                    peer.woken.wait();
                }
            })
        };
        connections.shutdown();
        assert_eq!(connections.wait_until_empty(Duration::from_secs(10)), 0);
        coming.join().expect("no panic");
        assert!(connections.admit(2).is_none());
    });
}
