//! What was answered OK survives `kill -9` at any moment, and what was refused never was.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc,
    thread,
};

use mupdate_tests::{
    client::{Client, ClientError, Row, activate, deactivate, delete, reserve},
    daemon::{Daemon, Kind},
    on_both_daemons,
};

on_both_daemons!(kill_under_load, stop_under_load);

const WRITERS: usize = 4;
const NAMES: usize = 60;
/// Commands that a writer has under way; fewer than it has names, so that of each name only one is.
const DEPTH: usize = 16;
const ROUNDS: usize = 4;

/// What one writer knows about the names that only it writes, and how races for the others went.
#[derive(Default)]
struct Ledger {
    step: usize,
    /// What was answered OK last.
    known: BTreeMap<String, Row>,
    /// What may or may not have happened.
    open: VecDeque<(String, Change)>,
    /// Races: won or lost.
    races: BTreeMap<String, bool>,
}

#[derive(Clone)]
enum Change {
    Is(Row),
    Race,
}

fn kill_under_load(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(|_| Ledger::default()).collect();
    for round in 0..ROUNDS {
        ledgers = load(&mut daemon, round, ledgers, Daemon::kill);
        daemon.start_again();
        check(&daemon, &mut ledgers, false);
    }
    let steps: usize = ledgers.iter().map(|ledger| ledger.step).sum();
    println!("{steps} changes in {ROUNDS} rounds");
}

/// A stop in good order leaves nothing open: what was not answered was not done.
fn stop_under_load(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let ledgers = (0..WRITERS).map(|_| Ledger::default()).collect();
    let mut ledgers = load(&mut daemon, 0, ledgers, |daemon| {
        assert!(daemon.terminate().success());
    });
    daemon.start_again();
    check(&daemon, &mut ledgers, true);
}

/// Lets all writers write, ends the daemon amid that, and collects what they know.
fn load(
    daemon: &mut Daemon,
    round: usize,
    ledgers: Vec<Ledger>,
    end: impl FnOnce(&mut Daemon),
) -> Vec<Ledger> {
    let (answered, answers) = mpsc::channel();
    let writers: Vec<_> = ledgers
        .into_iter()
        .enumerate()
        .map(|(number, mut ledger)| {
            let (stream, answered) = (daemon.connect(), answered.clone());
            thread::spawn(move || {
                let mut client = Client::login(stream).expect("the daemon serves");
                while write(&mut client, number, round, &mut ledger).is_ok() {
                    // Nobody counts any more once the end has begun.
                    let _ = answered.send(());
                }
                ledger
            })
        })
        .collect();
    // Each round ends at another moment of the writers' cycle.
    let enough = answers.iter().take(400 + 137 * round).count();
    assert!(enough >= 400, "the writers gave up");
    end(daemon);
    writers.into_iter().map(|writer| writer.join().expect("a writer ends with its connection")).collect()
}

/// Fills the pipeline and takes one answer.
fn write(
    client: &mut Client<std::net::TcpStream>,
    number: usize,
    round: usize,
    ledger: &mut Ledger,
) -> Result<(), ClientError> {
    while ledger.open.len() < DEPTH {
        let step = ledger.step;
        ledger.step += 1;
        let name = format!("user.w{number}.n{}", step % NAMES);
        let (location, acl) = (format!("be{number}!default"), format!("step {step}"));
        let race = format!("race.{round}.{}", step / 8);
        let (verb, name, change) = match (step % 8, step / NAMES % 3) {
            (7, _) => (reserve(&race, &location), race, Change::Race),
            (_, 0) => {
                let row = Row::mailbox(&name, &location, &acl);
                (activate(&name, &location, &acl), name, Change::Is(row))
            }
            (_, 1) => {
                let row = Row::reserve(&name, &location);
                // Names whose turn was a race are not there to be deactivated.
                if matches!(ledger.known.get(&name), Some(Row::Mailbox { .. })) {
                    (deactivate(&name, &location), name, Change::Is(row))
                } else {
                    (reserve(&name, &location), name, Change::Is(row))
                }
            }
            _ => (delete(&name), name.clone(), Change::Is(Row::Delete { name })),
        };
        client.send(verb);
        ledger.open.push_back((name, change));
    }
    let answer = client.answer();
    let lost = match answer {
        Ok(_) => false,
        Err(ClientError::Refused(..)) => true,
        Err(error) => return Err(error),
    };
    let (name, change) = ledger.open.pop_front().expect("the pipeline was filled");
    match change {
        Change::Race => {
            ledger.races.insert(name, !lost);
        }
        Change::Is(row) => {
            assert!(!lost, "nobody else writes {name}");
            ledger.known.insert(name, row);
        }
    }
    Ok(())
}

/// Compares the daemon with what its clients know, and settles what was open.
fn check(daemon: &Daemon, ledgers: &mut [Ledger], nothing_open: bool) {
    let mut client = Client::login(daemon.connect()).expect("the daemon serves");
    let rows = client.list(None).expect("LIST works");
    let there: BTreeMap<String, Row> = rows.into_iter().map(|row| (row.name().to_owned(), row)).collect();
    let mut explained = 0;
    for (number, ledger) in ledgers.iter_mut().enumerate() {
        let open: BTreeMap<String, Change> = ledger.open.drain(..).collect();
        for step in 0..NAMES {
            let name = format!("user.w{number}.n{step}");
            let gone = Row::Delete { name: name.clone() };
            let found = there.get(&name).unwrap_or(&gone);
            explained += usize::from(*found != gone);
            let known = ledger.known.get(&name).unwrap_or(&gone);
            let wanted = match open.get(&name) {
                Some(Change::Is(row)) if !nothing_open => row,
                _ => known,
            };
            assert!(found == known || found == wanted, "{found:?} is neither {known:?} nor {wanted:?}");
            ledger.known.insert(name, found.clone());
        }
    }
    let raced = there.values().filter(|row| row.name().starts_with("race."));
    for row in raced {
        explained += 1;
        let holder = row.location().and_then(|location| location.strip_prefix("be")).expect("it is reserved");
        for (number, ledger) in ledgers.iter().enumerate() {
            let holds = holder == format!("{number}!default");
            let was_told = ledger.races.get(row.name());
            assert!(
                was_told.is_none_or(|&won| won == holds),
                "{row:?}, and writer {number} was told {was_told:?}"
            );
        }
    }
    for (name, won) in ledgers.iter().flat_map(|ledger| &ledger.races) {
        assert!(there.contains_key(name), "{name} was answered (won: {won}) and is not there");
    }
    assert_eq!(explained, there.len(), "mailboxes that nobody asked for");
}
