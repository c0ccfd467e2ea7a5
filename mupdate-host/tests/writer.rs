//! The writer: what is answered when, and what happens when it cannot go on.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{activate, delete, name, open, options, pending, reserve, server, store};
use mupdate_core::directory::{
    Action, Batch, Filter, FuseLimits, Mass, Order, PeerRole, Policy, Refusal, Roles, Speaker,
};
use mupdate_core::server::{Reply, Ticket};
use mupdate_host::authority::{Authority, Local};
use mupdate_host::feeds::{Feeds, Subscription};
use mupdate_host::fuses::{FuseBox, list};
use mupdate_host::inbox::Inbox;
use mupdate_host::permits::Permits;
use mupdate_host::store::{Store, StoreError, StoreOptions, WriteTxn};
use mupdate_host::writer::{Job, Memo, Origin, Writer, WriterOptions};
use mupdate_proto::{Location, Role};
use tempfile::TempDir;

/// Longer than any of this takes, so that a fault is a failure and not a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection without a session: an inbox, and what came out of it.
struct Client {
    inbox: Arc<Inbox>,
    woken: Receiver<()>,
    got: Vec<(Ticket, Reply)>,
    changed: bool,
}

impl Client {
    fn new() -> Self {
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let inbox = Inbox::new(Box::new(move || {
            // The client may have gone.
            let _ = wake.lock().expect("no panic").send(());
        }));
        Self { inbox, woken, got: Vec::new(), changed: false }
    }

    /// Wait until this many replies have come in all.
    fn wait(&mut self, replies: usize) -> &[(Ticket, Reply)] {
        while self.got.len() < replies {
            self.woken.recv_timeout(PATIENCE).expect("an answer in time");
            let taken = self.inbox.take();
            self.got.extend(taken.replies);
            self.changed |= taken.changed;
        }
        &self.got
    }

    fn action(&self, ticket: u64, action: Action) -> Job {
        let origin = Origin { principal: "backend".into(), peer: "test".into() };
        Job::Action { action, origin, ticket: ticket.into(), inbox: Arc::clone(&self.inbox) }
    }

    fn barrier(&self, ticket: u64, subscription: &Subscription) -> Job {
        let feed = Arc::clone(subscription.feed());
        Job::Barrier { ticket: ticket.into(), inbox: Arc::clone(&self.inbox), feed }
    }
}

/// An authority that waits for leave before its first decision, so that a test knows what has queued.
struct Gate {
    leave: Option<Receiver<()>>,
    entered: Sender<()>,
}

impl Gate {
    fn new() -> (Box<Self>, Sender<()>, Receiver<()>) {
        let ((open, leave), (entered, inside)) = (mpsc::channel(), mpsc::channel());
        (Box::new(Self { leave: Some(leave), entered }), open, inside)
    }
}

impl Authority for Gate {
    fn role(&self) -> Role {
        Role::Master
    }

    fn decide(
        &mut self,
        txn: &mut WriteTxn<'_>,
        batch: &mut Batch<usize>,
        action: &Action,
        speaker: Speaker<'_>,
        policy: Policy,
        who: usize,
    ) -> Result<(), StoreError> {
        if let Some(leave) = self.leave.take() {
            self.entered.send(()).expect("the test waits");
            leave.recv_timeout(PATIENCE).expect("leave in time");
        }
        Local.decide(txn, batch, action, speaker, policy, who)
    }
}

struct Bench {
    _dir: TempDir,
    store: Store,
    feeds: Arc<Feeds>,
    writer: Writer,
    fatal: Receiver<String>,
}

fn bench(authority: Box<dyn Authority>) -> Bench {
    let (dir, store) = store();
    start(dir, store, authority, WriterOptions::default())
}

fn start(dir: TempDir, store: Store, authority: Box<dyn Authority>, options: WriterOptions) -> Bench {
    let feeds = Feeds::new(store.revision().expect("readable"));
    let (sender, fatal) = mpsc::channel();
    let on_fatal = Box::new(move |text: &str| {
        // The test may be over.
        let _ = sender.send(text.to_owned());
    });
    let writer =
        Writer::spawn(store.clone(), authority, Arc::clone(&feeds), options, on_fatal).expect("a thread");
    Bench { _dir: dir, store, feeds, writer, fatal }
}

fn stat(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}

const OK: Reply = Reply::Submitted(Ok(()));

#[test]
fn what_queues_up_during_a_commit_is_committed_together() {
    let (gate, open, inside) = Gate::new();
    let bench = bench(gate);
    let mut client = Client::new();
    let mut stream = Client::new();
    let subscription = bench.feeds.subscribe(Filter::All, Arc::clone(&stream.inbox));
    bench.writer.submit(client.action(0, activate("m0", "be1!p", "")));
    inside.recv_timeout(PATIENCE).expect("the first action arrives");
    for ticket in 1..=100 {
        bench.writer.submit(client.action(ticket, activate(format!("m{ticket}"), "be1!p", "")));
    }
    bench.writer.submit(stream.barrier(7, &subscription));
    open.send(()).expect("the gate waits");

    let expected: Vec<_> = (0..=100).map(|ticket| (Ticket::from(ticket), OK)).collect();
    assert_eq!(client.wait(101), expected);
    assert_eq!(stream.wait(1), [(Ticket::from(7), Reply::Barrier { position: 101 })]);
    assert!(stream.changed);
    let stats = bench.writer.stats();
    assert_eq!((stat(&stats.batches), stat(&stats.commits), stat(&stats.actions)), (2, 2, 101));
    assert_eq!(bench.store.revision().expect("readable"), 101);
    assert_eq!(bench.feeds.published(), 101);
    let told: Vec<_> = (0..=100).map(|at| name(format!("m{at}"))).collect();
    assert_eq!(pending(&subscription), told);
}

#[test]
fn an_answer_comes_after_its_change_is_to_be_seen_everywhere() {
    let bench = bench(Box::new(Local));
    let mut client = Client::new();
    let mut stream = Client::new();
    let subscription = bench.feeds.subscribe(Filter::All, Arc::clone(&stream.inbox));
    for round in 1..=20 {
        let mailbox = format!("m{round}");
        bench.writer.submit(client.action(round, activate(&mailbox, "be1!p", "")));
        client.wait(usize::try_from(round).expect("small"));
        assert!(common::find(&bench.store, &name(&mailbox)).is_some());
        assert_eq!(bench.feeds.published(), round);
        assert_eq!(pending(&subscription), [name(&mailbox)]);
    }
    bench.writer.submit(stream.barrier(1, &subscription));
    assert_eq!(stream.wait(1), [(Ticket::from(1), Reply::Barrier { position: 20 })]);
}

#[test]
fn repetitions_and_refusals_need_no_commit_and_are_answered_in_turn() {
    let bench = bench(Box::new(Local));
    let mut client = Client::new();
    bench.writer.submit(client.action(1, activate("m", "be1!p", "acl")));
    client.wait(1);
    bench.writer.submit(client.action(2, activate("m", "be1!", "acl")));
    bench.writer.submit(client.action(3, reserve("m", "be2!p")));
    bench.writer.submit(client.action(4, delete("other")));
    let held_by = common::location("be1!p");
    let refused = Reply::Submitted(Err(Refusal::AlreadyExists { held_by }));
    let expected = [(1.into(), OK), (2.into(), OK), (3.into(), refused), (4.into(), OK)];
    assert_eq!(client.wait(4), expected);
    let stats = bench.writer.stats();
    assert_eq!((stat(&stats.commits), stat(&stats.refused), stat(&stats.takeovers)), (1, 1, 0));
    bench.writer.submit(client.action(5, activate("m", "be2!p", "acl")));
    bench.writer.stop();
    assert_eq!((stat(&stats.commits), stat(&stats.takeovers), stat(&stats.changes)), (2, 1, 2));
}

#[test]
fn stop_finishes_what_was_submitted_and_declines_the_rest() {
    let bench = bench(Box::new(Local));
    let mut client = Client::new();
    for ticket in 0..200 {
        bench.writer.submit(client.action(ticket, reserve(format!("m{ticket}"), "be1!")));
    }
    bench.writer.stop();
    bench.writer.stop();
    bench.writer.submit(client.action(200, reserve("late", "be1!")));
    let replies = client.wait(201);
    assert!(replies[..200].iter().all(|(_, reply)| *reply == OK));
    assert!(matches!(&replies[200].1, Reply::Failed(text) if text.contains("shutting down")));
    assert_eq!(bench.store.census().expect("readable").all().reserved, 200);
    assert!(bench.fatal.try_recv().is_err());
}

#[test]
fn whoever_submits_while_it_stops_is_answered() {
    let (dir, store) = store();
    for _ in 0..300 {
        let Bench { writer, feeds, .. } = start(
            TempDir::new_in(&dir).expect("a directory"),
            store.clone(),
            Box::new(Local),
            WriterOptions::default(),
        );
        let writer = Arc::new(writer);
        let submitting = {
            let (writer, mut client) = (Arc::clone(&writer), Client::new());
            let subscription = feeds.subscribe(Filter::All, Arc::clone(&client.inbox));
            std::thread::spawn(move || {
                for submitted in 1.. {
                    writer.submit(client.barrier(submitted, &subscription));
                    let taken = client.inbox.take();
                    let stopped = taken.replies.iter().any(|(_, reply)| matches!(reply, Reply::Failed(_)));
                    client.got.extend(taken.replies);
                    if stopped {
                        return client.wait(usize::try_from(submitted).expect("small")).len();
                    }
                }
                unreachable!("it is stopped before that")
            })
        };
        writer.stop();
        assert!(submitting.join().expect("everybody is answered") > 0);
    }
}

#[test]
fn a_full_store_says_no_and_serves_on() {
    let dir = TempDir::new().expect("a directory");
    let store = Store::open(dir.path(), StoreOptions { map_size: 512 << 10, ..options() }).expect("opens");
    let bench = start(dir, store, Box::new(Local), WriterOptions::default());
    let mut client = Client::new();
    let acl = "a".repeat(3000);
    let mut made = 0;
    loop {
        bench.writer.submit(client.action(made, activate(format!("m{made}"), "be1!p", &acl)));
        let reply = &client.wait(usize::try_from(made).expect("small") + 1).last().expect("waited for").1;
        match reply {
            Reply::Submitted(Ok(())) => made += 1,
            Reply::Failed(text) if text.contains("full") => break,
            other => panic!("answered {other:?}"),
        }
        assert!(made < 1000, "512 KiB are never full");
    }
    // What needs no room is answered as ever, and what was there is.
    bench.writer.submit(client.action(1000, activate("m0", "be1!p", &acl)));
    bench.writer.submit(client.action(1001, reserve("m0", "be2!p")));
    let replies = client.wait(usize::try_from(made).expect("small") + 3);
    assert_eq!(replies[replies.len() - 2].1, OK);
    assert!(matches!(replies[replies.len() - 1].1, Reply::Submitted(Err(_))));
    assert_eq!(bench.store.census().expect("readable").all().active, made);
    assert!(stat(&bench.writer.stats().full) >= 1);
    assert!(bench.fatal.try_recv().is_err());
}

/// Says what it is told to; decides nothing.
struct Broken(fn() -> Result<(), StoreError>, Role);

impl Authority for Broken {
    fn role(&self) -> Role {
        self.1.clone()
    }

    fn decide(
        &mut self,
        _: &mut WriteTxn<'_>,
        _: &mut Batch<usize>,
        _: &Action,
        _: Speaker<'_>,
        _: Policy,
        _: usize,
    ) -> Result<(), StoreError> {
        (self.0)()
    }
}

#[test]
fn when_what_is_on_the_disk_is_unknown_nobody_is_answered() {
    let corrupt: fn() -> Result<(), StoreError> = || Err(StoreError::Corrupt("test record"));
    let panicking: fn() -> Result<(), StoreError> = || panic!("a fault of ours");
    for (fault, says) in [(corrupt, "test record is damaged"), (panicking, "panicked")] {
        let bench = bench(Box::new(Broken(fault, Role::Master)));
        let client = Client::new();
        bench.writer.submit(client.action(1, reserve("m", "be1!")));
        let text = bench.fatal.recv_timeout(PATIENCE).expect("it is fatal");
        assert!(text.contains(says), "{text}");
        bench.writer.stop();
        assert!(client.inbox.take().replies.is_empty());
        assert_eq!(bench.store.revision().expect("readable"), 0);
    }
}

#[test]
fn a_replica_takes_no_changes_and_answers_barriers() {
    let master = Role::Replica("mupdate://master".into());
    let bench = bench(Box::new(Broken(|| panic!("nothing is to be decided"), master)));
    let mut client = Client::new();
    let subscription = bench.feeds.subscribe(Filter::All, Arc::clone(&client.inbox));
    bench.writer.submit(client.action(1, reserve("m", "be1!")));
    bench.writer.submit(client.barrier(2, &subscription));
    let expected =
        [(1.into(), Reply::Failed("read-only session".into())), (2.into(), Reply::Barrier { position: 0 })];
    assert_eq!(client.wait(2), expected);
}

#[test]
fn a_name_that_no_key_can_hold_harms_nobody_else() {
    let (gate, open, inside) = Gate::new();
    let bench = bench(gate);
    let mut client = Client::new();
    bench.writer.submit(client.action(1, reserve("m1", "be1!")));
    inside.recv_timeout(PATIENCE).expect("the first action arrives");
    bench.writer.submit(client.action(2, reserve("x".repeat(4000), "be1!")));
    bench.writer.submit(client.action(3, reserve("m3", "be1!")));
    open.send(()).expect("the gate waits");
    let mut replies = client.wait(3).to_vec();
    replies.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(replies[0].1, OK);
    assert!(matches!(&replies[1].1, Reply::Failed(text) if text.contains("too long")));
    assert_eq!(replies[2].1, OK);
}

#[test]
fn memos_go_along_with_the_next_commit_or_on_their_own_later() {
    let (dir, store) = store();
    let options = WriterOptions { note_delay: Duration::from_millis(20), ..WriterOptions::default() };
    let bench = start(dir, store, Box::new(Local), options);
    let synced = |revision| Job::Note(Memo::Synced { client: Bytes::from_static(b"frontend"), revision });
    bench.writer.submit(synced(1));
    bench.writer.submit(synced(2));
    let commits = || stat(&bench.writer.stats().commits);
    let start = std::time::Instant::now();
    while bench.store.client_synced(b"frontend").expect("readable") != Some(2) {
        assert!(start.elapsed() < PATIENCE, "never written");
        std::thread::yield_now();
    }
    assert!(commits() <= 2);
    bench.writer.stop();
    assert_eq!(bench.store.client_synced(b"frontend").expect("readable"), Some(2));
}

#[test]
fn memos_are_written_before_the_end() {
    let (dir, store) = store();
    let options = WriterOptions { note_delay: Duration::from_secs(3600), ..WriterOptions::default() };
    let bench = start(dir, store, Box::new(Local), options);
    let mut client = Client::new();
    bench.writer.submit(Job::Note(Memo::Learned { server: server("be1"), order: Order::Octet }));
    bench.writer.submit(client.action(1, reserve("m", "be1!")));
    client.wait(1);
    // One commit for both.
    assert_eq!(bench.store.order_of(&server("be1")).expect("readable"), Some(Order::Octet));
    assert_eq!(stat(&bench.writer.stats().commits), 1);
    bench.writer.submit(Job::Note(Memo::Learned { server: server("be1"), order: Order::Dot }));
    bench.writer.stop();
    let Bench { _dir: dir, store, feeds, writer, .. } = bench;
    drop((store, feeds, writer));
    let store = open(&dir);
    assert_eq!(store.order_of(&server("be1")).expect("readable"), Some(Order::Dot));
    assert_eq!(store.revision().expect("readable"), 1);
}

#[test]
fn a_subscriber_that_left_is_told_nothing() {
    let bench = bench(Box::new(Local));
    let (mut client, stream) = (Client::new(), Client::new());
    let subscription =
        bench.feeds.subscribe(Filter::Servers([server("be1")].into()), Arc::clone(&stream.inbox));
    assert_eq!(bench.feeds.subscribers(), 1);
    bench.writer.submit(client.action(1, reserve("m1", "be2!")));
    client.wait(1);
    assert!(!stream.inbox.take().changed);
    bench.writer.submit(client.action(2, reserve("m2", "be1!")));
    client.wait(2);
    assert!(stream.inbox.take().changed);
    assert_eq!(bench.feeds.longest(), 1);
    drop(subscription);
    assert_eq!((bench.feeds.subscribers(), bench.feeds.longest()), (0, 0));
    bench.writer.submit(client.action(3, reserve("m3", "be1!")));
    client.wait(3);
    assert!(!stream.inbox.take().changed);
}

#[test]
fn roles_are_judged_in_the_transaction_and_counted() {
    let (dir, store) = store();
    let mut roles = Roles::default();
    let be1 = PeerRole::Backend([server("be1")].into());
    roles.give("backend", be1);
    let permits = Arc::new(Permits::new(roles));
    let options = WriterOptions { permits: Arc::clone(&permits), ..WriterOptions::default() };
    let bench = start(dir, store, Box::new(Local), options);
    let mut client = Client::new();
    let actions = [activate("a", "be2!p", ""), activate("a", "be1!p", ""), delete("a"), delete("a")];
    for (ticket, action) in (0..).zip(actions) {
        bench.writer.submit(client.action(ticket, action));
    }
    let said = Location::new("be2!p").expect("legal");
    let refused = Reply::Submitted(Err(Refusal::NotItsServer { said, principal: "backend".into() }));
    let answers: Vec<_> = client.wait(4).iter().map(|(_, reply)| reply.clone()).collect();
    assert_eq!(answers, [refused, OK, OK, OK]);
    permits.replace(Roles::default());
    bench.writer.submit(client.action(4, activate("a", "be2!p", "")));
    assert_eq!(client.wait(5)[4].1, OK);
    bench.writer.stop();
    let stats = bench.writer.stats();
    assert_eq!((stat(&stats.refused), stat(&stats.denied), stat(&stats.changes)), (1, 1, 3));
}

#[test]
fn a_fuse_counts_what_is_committed_and_is_on_the_disk_before_anybody_is_told() {
    let (dir, store) = store();
    let limits = FuseLimits { takeovers: 3, ..FuseLimits::OFF };
    let fuses = Arc::new(FuseBox::open(dir.path(), limits).expect("nothing has blown"));
    let (gate, open, inside) = Gate::new();
    let (data_dir, seen) = (dir.path().to_owned(), Arc::clone(&fuses));
    let options = WriterOptions { fuses, ..WriterOptions::default() };
    let bench = start(dir, store, gate, options);
    let mut client = Client::new();
    // All in one transaction: five that be1 has, which be2 takes, one of them after be1 has deactivated it.
    let names = ["a", "b", "c", "d", "e"];
    let theirs = names.map(|mailbox| activate(mailbox, "be1!p", ""));
    let xfer = Action::Deactivate { mailbox: name("e"), location: Location::new("be1!p").expect("legal") };
    let ours = ["e", "a", "b", "c", "d"].map(|mailbox| activate(mailbox, "be2!p", ""));
    let other_place = activate("a", "be2!q", "");
    let actions = theirs.into_iter().chain([xfer]).chain(ours).chain([other_place]);
    let mut submitted = 0;
    for (ticket, action) in (0..).zip(actions) {
        bench.writer.submit(client.action(ticket, action));
        if ticket == 0 {
            inside.recv_timeout(PATIENCE).expect("the first action arrives");
        }
        submitted += 1;
    }
    open.send(()).expect("the gate waits");
    let held = Refusal::Held { mass: Mass::Takeover, principal: "backend".into() };
    let answers: Vec<_> = client.wait(submitted).iter().map(|(_, reply)| reply.clone()).collect();
    assert_eq!(list(&data_dir).expect("readable").len(), 1, "it was written before the answer");
    let mut expected = vec![OK; submitted];
    expected[10] = Reply::Submitted(Err(held));
    assert_eq!(answers, expected);
    assert!(seen.held("backend", None, Instant::now()).holds(Mass::Takeover));
    bench.writer.stop();
    let stats = bench.writer.stats();
    assert_eq!((stat(&stats.held), stat(&stats.fuses_blown), stat(&stats.takeovers)), (1, 1, 4));
}

#[test]
fn a_fuse_knows_how_many_names_a_server_has() {
    let (dir, store) = store();
    let limits = FuseLimits { deletion_share: 50, ..FuseLimits::OFF };
    let fuses = Arc::new(FuseBox::open(dir.path(), limits).expect("nothing has blown"));
    let bench = start(dir, store, Box::new(Local), WriterOptions { fuses, ..WriterOptions::default() });
    let mut client = Client::new();
    // A hundred names of be1 at three partitions, one of them only reserved; as many of a server with a longer name.
    let mut actions: Vec<_> =
        (0..100).map(|n| activate(format!("m{n}"), &format!("be1!p{}", n % 3), "")).collect();
    actions[99] = reserve("m99", "be1!p0");
    actions.extend((0..100).map(|n| activate(format!("n{n}"), "be11!p", "")));
    actions.extend((0..100).map(|n| delete(format!("m{n}"))));
    let submitted = actions.len();
    for (ticket, action) in (0..).zip(actions) {
        bench.writer.submit(client.action(ticket, action));
    }
    let deletions = &client.wait(submitted)[200..];
    let done = deletions.iter().take_while(|(_, reply)| *reply == OK).count();
    assert_eq!((done, deletions.iter().filter(|(_, reply)| *reply == OK).count()), (50, 50));
    bench.writer.stop();
    assert_eq!(stat(&bench.writer.stats().held), 50);
}
