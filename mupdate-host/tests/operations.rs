//! What an operator does through the writer, and that it is kept.

mod common;

use std::sync::{Arc, mpsc::channel};

use common::{
    activate, apply, change, delete, location, name, open, options, pending, reserve, server, store,
};
use mupdate_core::directory::{Filter, Record, State};
use mupdate_host::admin::api::{Deed, UndoRequest};
use mupdate_host::authority::Local;
use mupdate_host::feeds::Feeds;
use mupdate_host::history::{carry_out, plan};
use mupdate_host::inbox::Inbox;
use mupdate_host::store::{ServerCounts, Store, StoreOptions};
use mupdate_host::writer::{Job, Operated, Operation, Origin, Writer, WriterOptions};

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
fn a_plan_is_carried_out_but_for_what_has_changed() {
    let (_dir, store) = store();
    apply(&store, &[activate("a", "be1!p", "1"), activate("b", "be1!p", "2"), activate("d", "be1!p", "3")]);
    apply(&store, &[delete("a"), delete("b"), delete("d")]);
    let (writer, _feeds) = writer(&store);
    let request = UndoRequest { to_revision: Some(3), ..UndoRequest::default() };
    let mut plan = plan(&store, &request).expect("a plan");
    let again = plan.clone();
    apply(&store, &[reserve("c", "be1!"), reserve("d", "be2!")]);
    carry_out(&writer, &mut plan, &operator()).expect("nothing is in the way");
    let left = [(name("d"), "it has been changed since the plan was made".to_owned())];
    assert_eq!((plan.changes.len(), &plan.left[..]), (2, &left[..]), "others do not matter");
    assert_eq!(store.census().expect("readable").all(), ServerCounts { active: 2, reserved: 2 });
    let entry = store.journal_entry(10).expect("readable").expect("it is there");
    assert_eq!((entry.deed, entry.user.as_str(), entry.before), (Deed::Undo, "operator", None));
    let state = State::Active(mupdate_proto::Acl::new("2"));
    assert_eq!(entry.after, Some(Record { location: location("be1!p"), state }));
    let mut plan = again;
    carry_out(&writer, &mut plan, &operator()).expect("nothing is in the way");
    assert_eq!((plan.changes.len(), plan.left.len()), (0, 3), "it has been done");
    assert_eq!(store.revision().expect("readable"), 10, "nothing has happened");
}

/// Far more names than are changed in one transaction, and somebody whose changes are to go on meanwhile.
#[test]
fn the_changes_of_others_go_on_between_the_steps() {
    let (_dir, store) = store();
    let many = 8 * Operation::STEP;
    let names: Vec<String> = (0..many).map(|at| format!("m{at:05}")).collect();
    apply(&store, &names.iter().map(|name| activate(name, "be1!p", "1")).collect::<Vec<_>>());
    let all = store.revision().expect("readable");
    apply(&store, &names.iter().map(delete).collect::<Vec<_>>());
    let (writer, _feeds) = writer(&store);
    let request = UndoRequest { to_revision: Some(all), ..UndoRequest::default() };
    let mut plan = plan(&store, &request).expect("a plan");
    assert_eq!(plan.changes.len(), many);
    let (answered, answers) = channel();
    let inbox = Inbox::new(Box::new(move || answered.send(()).unwrap_or_default()));
    std::thread::scope(|scope| {
        let carried = scope.spawn(|| carry_out(&writer, &mut plan, &operator()));
        // One change after the other, as a backend makes them, for as long as it takes.
        for number in 0_u64.. {
            let action = activate("other", "be2!p", number.to_string());
            let (ticket, to) = (number.into(), Arc::clone(&inbox));
            writer.submit(Job::Action { action, origin: operator(), ticket, inbox: to });
            answers.recv().expect("it is answered");
            // It wakes again once it has been emptied.
            drop(inbox.take());
            if carried.is_finished() {
                break;
            }
        }
        carried.join().expect("no panic").expect("nothing is in the way");
    });
    assert_eq!((plan.changes.len(), plan.left.len()), (many, 0));
    let deed = |at| store.journal_entry(at).expect("readable").expect("it is there").deed;
    let deeds: Vec<Deed> = (2 * all + 1..=store.revision().expect("readable")).map(deed).collect();
    let undone = |(_, deed): &(usize, &Deed)| **deed == Deed::Undo;
    let first = deeds.iter().enumerate().find(undone).map(|(at, _)| at).expect("it was done");
    let last = deeds.iter().enumerate().rfind(undone).map(|(at, _)| at).expect("it was done");
    assert!(last - first >= many, "others came in between");
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
