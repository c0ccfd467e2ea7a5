//! One scenario on one daemon.

use std::{
    fs,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use mupdate_tests::{
    daemon::{Daemon, Kind},
    preload::preload,
};

use crate::{
    NOISE, TARGET,
    control::{Control, Controls},
    honest::{Honest, Samples},
    peers::Peers,
    report::Verdict,
    scenario::Scenario,
};

/// How long the client works alone.
const ALONE: Duration = Duration::from_millis(600);

/// Between two looks at the daemon's memory.
const LOOK: Duration = Duration::from_millis(20);

/// What came of it.
pub struct Measured {
    pub alone: Samples,
    pub beside: Samples,
    pub control: Control,
    /// Octets of memory that the daemon took more than before the peers came, at most.
    pub memory: u64,
}

impl Measured {
    /// The longest that the honest client waited for anything.
    pub fn worst(&self) -> Duration {
        longest(&self.beside)
    }

    /// The machine itself makes one wait: the controls, or the client when it was alone.
    fn noisy(&self) -> bool {
        self.control.worst().max(longest(&self.alone)) >= NOISE
    }

    pub fn verdict(&self, scenario: &Scenario) -> Verdict {
        if self.memory > scenario.memory {
            Verdict::Memory
        } else if self.worst() < TARGET {
            Verdict::Within
        } else if self.noisy() {
            Verdict::Noisy
        } else {
            Verdict::Slow
        }
    }
}

fn longest(samples: &Samples) -> Duration {
    samples.iter().map(|(_, took)| *took).max().unwrap_or_default()
}

/// Measures the honest client alone, then from the arrival of the peers until they have been at it for `time`.
pub fn measure(kind: Kind, scenario: &Scenario, time: Duration) -> Measured {
    let mut daemon = Daemon::start_on(kind, scenario.settings, |data| {
        if scenario.mailboxes > 0 {
            preload(data, scenario.mailboxes);
        }
    });
    let alone = Honest::start(daemon.address());
    // No event: that is how long it is measured.
    thread::sleep(ALONE);
    let alone = alone.stop();

    let before = memory(&daemon);
    let controls = Controls::start(&daemon.data_dir());
    let honest = Honest::start(daemon.address());
    let watch = Watch::start(&daemon);
    let peers = Peers::start(scenario.name, daemon.address());
    thread::sleep(time);
    let beside = honest.stop();
    let control = controls.stop();
    let memory = watch.stop().saturating_sub(before);
    drop(peers);
    assert!(daemon.is_running(), "the daemon has ended");
    Measured { alone, beside, control, memory }
}

/// Watches how much memory a daemon takes.
struct Watch {
    over: mpsc::Sender<()>,
    thread: thread::JoinHandle<u64>,
}

impl Watch {
    fn start(daemon: &Daemon) -> Self {
        let (over, told) = mpsc::channel();
        let status = status(daemon);
        let thread = thread::spawn(move || {
            let mut most = 0;
            while told.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                most = most.max(anonymous(&status));
            }
            most
        });
        Self { over, thread }
    }

    fn stop(self) -> u64 {
        drop(self.over);
        self.thread.join().expect("a number is read")
    }
}

fn memory(daemon: &Daemon) -> u64 {
    anonymous(&status(daemon))
}

fn status(daemon: &Daemon) -> String {
    format!("/proc/{}/status", daemon.process())
}

/// Memory in use that is no file's: what of the database is in memory the system can take back.
fn anonymous(status: &str) -> u64 {
    let text = fs::read_to_string(status).expect("the daemon runs");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}
