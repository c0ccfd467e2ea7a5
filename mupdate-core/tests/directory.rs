//! Properties of the directory over arbitrary names and actions.

use mupdate_core::directory::{
    Action, Batch, Event, MemoryView, Order, Policy, Speaker, at_risk, can_be_at_risk, harness, risk_ranges,
    v36_name,
};
use mupdate_proto::{Acl, Location, MailboxName};
use proptest::collection::vec;
use proptest::prelude::*;

/// Cyrus 3.6's own key, as it is for names without the octets that it uses itself.
fn plain_key(name: &[u8]) -> Vec<u8> {
    let (mut key, rest) = match name.iter().position(|&octet| octet == b'!') {
        Some(bang) => ([&name[..bang], b"\x1D"].concat(), &name[bang + 1..]),
        None => (Vec::new(), name),
    };
    for &octet in rest {
        key.push(match octet {
            b'.' => 0x1F,
            b'^' => b'.',
            other => other,
        });
    }
    key
}

fn legal() -> impl Strategy<Value = Vec<u8>> {
    let octet = any::<u8>().prop_filter("no name has these", |octet| !b"\0\r\n".contains(octet));
    vec(octet, 1..40)
}

/// Names that are near each other, in an alphabet whose order is disputed.
fn disputed() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop::sample::select(&b"ab.- ^0!+Z"[..]);
    vec(octet, 1..9)
}

/// The same, with the octets that no Cyrus has in a name.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop::sample::select(&b"a.^! \t\x01\x08\x0B\x1C\x1D\x1E\x1F\xFF"[..]);
    vec(octet, 1..7)
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![legal(), disputed(), odd()]
}

fn covered(deleted: &[u8], other: &[u8]) -> bool {
    let key = Order::V36.key(other);
    risk_ranges(deleted).iter().any(|(from, to)| (from..to).contains(&&key))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_v36_key_turns_back_into_its_name(name in any_name()) {
        let key = Order::V36.key(&name);
        prop_assert_eq!(key.len(), name.len());
        prop_assert_eq!(v36_name(&key), name);
    }

    #[test]
    fn two_names_have_two_keys(a in odd(), b in odd()) {
        for order in Order::ALL {
            prop_assert_eq!(order.key(&a) == order.key(&b), a == b);
            prop_assert_eq!(order.compare(&a, &b), order.key(&a).cmp(&order.key(&b)));
        }
    }

    #[test]
    fn ordinary_names_have_the_key_of_cyrus(name in any_name()) {
        if !name.iter().any(|octet| b"\x1D\x1F".contains(octet)) {
            prop_assert_eq!(Order::V36.key(&name), plain_key(&name));
        }
    }

    #[test]
    fn any_octets_can_be_taken_for_a_key(key in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(v36_name(&key).len(), key.len());
    }

    #[test]
    fn the_directory_does_as_its_model(data in vec(any::<u8>(), 0..800)) {
        harness::directory(&data);
    }

    #[test]
    fn orders_pages_and_risks_hold_together(data in prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(prop::sample::select(&b"ab.- ^0!+\n"[..]), 0..200),
        vec(prop::sample::select(&b"a.^!-\t\x01\x1D\x1E\x1F\n"[..]), 0..200),
    ]) {
        harness::order_keys(&data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_at_risk_are_where_they_are_looked_for(deleted in disputed(), other in disputed()) {
        prop_assert!(covered(&deleted, &other) && can_be_at_risk(&other) || !at_risk(&deleted, &other));
    }

    #[test]
    fn odd_names_at_risk_are_where_they_are_looked_for(deleted in odd(), other in odd()) {
        prop_assert!(covered(&deleted, &other) && can_be_at_risk(&other) || !at_risk(&deleted, &other));
    }
}

/// All pairs of names of up to four octets of an alphabet that has one octet of each kind.
#[test]
fn all_short_names_at_risk_are_where_they_are_looked_for() {
    let mut names: Vec<Vec<u8>> = vec![Vec::new()];
    let mut longest = names.clone();
    for _ in 0..4 {
        longest = longest
            .iter()
            .flat_map(|name| b"!-.0^\x1E".iter().map(move |&octet| [&name[..], &[octet]].concat()))
            .collect();
        names.extend_from_slice(&longest);
    }
    names.remove(0);
    let keys: Vec<Vec<u8>> = names.iter().map(|name| Order::V36.key(name)).collect();
    let dots: Vec<Vec<u8>> = names.iter().map(|name| Order::Dot.key(name)).collect();
    let mut risks = 0_u32;
    for (d, deleted) in names.iter().enumerate() {
        let ranges = risk_ranges(deleted);
        for (x, other) in names.iter().enumerate() {
            if deleted > other && (keys[d] < keys[x] || dots[d] < dots[x]) {
                risks += 1;
                let covered = ranges.iter().any(|(from, to)| (from..to).contains(&&keys[x]));
                assert!(covered, "{} puts {} at risk", deleted.escape_ascii(), other.escape_ascii());
            }
        }
    }
    assert!(risks > 100_000, "{risks}");
}

/// A table of ordinary names: what is searched after a deletion must be a small part of it, and hardly more
/// than what is at risk.
#[test]
fn little_is_searched() {
    let folders = ["", ".Sent", ".Trash", ".Drafts", ".lists.rust", ".lists.a-b", ".2024", ".a^b"];
    let users = (100..300).map(|i| match i % 4 {
        0 => format!("user.u{i}"),
        1 => format!("user.first{i}^last"),
        2 => format!("user.u{}-x", i - 2),
        _ => format!("d{i}.example!user.u{i}"),
    });
    let names: Vec<String> = users.flat_map(|user| folders.map(|folder| format!("{user}{folder}"))).collect();
    let keys: Vec<Vec<u8>> = names.iter().map(|name| Order::V36.key(name.as_bytes())).collect();
    for deleted in names.iter().map(String::as_bytes) {
        let ranges = risk_ranges(deleted);
        let in_a_range = |key: &Vec<u8>| ranges.iter().any(|(from, to)| (from..to).contains(&key));
        let searched = keys.iter().filter(|key| in_a_range(key)).count();
        let risky = names.iter().filter(|name| at_risk(deleted, name.as_bytes())).count();
        assert!(searched <= risky + 16, "{}: {risky} of {searched}", deleted.escape_ascii());
        assert!(searched < names.len() / 10);
    }
}

/// Stages one action in a batch of its own; its events.
fn say(view: &mut MemoryView, words: &[&str]) -> Vec<Event> {
    let mailbox = MailboxName::new(words[1].to_owned()).expect("a legal name");
    let location = || Location::new(words[2].to_owned()).expect("a legal location");
    let action = match words[0] {
        "RESERVE" => Action::Reserve { mailbox, location: location() },
        "ACTIVATE" => Action::Activate { mailbox, location: location(), acl: Acl::new(words[3].to_owned()) },
        "DEACTIVATE" => Action::Deactivate { mailbox, location: location() },
        _ => Action::Delete { mailbox },
    };
    let mut batch = Batch::new(view.revision());
    let Ok(()) = batch.stage(view, &action, Speaker::TRUSTED, Policy::Standard, ());
    let durable = batch.seal().durable(view.revision());
    assert_eq!(durable.verdicts, [((), Ok(()))], "{words:?}");
    durable.events
}

/// A replicated pair: both have one server name, and the replica says everything after its master.
#[test]
fn a_replica_that_repeats_its_master_changes_nothing() {
    let operations: [&[&[&str]]; 6] = [
        &[&["RESERVE", "user.a", "be!default"], &["ACTIVATE", "user.a", "be!default", "a lrs"]],
        &[&["ACTIVATE", "user.a", "be!default", "a lrswi"]],
        // a rename does not say the partition
        &[&["DELETE", "user.a"], &["RESERVE", "user.b", "be!"], &["ACTIVATE", "user.b", "be!", "a lrswi"]],
        // of a user: it is said later
        &[&["ACTIVATE", "user.b", "be!default", "b lrswi"]],
        &[&["DEACTIVATE", "user.b", "be!default"]],
        &[&["DELETE", "user.b"]],
    ];
    let mut view = MemoryView::new();
    for operation in operations {
        for words in operation {
            assert_eq!(say(&mut view, words).len(), 1, "{words:?}");
        }
        for words in operation {
            assert_eq!(say(&mut view, words), [], "again: {words:?}");
        }
    }
}
