use mupdate_core::directory::{Action, Batch, FuseLimits, Mass, Order, Policy, Speaker};
use mupdate_proto::{Acl, ServerName};
use tempfile::TempDir;

use super::*;
use crate::clock::now_millis;
use crate::fixture::{activate, location, name, reserve};
use crate::fuses::FuseBox;
use crate::pairs::{PairSettings, Said};
use crate::store::StoreOptions;

fn open(map_size: usize) -> (TempDir, Store) {
    let dir = TempDir::new().expect("a directory");
    let options = StoreOptions { map_size, max_readers: 16, ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).expect("opens");
    (dir, store)
}

/// Said at this time, in milliseconds since 1970.
fn say(store: &Store, actions: &[Action]) {
    let mut txn = store.begin().expect("no other writer");
    let mut batch = Batch::new(txn.revision());
    for action in actions {
        batch.stage(&mut txn, action, Speaker::TRUSTED, Policy::Standard, ()).expect("there is room");
    }
    let _ = batch.seal();
    txn.commit().expect("there is room");
}

fn checks(dir: &TempDir, store: &Store, pairs: &Pairs, up: Duration) -> Vec<(Severity, String, Vec<String>)> {
    let patient = Patient { store, pairs, data_dir: dir.path(), up, now_ms: now_millis(), upstream: None };
    let found = examine(&patient).expect("readable");
    assert!(found.windows(2).all(|two| two[0].severity >= two[1].severity), "the worst is first");
    let subjects =
        |finding: &Finding| finding.subjects.iter().map(|text| text.to_display().into_owned()).collect();
    // What the disk is like here is not this test's affair.
    let found = found.iter().filter(|finding| finding.check != "disk");
    found.map(|finding| (finding.severity, finding.check.clone(), subjects(finding))).collect()
}

#[test]
fn a_healthy_directory_has_no_findings() {
    let (dir, store) = open(16 << 20);
    let pairs = Pairs::default();
    assert_eq!(checks(&dir, &store, &pairs, Duration::ZERO), []);
    say(
        &store,
        &[activate("a", "be1!p", "x\tlrs\t"), activate("b", "be2!p", ""), activate("a", "be1!p", "y\tl\t")],
    );
    assert_eq!(checks(&dir, &store, &pairs, Duration::ZERO), []);
}

#[test]
fn each_complaint_is_found() {
    let (dir, store) = open(16 << 20);
    let acl = "x\tlrs\t";
    for number in 0..5 {
        say(&store, &[activate(&format!("m{number}"), "be1.example.org!p", acl)]);
    }
    say(&store, &[activate("slip", "be1!p", acl), activate("case", "BE1.example.org!p", acl)]);
    say(&store, &[activate("none", "be1.example.org!", acl), activate("odd", "be3!p", "lrs")]);
    say(&store, &[activate("host", "be\u{1b}[2J!p", acl)]);
    say(
        &store,
        &[activate("both", "be3!p", acl), activate("both", "be4!p", acl), activate("both", "be3!p", acl)],
    );
    store.set_orders([(ServerName::new("be3").expect("legal"), Order::Octet)].into());
    let mut txn = store.begin().expect("no other writer");
    txn.set_order(&ServerName::new("be3").expect("legal"), Order::Dot).expect("there is room");
    txn.commit().expect("there is room");
    let fuses = FuseBox::open(dir.path(), FuseLimits::OFF).expect("opens");
    fuses.blow("wrong", Mass::Takeover);
    let warned = |check: &str, subjects: &[&str]| {
        (Severity::Warning, check.to_owned(), subjects.iter().map(|&text| text.to_owned()).collect())
    };
    let mut expected = vec![
        (Severity::Alarm, "fuses".to_owned(), vec!["wrong".to_owned()]),
        warned("claimants", &["both"]),
        warned("acls", &["odd"]),
        warned("orders", &["be3"]),
        warned("odd-servers", &["be\u{1b}[2J"]),
        warned("odd-servers", &["BE1.example.org", "be1.example.org"]),
        warned("odd-servers", &["be1", "be1.example.org"]),
        (Severity::Note, "no-partition".to_owned(), vec!["be1.example.org".to_owned()]),
    ];
    let pairs = Pairs::default();
    assert_eq!(checks(&dir, &store, &pairs, Duration::ZERO), expected);
    // All of them have changed something lately, so none is silent.
    assert_eq!(checks(&dir, &store, &pairs, 2 * SILENT), expected);
    let members = [(ServerName::new("be9").expect("legal"), ["a".to_owned()].into())].into();
    pairs.declare(&PairSettings { members, ..PairSettings::default() });
    expected.insert(1, warned("pairs", &["be9"]));
    assert_eq!(checks(&dir, &store, &pairs, 2 * AWAITED), expected);
}

/// What takes an hour, a day or a week to become a fault is made by a clock that is so much later.
#[test]
fn what_is_old_is_found() {
    let (dir, store) = open(16 << 20);
    say(
        &store,
        &[
            reserve("half", "be1!p"),
            activate("both", "be1!p", "x\tl\t"),
            activate("both", "be2!p", "x\tl\t"),
            activate("both", "be1!p", "x\tl\t"),
        ],
    );
    let pairs = Pairs::default();
    let at = |later: Duration| {
        let now_ms = now_millis() + u64::try_from(later.as_millis()).expect("it is not so long");
        let patient =
            Patient { store: &store, pairs: &pairs, data_dir: dir.path(), up: later, now_ms, upstream: None };
        let found = examine(&patient).expect("readable");
        let found = found.iter().filter(|finding| finding.check != "disk");
        found.map(|finding| format!("{}: {:?}", finding.check, finding.subjects)).collect::<Vec<_>>()
    };
    let claimants = "claimants: [\"both\"]";
    assert_eq!(at(Duration::ZERO), [claimants]);
    assert_eq!(at(STALE + Duration::from_secs(1)), ["stale-reservations: [\"half\"]", claimants]);
    assert_eq!(at(LATELY + Duration::from_secs(1)), ["stale-reservations: [\"half\"]"]);
    let week = at(SILENT + Duration::from_secs(1));
    assert_eq!(week, ["stale-reservations: [\"half\"]", "silent: [\"be1\"]"]);
}

#[test]
fn pairs_that_are_not_in_step_are_found() {
    let (dir, store) = open(16 << 20);
    let pairs = Pairs::new(&PairSettings { echo: Duration::from_secs(1), ..PairSettings::default() });
    let now =
        std::time::Instant::now().checked_sub(Duration::from_secs(30)).expect("the machine is up for longer");
    let hear = |user: &str, mailbox: &str, changes: bool| {
        let action = activate(mailbox, "be1!p", "x\tlrs\t");
        let mut view = mupdate_core::directory::MemoryView::new();
        let mut batch = Batch::new(0);
        let Ok(()) = batch.stage(&mut view, &action, Speaker::TRUSTED, Policy::Standard, ());
        let events = batch.seal().durable(1).events;
        let event = events.first().filter(|_| changes);
        pairs.hear([Said { user, peer: "192.0.2.1:5", action: &action, event }].into_iter(), now);
    };
    hear("a", "m", true);
    hear("b", "m", false);
    hear("a", "n", true);
    let found = checks(&dir, &store, &pairs, Duration::ZERO);
    assert_eq!(found, [(Severity::Warning, "pairs".to_owned(), vec!["n".to_owned()])]);
    let members = [(ServerName::new("be1").expect("legal"), ["b".to_owned()].into())].into();
    pairs.declare(&PairSettings { members, ..PairSettings::default() });
    assert!(checks(&dir, &store, &pairs, Duration::ZERO).len() > 1, "a is a stranger now");
}

#[test]
fn a_disk_with_little_room_is_found() {
    const GIB: u64 = 1 << 30;
    let severity = |free, all, used| disk(free, all, used).map(|finding| finding.severity);
    assert_eq!(severity(10 * GIB, 100 * GIB, GIB), None);
    assert_eq!(severity(4 * GIB, 100 * GIB, GIB), Some(Severity::Warning), "of a large disk a twentieth");
    assert_eq!(severity(10 * GIB, 100 * GIB, 11 * GIB), Some(Severity::Warning), "no room for a backup");
    assert_eq!(severity(GIB / 32, 100 * GIB, 0), Some(Severity::Alarm));
}

#[test]
fn a_full_map_is_found() {
    let (dir, store) = open(1 << 20);
    let acl = format!("{}\tlrs\t", "x".repeat(3000));
    for number in 0..250 {
        let mailbox = name(&format!("m{number}"));
        let record = mupdate_core::directory::Record {
            location: location("be1!p"),
            state: mupdate_core::directory::State::Active(Acl::new(acl.clone())),
        };
        let mut txn = store.begin().expect("no other writer");
        let revision = txn.revision() + 1;
        let put = mupdate_core::directory::View::put(&mut txn, &mailbox, &record, None, revision);
        if put.is_err() || txn.commit().is_err() {
            break;
        }
    }
    let found = checks(&dir, &store, &Pairs::default(), Duration::ZERO);
    assert!(found.len() == 1 && found[0].1 == "map" && found[0].0 >= Severity::Warning, "{found:?}");
}
