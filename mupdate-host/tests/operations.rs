//! What an operator does through the writer: whole or not at all, and kept.

mod common;

use std::sync::Arc;

use common::{
    activate, apply, change, delete, location, name, open, options, pending, reserve, server, store,
};
use mupdate_core::directory::{Filter, Record, State};
use mupdate_host::admin::api::{Deed, UndoRequest};
use mupdate_host::authority::Local;
use mupdate_host::feeds::Feeds;
use mupdate_host::history::plan;
use mupdate_host::inbox::Inbox;
use mupdate_host::store::{Store, StoreOptions};
use mupdate_host::writer::{Operated, Operation, Origin, Writer, WriterOptions};

fn writer(store: &Store) -> (Writer, Arc<Feeds>) {
    let feeds = Feeds::new(store.revision().expect("readable"));
    let options = WriterOptions::default();
    let on_fatal = Box::new(|text: &str| panic!("{text}"));
    let writer = Writer::spawn(store.clone(), Box::new(Local), Arc::clone(&feeds), options, on_fatal);
    (writer.expect("a thread"), feeds)
}

fn operator() -> Origin {
    Origin { principal: "operator".into(), peer: "unix".into() }
}

#[test]
fn reservations_are_released_if_they_are_what_was_seen() {
    let (_dir, store) = store();
    apply(&store, &[reserve("a", "be1!"), reserve("b", "be1!"), activate("c", "be1!p", "x")]);
    apply(&store, &[reserve("b", "be1!p")]);
    let (writer, feeds) = writer(&store);
    let inbox = Inbox::new(Box::new(|| {}));
    let subscription = feeds.subscribe(Filter::All, inbox);
    let names = ["a", "b", "c", "d"].iter().zip([1, 2, 3, 4]).map(|(text, at)| (name(text), at)).collect();
    let done = writer.operate(Operation::Release(names), operator()).expect("it is done");
    let left = [("b", "it has been changed since"), ("c", "it is active"), ("d", "it is not reserved")];
    let left = left.map(|(text, why)| (name(text), why.to_owned())).to_vec();
    assert_eq!(done, Operated::Released(vec![name("a")], left));
    assert_eq!(pending(&subscription), [name("a")], "those who follow hear of it");
    let entry = store.journal_entry(5).expect("readable").expect("it is there");
    assert_eq!((entry.deed, entry.user.as_str(), entry.peer.as_str()), (Deed::Release, "operator", "unix"));
    assert_eq!(entry.mailbox, name("a"));
    writer.stop();
    let refused = writer.operate(Operation::Release(Vec::new()), operator());
    assert_eq!(refused, Err("the server is shutting down".to_owned()));
}

#[test]
fn a_plan_is_carried_out_whole_or_not_at_all() {
    let (_dir, store) = store();
    apply(&store, &[activate("a", "be1!p", "1"), activate("b", "be1!p", "2")]);
    apply(&store, &[delete("a"), delete("b")]);
    let (writer, _feeds) = writer(&store);
    let request = UndoRequest { to_revision: Some(2), ..UndoRequest::default() };
    let plan = plan(&store, &request).expect("a plan");
    let restore = || Operation::Restore {
        planned_at: plan.planned_at,
        records: plan.changes.iter().map(|(name, _, then)| (name.clone(), then.clone())).collect(),
    };
    apply(&store, &[reserve("c", "be1!")]);
    let Ok(Operated::Restored(2)) = writer.operate(restore(), operator()) else {
        panic!("others do not matter")
    };
    assert_eq!(store.counts().expect("readable").active, 2);
    let entry = store.journal_entry(7).expect("readable").expect("it is there");
    assert_eq!((entry.deed, entry.before), (Deed::Undo, None));
    let state = State::Active(mupdate_proto::Acl::new("2"));
    assert_eq!(entry.after, Some(Record { location: location("be1!p"), state }));
    let refused = writer.operate(restore(), operator()).expect_err("they have been changed");
    assert!(refused.contains("a has been changed since the plan was made"), "{refused}");
    assert_eq!(store.revision().expect("readable"), 7, "nothing has happened");
}

#[test]
fn draining_is_kept() {
    let (dir, store) = store();
    let (writer, _feeds) = writer(&store);
    let drain = |draining| Operation::Drain { server: server("be1"), draining };
    assert_eq!(writer.operate(drain(true), operator()), Ok(Operated::Drained(true)));
    assert_eq!(writer.operate(drain(true), operator()), Ok(Operated::Drained(false)));
    let refused = change(&store, &[reserve("a", "be1!p")]);
    assert!(refused.verdicts[0].1.is_err());
    drop(writer);
    drop(store);
    let store = open(&dir);
    assert_eq!(*store.draining(), [server("be1")].into());
    let (writer, _feeds) = self::writer(&store);
    assert_eq!(writer.operate(drain(false), operator()), Ok(Operated::Drained(true)));
    apply(&store, &[reserve("a", "be1!p")]);
    assert_eq!(store.revision().expect("readable"), 1, "draining is no change of the directory");
    drop(writer);
    drop(store);
    let without = StoreOptions { journal: 0, ..options() };
    assert!(Store::open(dir.path(), without).expect("opens").draining().is_empty());
}
