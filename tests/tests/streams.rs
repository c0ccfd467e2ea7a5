//! Long lists and streams: whatever changes while they are given, every copy ends up as the directory is.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use mupdate_tests::{
    client::{Client, Row, activate, delete, reserve},
    daemon::{Daemon, Kind},
    on_both_daemons,
    preload::preload,
};

on_both_daemons!(a_long_list_in_every_order, a_dump_amid_changes, a_subscriber_that_was_stuck);

const MANY: u32 = 30_000;

/// What a frontend remembers.
type Copy = BTreeMap<String, Row>;

/// Applies lines of a stream as a frontend does.
fn apply(copy: &mut Copy, rows: Vec<Row>) {
    for row in rows {
        match row {
            Row::Delete { name } => drop(copy.remove(&name)),
            row => drop(copy.insert(row.name().to_owned(), row)),
        }
    }
}

fn directory(client: &mut Client<TcpStream>) -> Copy {
    let mut copy = Copy::new();
    apply(&mut copy, client.list(None).expect("LIST works"));
    copy
}

/// More than a page, in the order of the keys and in others, whole and by server.
fn a_long_list_in_every_order(kind: Kind) {
    let config = "orders = { be1 = \"octet\", be2 = \"dot\" }\nlimits.output_buffer = 4096\n";
    let daemon = Daemon::start_on(kind, config, |data| preload(data, MANY));
    let mut client = daemon.login();
    let name =
        |number: u32| ["user.x", "user.x-", "user.x^", "user.x."].map(|start| format!("{start}{number:03}"));
    for number in 0..250 {
        for name in name(number) {
            client.send(activate(&name, "be2!default", "a"));
        }
    }
    for _ in 0..1000 {
        client.answer().expect("the names are free");
    }
    let all = client.list(None).expect("LIST works");
    assert_eq!(all.len(), MANY as usize + 1000);
    let by_key = |row: &Row| row.name().replace('.', "\x1f").replace('^', ".");
    assert!(all.is_sorted_by_key(by_key), "v36 order");
    let octet = client.list(Some("be1!")).expect("LIST works");
    assert_eq!(octet.len(), MANY as usize);
    assert!(octet.is_sorted_by_key(|row| row.name().to_owned()), "octet order");
    let dot = client.list(Some("be2!")).expect("LIST works");
    assert_eq!(dot.len(), 1000);
    assert!(dot.is_sorted_by_key(|row| row.name().replace('.', "\x02")), "dot order");
    let mut stream = daemon.login();
    assert_eq!(stream.update(&[]).expect("UPDATE works"), all);
    let mut part = daemon.login();
    let at_be2: Vec<_> = all.into_iter().filter(|row| row.location() == Some("be2!default")).collect();
    assert_eq!(part.update(&["be2"]).expect("UPDATE works"), at_be2);
}

/// Subscribers begin while mailboxes come, change, move and go.
fn a_dump_amid_changes(kind: Kind) {
    let daemon = Daemon::start_on(kind, "", |data| preload(data, MANY));
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (stream, over) = (daemon.connect(), Arc::clone(&over));
            thread::spawn(move || {
                let mut client = Client::login(stream).expect("it serves");
                let mut step: u32 = writer;
                while !over.load(Ordering::Relaxed) {
                    // Spread over the whole list: before, at and behind where the dumps are.
                    let number = step.wrapping_mul(7919) % MANY;
                    let name = format!("user.{number:08}");
                    client.send(delete(&name));
                    client.send(reserve(&format!("{name}.new"), "be2!"));
                    client.send(activate(&format!("{name}.new"), "be2!x", "b"));
                    client.send(activate(&format!("user.{:08}", (number + 1) % MANY), "be2!x", "moved"));
                    for _ in 0..4 {
                        // The writers may meet at a name; who is refused goes on.
                        let _ = client.answer();
                    }
                    step += 2;
                }
            })
        })
        .collect();
    let mut copies: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = daemon.login();
            let mut copy = Copy::new();
            apply(&mut copy, stream.update(&[]).expect("UPDATE works"));
            for _ in 0..5 {
                apply(&mut copy, stream.noop().expect("NOOP works"));
            }
            (stream, copy)
        })
        .collect();
    over.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().expect("a writer goes on to its end"));
    let there = directory(&mut daemon.login());
    for (stream, copy) in &mut copies {
        apply(copy, stream.noop().expect("NOOP works"));
        assert!(*copy == there, "a subscriber's copy differs");
    }
}

/// One that reads nothing while everything changes many times over is not sent more than everything once.
fn a_subscriber_that_was_stuck(kind: Kind) {
    const NAMES: usize = 500;
    const ROUNDS: usize = 6;
    let daemon = Daemon::start(kind, "");
    let mut stuck = daemon.login();
    stuck.update(&[]).expect("UPDATE works");
    let mut writer = daemon.login();
    let acl = "x".repeat(5000);
    for round in 0..ROUNDS {
        for number in 0..NAMES {
            let acl = format!("{round} {acl}");
            writer.send(activate(&format!("user.{number}"), "be1!x", &acl));
        }
        for _ in 0..NAMES {
            writer.answer().expect("the names are ours");
        }
    }
    let mut copy = Copy::new();
    let rows = stuck.noop().expect("NOOP works");
    assert!(rows.len() < NAMES * ROUNDS, "{} lines for {NAMES} names", rows.len());
    apply(&mut copy, rows);
    assert!(copy == directory(&mut writer), "the copy differs");
}
