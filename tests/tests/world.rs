//! The world in memory under any interleaving: what clients are told, and what the directory holds, always fit.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use mupdate_core::directory::{Record, State};
use mupdate_proto::MailboxName;
use mupdate_tests::world::{Connection, Settings, Work, World};
use proptest::prelude::*;

const LOGIN: &str = "L AUTHENTICATE \"PLAIN\" \"AG11cmRlcgBzZWNyZXQ=\"\r\n";

/// A peer on another machine.
fn elsewhere(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

fn world() -> World {
    World::new(Settings::parse("streams.hold_ms = 0\n").expect("it is right"), Instant::now())
}

/// A logged-in connection; its banner and login have been read.
fn login(world: &mut World, peer: Option<IpAddr>) -> Connection {
    let connection = world.connect(peer);
    world.send(connection, LOGIN.as_bytes());
    world.settle();
    let said = world.take_output(connection);
    assert!(said.ends_with(b"L OK \"Authenticated\"\r\n"));
    connection
}

fn ask(world: &mut World, connection: Connection, commands: &str) -> String {
    world.send(connection, commands.replace('\n', "\r\n").as_bytes());
    world.settle();
    String::from_utf8(world.take_output(connection)).expect("these answers are text")
}

/// After this a client at `peer` has gone away, having proved that it knew of a deletion (or not).
fn subscribed_and_gone(world: &mut World, peer: Option<IpAddr>, noops: &str) {
    let backend = login(world, None);
    let made =
        ask(world, backend, "A ACTIVATE \"u.a-b\" \"be1!x\" \"\"\nA ACTIVATE \"u.a.b\" \"be1!x\" \"\"\n");
    assert_eq!(made, "A OK \"done\"\r\nA OK \"done\"\r\n");
    let frontend = login(world, peer);
    ask(world, frontend, "U UPDATE\n");
    ask(world, backend, "A DELETE \"u.a.b\"\n");
    for noop in noops.lines() {
        ask(world, frontend, &format!("{noop}\n"));
    }
    world.disconnect(frontend);
}

#[test]
fn who_proved_to_know_of_a_deletion_is_not_told_again() {
    let mut world = world();
    // The second NOOP proves that the answer to the first was read.
    subscribed_and_gone(&mut world, elsewhere(1), "N NOOP\nN NOOP\n");
    assert!(!dumped_twice(&mut world, elsewhere(1)));
    assert!(dumped_twice(&mut world, elsewhere(2)), "another client is another client");
}

#[test]
fn who_proved_nothing_is_told_again_and_so_are_others() {
    let mut world = world();
    subscribed_and_gone(&mut world, elsewhere(1), "N NOOP\n");
    assert!(dumped_twice(&mut world, elsewhere(1)), "one NOOP proves nothing of what came with its answer");
    assert!(dumped_twice(&mut world, None), "and on this machine they cannot be told apart");
}

/// Is the name at risk given in the dump, and once more behind it?
fn dumped_twice(world: &mut World, peer: Option<IpAddr>) -> bool {
    let frontend = login(world, peer);
    let mut said = ask(world, frontend, "U UPDATE\n");
    said.push_str(&ask(world, frontend, "N NOOP\n"));
    said.matches("MAILBOX \"u.a-b\"").count() == 2
}

#[test]
fn time_passes_only_when_it_is_told_to() {
    let mut world =
        World::new(Settings::parse("limits.login_seconds = 5\n").expect("it is right"), Instant::now());
    let connection = world.connect(None);
    world.settle();
    let end = world.now() + Duration::from_secs(5);
    assert_eq!(world.next_timeout(), Some(end));
    world.advance_to(end - Duration::from_millis(1));
    world.settle();
    assert!(world.closed(connection).is_none());
    world.advance_to(end);
    world.settle();
    assert!(world.closed(connection).is_some());
}

/// What a client does next.
#[derive(Debug, Clone)]
enum Deed {
    Write {
        writer: usize,
        verb: u8,
        name: u8,
        server: u8,
    },
    Noop {
        subscriber: usize,
    },
    /// Some of the work that there is, chosen by these numbers.
    Work(Vec<u8>),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let write = (0..3_usize, 0..4_u8, 0..5_u8, 0..3_u8)
        .prop_map(|(writer, verb, name, server)| Deed::Write { writer, verb, name, server });
    let noop = (0..2_usize).prop_map(|subscriber| Deed::Noop { subscriber });
    let work = prop::collection::vec(any::<u8>(), 0..6).prop_map(Deed::Work);
    prop::collection::vec(prop_oneof![3 => write, 1 => noop, 4 => work], 1..80)
}

fn command(verb: u8, name: u8, server: u8) -> String {
    let name = ["u.a", "u.a.b", "u.a-b", "u.b", "v"][usize::from(name)];
    let place = ["be1!x", "be1!", "be2!x"][usize::from(server)];
    match verb {
        0 => format!("A RESERVE \"{name}\" \"{place}\"\r\n"),
        1 => format!("A ACTIVATE \"{name}\" \"{place}\" \"{server}\"\r\n"),
        2 => format!("A DEACTIVATE \"{name}\" \"{place}\"\r\n"),
        _ => format!("A DELETE \"{name}\"\r\n"),
    }
}

/// A subscriber's copy: the words behind each name.
fn apply(copy: &mut BTreeMap<String, String>, said: &str) {
    for line in said.lines().filter_map(|line| line.strip_prefix("U ")) {
        let (verb, rest) = line.split_once(' ').expect("a line of data");
        let mut words = rest.splitn(2, ' ');
        let name = words.next().expect("a name").trim_matches('"').to_owned();
        match verb {
            "OK" => {}
            "DELETE" => drop(copy.remove(&name)),
            _ => drop(copy.insert(name, format!("{verb} {}", words.next().expect("a place")))),
        }
    }
}

fn shown(name: &MailboxName, record: &Record) -> (String, String) {
    let words = match &record.state {
        State::Reserved => format!("RESERVE \"{}\"", record.location),
        State::Active(acl) => {
            format!("MAILBOX \"{}\" \"{}\"", record.location, String::from_utf8_lossy(acl.as_bytes()))
        }
    };
    (name.to_string(), words)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whoever is fast and whoever is slow: every command is answered once, and after a NOOP a subscriber's copy is the
    /// directory; of a part, that part.
    #[test]
    fn copies_follow_the_directory_under_any_interleaving(deeds in deeds()) {
        let mut world = world();
        let writers: Vec<_> = (0..3).map(|_| login(&mut world, None)).collect();
        let whole = login(&mut world, None);
        let part = login(&mut world, None);
        world.send(whole, b"U UPDATE\r\n");
        world.send(part, b"U UPDATE \"be1\"\r\n");
        let (mut sent, mut said) = (0, [String::new(), String::new()]);
        for deed in deeds {
            match deed {
                Deed::Write { writer, verb, name, server } => {
                    world.send(writers[writer], command(verb, name, server).as_bytes());
                    sent += 1;
                }
                Deed::Noop { subscriber } => world.send([whole, part][subscriber], b"N NOOP\r\n"),
                Deed::Work(choices) => {
                    for choice in choices {
                        let work: Vec<Work> = world.work();
                        if let Some(&chosen) = work.get(usize::from(choice) % work.len().max(1)) {
                            world.perform(chosen);
                        }
                    }
                }
            }
        }
        world.settle();
        let answered: usize = writers
            .iter()
            .map(|&writer| String::from_utf8(world.take_output(writer)).expect("text").lines().count())
            .sum();
        prop_assert_eq!(answered, sent);
        for (subscriber, said) in [whole, part].into_iter().zip(&mut said) {
            said.push_str(&ask(&mut world, subscriber, "N NOOP\n"));
        }
        let there: BTreeMap<_, _> = world.directory().records().iter().map(|(name, record)| shown(name, record)).collect();
        let mut copies = [BTreeMap::new(), BTreeMap::new()];
        for (copy, said) in copies.iter_mut().zip(&said) {
            apply(copy, said);
        }
        prop_assert_eq!(&copies[0], &there);
        let at_be1 = |copy: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            copy.iter().filter(|(_, words)| words.contains("\"be1!")).map(|(n, w)| (n.clone(), w.clone())).collect()
        };
        prop_assert_eq!(at_be1(&copies[1]), at_be1(&there));
    }
}
