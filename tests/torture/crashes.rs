//! Daemons killed at random moments, again and again on the same data: what their clients were told is compared with
//! what is there afterwards.

use std::{fs, thread, time::Duration};

use fastrand::Rng;
use mupdate_tests::{
    daemon::{Daemon, Kind, Launch},
    history::History,
    load::{Load, Shape, Told, compare},
    powercut::{
        disk::{Disk, Files},
        journal::parse,
    },
    shim::{Phase, Shim},
};

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
    /// The same while pages are settled, as far as that can be hit.
    PowerCutSettling,
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
    settling: usize,
    recovering: usize,
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
         others), {kills} kills ({committing} of them amid a commit, {starting} while starting), {} power cuts ({} of \
         them while settling, {} more while recovering) with {} sectors gone, {} stops, {} directories; 0 lost, 0 invented",
        kind.program(),
        sum.rounds,
        sum.power_cuts,
        sum.settling,
        sum.recovering,
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
    let settling = Duration::from_millis(*rng.choice([0, 3, 30].iter()).expect("three"));
    shim.delay_settling(settling);
    for round in 0..rounds {
        let end = draw(rng);
        *daemon.launch() = launch.clone();
        shim.forget_phase();
        kill_while_starting(&mut daemon, rng, sum);
        let before = end.cuts_power().then(|| Files::read(&daemon.data_dir()));
        if before.is_some() {
            shim.keep_journal(daemon.launch());
        }
        daemon.start_again();
        compare(&daemon, &mut history, &told);

        let load = Load::start(&daemon, SHAPE, round, rng);
        let answers = rng.usize(1..800);
        assert_eq!(load.wait_for(answers), answers, "the writers gave up");
        // Answers come in bursts, after a commit; the moment must not.
        thread::sleep(Duration::from_micros(rng.u64(..8000)));
        finish(&mut daemon, end, &shim, settling, rng, sum);
        told = load.finish(&mut history);
        if end == End::Stop {
            // What was not answered by then was not done.
            history.refuse_open();
        }
        if let Some(before) = before {
            sum.sectors += lose(&daemon, before, &shim, rng);
            cut_while_recovering(&mut daemon, &shim, rng, sum);
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
        0..30 => End::Kill,
        30..50 => End::KillCommitting,
        50..75 => End::PowerCut,
        75..90 => End::PowerCutSettling,
        _ => End::Stop,
    }
}

impl End {
    fn cuts_power(self) -> bool {
        matches!(self, End::PowerCut | End::PowerCutSettling)
    }
}

/// The daemon is gone, and of what it has not synced some is lost: so many sectors. `before` is what was there when its
/// journal began.
fn lose(daemon: &Daemon, before: Files, shim: &Shim, rng: &mut Rng) -> usize {
    let journal = fs::read(shim.journal()).expect("the shim has written it");
    let mut disk = Disk::new(before);
    for record in parse(&journal) {
        disk.follow(&record);
    }
    let left = disk.cut(rng);
    left.files.write(&daemon.data_dir());
    left.missing
}

/// After some power cuts comes another one while the daemon repairs what the first has left, and then perhaps a third.
fn cut_while_recovering(daemon: &mut Daemon, shim: &Shim, rng: &mut Rng, sum: &mut Sum) {
    for _ in 0..*rng.choice([0, 0, 1, 2].iter()).expect("four") {
        let before = Files::read(&daemon.data_dir());
        shim.forget_phase();
        shim.keep_journal(daemon.launch());
        daemon.start_without_waiting();
        shim.await_phase(|phase| phase != Phase::Idle, Duration::from_millis(200));
        thread::sleep(Duration::from_micros(rng.u64(..4000)));
        daemon.kill();
        sum.kills += 1;
        sum.recovering += 1;
        sum.sectors += lose(daemon, before, shim, rng);
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

fn finish(daemon: &mut Daemon, end: End, shim: &Shim, settling: Duration, rng: &mut Rng, sum: &mut Sum) {
    match end {
        End::Stop => {
            assert!(daemon.terminate().success());
            sum.stops += 1;
            return;
        }
        End::KillCommitting => {
            shim.await_phase(|phase| phase != Phase::Idle, Duration::from_secs(1));
        }
        End::PowerCutSettling if shim.await_settling(Duration::from_secs(2)) => {
            // Two files are synced, and each sync takes that long.
            thread::sleep(settling.mul_f64(2.2 * rng.f64()));
        }
        End::PowerCutSettling | End::Kill | End::PowerCut => {}
    }
    daemon.kill();
    sum.kills += 1;
    sum.committing += usize::from(shim.phase() != Phase::Idle);
    sum.power_cuts += usize::from(end.cuts_power());
    sum.settling += usize::from(end.cuts_power() && shim.is_settling());
}
