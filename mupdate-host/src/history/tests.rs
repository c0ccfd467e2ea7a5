use mupdate_core::directory::{Action, Batch, Edit, Policy, Speaker, View};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::admin::api::UndoRequest;
use crate::fixture::{activate, delete, name, reserve};
use crate::store::StoreOptions;

fn open(journal: u64) -> (TempDir, Store) {
    let dir = TempDir::new().expect("a directory");
    let options = StoreOptions { map_size: 16 << 20, max_readers: 16, journal, ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).expect("opens");
    (dir, store)
}

fn say(store: &Store, user: &str, actions: &[Action]) {
    let mut txn = store.begin().expect("no other writer");
    txn.author(user, "unix", Deed::Activate);
    let mut batch = Batch::new(txn.revision());
    for action in actions {
        batch.stage(&mut txn, action, Speaker::TRUSTED, Policy::Standard, ()).expect("there is room");
    }
    let _ = batch.seal();
    txn.commit().expect("there is room");
}

/// Carries a plan out.
fn carry_out(store: &Store, plan: &Plan) {
    let mut txn = store.begin().expect("no other writer");
    let mut batch = Batch::new(txn.revision());
    for (mailbox, now, then) in &plan.changes {
        assert_eq!(txn.get(mailbox).expect("readable"), *now);
        batch
            .set(&mut txn, &Edit { mailbox: mailbox.clone(), record: then.clone() }, ())
            .expect("there is room");
    }
    let _ = batch.seal();
    txn.commit().expect("there is room");
}

/// Locations and ACLs by name.
type Records = BTreeMap<Vec<u8>, (Vec<u8>, Option<Vec<u8>>)>;

fn records(store: &Store) -> Records {
    let (mut scan, mut all) = (Scan::default(), BTreeMap::new());
    while store
        .scan(&mut scan, |seen| {
            all.insert(seen.name.to_vec(), (seen.location.to_vec(), seen.acl.map(<[u8]>::to_vec)));
        })
        .expect("readable")
    {}
    all
}

fn planned(store: &Store, request: UndoRequest) -> Plan {
    plan(store, &request).expect("a plan")
}

fn why_not(store: &Store, request: UndoRequest) -> String {
    match plan(store, &request) {
        Err(PlanError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn since(to: Revision) -> UndoRequest {
    UndoRequest { to_revision: Some(to), ..UndoRequest::default() }
}

fn names(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(|(mailbox, ..)| mailbox.to_string()).collect()
}

#[test]
fn a_mass_deletion_is_undone() {
    let (_dir, store) = open(1000);
    say(&store, "be1", &[activate("a", "be1!p", "1"), activate("b", "be1!p", "2"), reserve("c", "be2!")]);
    let (before, at) = (records(&store), store.revision().expect("readable"));
    say(&store, "wrong", &[delete("a"), delete("b"), delete("c"), activate("d", "be1!p", "x")]);
    let undo = planned(&store, since(at));
    assert_eq!((names(&undo), undo.planned_at), (vec!["a".into(), "b".into(), "c".into(), "d".into()], 7));
    assert_eq!(undo.changes[3].2, None);
    let again = planned(&store, UndoRequest { planned_at: Some(7), ..since(at) });
    assert_eq!(again, undo);
    carry_out(&store, &undo);
    assert_eq!(records(&store), before);
    // And that can be undone, too.
    let redo = planned(&store, since(7));
    carry_out(&store, &redo);
    assert_eq!(records(&store).len(), 1);
}

#[test]
fn only_what_is_asked_for_is_undone() {
    let (_dir, store) = open(1000);
    say(
        &store,
        "be1",
        &[activate("a", "be1!p", "1"), activate("b", "be2!p", "1"), activate("c", "be1!p", "1")],
    );
    say(
        &store,
        "be2",
        &[activate("a", "be2!p", "2"), activate("b", "be2!p", "2"), activate("c", "be1!p", "2")],
    );
    say(&store, "be1", &[activate("c", "be1!p", "3")]);
    let by = |user: &str| UndoRequest { user: Some(user.into()), ..since(3) };
    let plan = planned(&store, by("be2"));
    assert_eq!(names(&plan), ["a", "b"]);
    assert_eq!(plan.left, [(name("c"), "somebody else has changed it since".into())]);
    let then = plan.changes[0].2.as_ref().expect("it was there");
    assert_eq!(then.location.as_bytes(), b"be1!p");
    assert_eq!(names(&planned(&store, by("be1"))), ["c"]);
    assert_eq!(names(&planned(&store, UndoRequest { server: Some("be1".into()), ..since(3) })), ["a", "c"]);
    assert_eq!(names(&planned(&store, UndoRequest { mailbox: Some("b".into()), ..since(3) })), ["b"]);
    assert_eq!(names(&planned(&store, since(7))), [""; 0]);
    let whole = UndoRequest { to_ms: Some(0), ..UndoRequest::default() };
    assert_eq!(names(&planned(&store, whole)), ["a", "b", "c"]);
    let now = crate::clock::now_millis() + 1000;
    assert_eq!(names(&planned(&store, UndoRequest { to_ms: Some(now), ..UndoRequest::default() })), [""; 0]);
}

#[test]
fn what_the_journal_does_not_know_is_refused() {
    let (_dir, store) = open(0);
    assert!(why_not(&store, since(0)).contains("no journal"));
    let (_dir, store) = open(4);
    for _ in 0..10 {
        say(&store, "x", &[activate("a", "be1!p", "1"), delete("a")]);
    }
    assert!(
        why_not(&store, since(3)).contains("does not go back that far: it has what came after revision 16")
    );
    let time = UndoRequest { to_ms: Some(0), ..UndoRequest::default() };
    assert!(why_not(&store, time).contains("does not go back that far"));
    assert!(why_not(&store, since(21)).contains("not there yet"));
    assert!(why_not(&store, UndoRequest::default()).contains("either"));
    assert!(why_not(&store, UndoRequest { planned_at: Some(99), ..since(1) }).contains("at revision 20"));
    assert_eq!(names(&planned(&store, since(16))), [""; 0], "deleted then, deleted now");
    assert_eq!(names(&planned(&store, since(17))), ["a"]);
}

#[test]
fn what_is_too_long_to_be_kept_is_left_alone() {
    let (_dir, store) = open(100);
    let long = "x".repeat(crate::store::journal::LONGEST + 1);
    say(&store, "x", &[activate("a", "be1!p", &long)]);
    say(&store, "x", &[delete("a")]);
    let plan = planned(&store, since(1));
    assert_eq!((plan.changes.len(), plan.left.len()), (0, 1));
    assert!(plan.left[0].1.contains("too long"));
}

#[test]
fn reservations_and_last_changes_are_told() {
    let (_dir, store) = open(100);
    say(&store, "be1", &[reserve("a", "be1!p"), activate("b", "be1!p", "1")]);
    say(&store, "be2", &[reserve("c", "be2!q")]);
    let now = crate::clock::now_millis();
    let older = |than: u64, now: u64| {
        let mut all = Vec::new();
        let each = |one| {
            all.push(one);
            Ok::<_, StoreError>(())
        };
        reservations(&store, than, now, each).expect("readable");
        all
    };
    let all = older(0, now);
    let told: Vec<_> =
        all.iter().map(|one| (one.mailbox.to_display(), one.user.as_deref(), one.revision)).collect();
    assert_eq!(told, [("a".into(), Some("be1"), 1), ("c".into(), Some("be2"), 3)]);
    assert_eq!(older(60_000, now), []);
    assert_eq!(older(60_000, now + 61_000).len(), 2);
    let last = last_changes(&store, [&b"be1"[..], b"be2", b"be3"]).expect("readable");
    assert_eq!(last.keys().map(|server| &server[..]).collect::<Vec<_>>(), [&b"be1"[..], b"be2"]);
    assert!(last.values().all(|at| now.abs_diff(*at) < 60_000));
    let found = |wanted: Wanted| {
        let mut found = Vec::new();
        journal(&store, &wanted, None, |entry| {
            found.push(entry.revision);
            Ok::<_, StoreError>(found.len() < 2)
        })
        .expect("readable");
        found
    };
    assert_eq!(found(Wanted::default()), [3, 2], "newest first, as many as wanted");
    assert_eq!(found(Wanted { server: Some(b"be1".to_vec()), ..Wanted::default() }), [2, 1]);
    assert_eq!(found(Wanted { user: Some("be2".into()), ..Wanted::default() }), [3]);
    assert_eq!(found(Wanted { mailbox: Some(b"b".to_vec()), ..Wanted::default() }), [2]);
    assert_eq!(found(Wanted { takeovers: true, ..Wanted::default() }), [0; 0]);
    assert_eq!(found(Wanted { deed: Some(Deed::Delete), ..Wanted::default() }), [0; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Back to any revision: everything is as it was then.
    #[test]
    fn undo_is_exact(steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..2_usize), 1..20), to in any::<prop::sample::Index>()) {
        let (_dir, store) = open(1000);
        let mut seen = vec![records(&store)];
        for (kind, mailbox, place) in steps {
            let (mailbox, place) = (["a", "b", "c"][mailbox], ["be1!p", "be2!"][place]);
            let action = match kind {
                0 => reserve(mailbox, place),
                1 => activate(mailbox, place, "1"),
                2 => activate(mailbox, place, "2"),
                _ => delete(mailbox),
            };
            say(&store, "x", &[action]);
            if store.revision().expect("readable") == seen.len() as u64 {
                seen.push(records(&store));
            }
        }
        let to = to.index(seen.len());
        carry_out(&store, &planned(&store, since(to as u64)));
        prop_assert_eq!(&records(&store), &seen[to]);
    }
}
