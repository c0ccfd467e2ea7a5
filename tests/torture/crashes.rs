//! Daemons killed at random moments, again and again on the same data: what their clients were told is compared with
//! what is there afterwards.

use std::{fs, path::PathBuf, thread, time::Duration};

use fastrand::Rng;
use mupdate_tests::{
    daemon::{Daemon, Kind, Launch},
    history::History,
    load::{Load, Shape, Told, compare},
    shim::{Phase, Shim},
};

use crate::power;

const SHAPE: Shape = Shape { writers: 16, subscribers: 2, depth: 32 };

/// Changes go to streams at once: a round is shorter than a frontend needs to look.
const SETTINGS: &str = "fuse.takeovers = 0\nstreams.hold_ms = 0\nstore.map_size = \"1GiB\"\nlog = \"warn,mupdate_host::daemon=info\"\n";

/// Rounds on one data directory at most.
const REUSED: usize = 40;

/// How a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// `kill -9` after so many answers.
    Kill,
    /// `kill -9` while the writer is committing, as far as that can be hit.
    KillCommitting,
    /// `kill -9`, and what was not synced is not there, or torn.
    PowerCut,
    /// SIGTERM.
    Stop,
}

/// What all rounds came to.
#[derive(Debug, Default)]
struct Sum {
    rounds: usize,
    acknowledged: usize,
    refused: usize,
    open: usize,
    seen: usize,
    kills: usize,
    committing: usize,
    starting: usize,
    power_cuts: usize,
    sectors: usize,
    stops: usize,
    directories: usize,
}

/// Runs this many rounds; one line of what they came to.
///
/// # Panics
/// Something was lost or invented, or a daemon does not come up again.
pub fn crashes(kind: Kind, rounds: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut sum = Sum::default();
    println!("{}: {rounds} rounds with seed {seed}", kind.program());
    while sum.rounds < rounds {
        let reused = rng.usize(1..=REUSED).min(rounds - sum.rounds);
        sum.directories += 1;
        on_one_directory(kind, reused, &mut rng, &mut sum);
    }
    let Sum { acknowledged, refused, open, seen, kills, committing, starting, .. } = sum;
    println!(
        "{}: {} rounds, {acknowledged} changes acknowledged ({refused} refused, {open} unanswered, {seen} seen by \
         others), {kills} kills ({committing} of them amid a commit, {starting} while starting), {} power cuts with {} \
         sectors gone, {} stops, {} directories; 0 lost, 0 invented",
        kind.program(),
        sum.rounds,
        sum.power_cuts,
        sum.sectors,
        sum.stops,
        sum.directories,
    );
}

/// Rounds on a directory that is empty at first.
fn on_one_directory(kind: Kind, rounds: usize, rng: &mut Rng, sum: &mut Sum) {
    let shim = Shim::new();
    let mut launch = Launch::default();
    let mut daemon = Daemon::start_as(kind, SETTINGS, Launch::default(), |_| {});
    shim.under(&mut launch, &daemon.data_dir());
    let mut history = History::default();
    let mut told = Told::default();
    daemon.kill();
    for round in 0..rounds {
        let end = draw(rng);
        *daemon.launch() = launch.clone();
        shim.forget_phase();
        kill_while_starting(&mut daemon, rng, sum);
        let before = fs::read(data(&daemon)).expect("a store of ours");
        if end == End::PowerCut {
            shim.keep_journal(daemon.launch());
        }
        daemon.start_again();
        compare(&daemon, &mut history, &told);

        let load = Load::start(&daemon, SHAPE, round, rng);
        let answers = rng.usize(1..800);
        assert_eq!(load.wait_for(answers), answers, "the writers gave up");
        // Answers come in bursts, after a commit; the moment must not.
        thread::sleep(Duration::from_micros(rng.u64(..8000)));
        finish(&mut daemon, end, &shim, sum);
        told = load.finish(&mut history);
        if end == End::Stop {
            // What was not answered by then was not done.
            history.refuse_open();
        }
        if end == End::PowerCut {
            let (_, missing) = power::cut(&data(&daemon), &before, &shim.journal(), rng);
            sum.sectors += missing;
        }
        sum.rounds += 1;
        if sum.rounds.is_multiple_of(100) {
            println!("{}: {} rounds, {} changes", kind.program(), sum.rounds, sum.acknowledged);
        }
        sum.acknowledged += told.done;
        sum.refused += told.refused;
        sum.open += told.open;
        sum.seen += told.seen;
    }
    daemon.start_again();
    compare(&daemon, &mut history, &told);
    assert!(daemon.terminate().success());
}

fn draw(rng: &mut Rng) -> End {
    match rng.u8(..100) {
        0..40 => End::Kill,
        40..65 => End::KillCommitting,
        65..90 => End::PowerCut,
        _ => End::Stop,
    }
}

/// Now and then a start or two that do not get far.
fn kill_while_starting(daemon: &mut Daemon, rng: &mut Rng, sum: &mut Sum) {
    if rng.u8(..100) >= 15 {
        return;
    }
    for _ in 0..rng.usize(1..=3) {
        daemon.start_without_waiting();
        thread::sleep(Duration::from_micros(rng.u64(..25_000)));
        daemon.kill();
        sum.kills += 1;
        sum.starting += 1;
    }
}

fn finish(daemon: &mut Daemon, end: End, shim: &Shim, sum: &mut Sum) {
    if end == End::Stop {
        assert!(daemon.terminate().success());
        sum.stops += 1;
        return;
    }
    if end == End::KillCommitting {
        shim.await_phase(|phase| phase != Phase::Idle, Duration::from_secs(1));
    }
    daemon.kill();
    sum.kills += 1;
    sum.committing += usize::from(shim.phase() != Phase::Idle);
    sum.power_cuts += usize::from(end == End::PowerCut);
}

fn data(daemon: &Daemon) -> PathBuf {
    daemon.data_dir().join("data.mdb")
}
