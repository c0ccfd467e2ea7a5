//! Crashes and faults, for real, on both daemons: `just torture` runs it; `cargo test` without a name does not.
//!
//! First power cuts of the store alone, then rounds of load that end in `kill -9`, a power cut or SIGTERM ([`crashes`]), then one test for each fault that a
//! machine can have. What needs root says so where it is skipped. Mounts are made in a namespace of its own.
//!
//! `cargo test --release -p mupdate-tests --test torture -- --rounds 100 --seed 7 --daemon mupdated disk_full`
#![expect(
    clippy::disallowed_methods,
    reason = "kills come at random moments, and some measurements take a second"
)]

mod crashes;
mod faults;
mod sandbox;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};
use mupdate_tests::{daemon::Kind, powercut::trial::power_cuts};

use self::{
    faults::{FAULTS, Needs},
    sandbox::Group,
};

/// Power cuts of the store alone for each round of crashes.
const CUTS: usize = 200;

/// The command line: libtest's, and three options more.
#[derive(Parser)]
struct Options {
    /// Rounds of crashes for each daemon.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Repeats the choices of an earlier run; where the kernel interferes, only roughly.
    #[arg(long)]
    seed: Option<u64>,
    /// One daemon instead of both.
    #[arg(long, value_parser = daemon)]
    daemon: Option<Kind>,
    #[command(flatten)]
    libtest: Arguments,
}

fn daemon(name: &str) -> Result<Kind, String> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.program() == name)
        .ok_or_else(|| "mupdated or mupdated-sync".into())
}

/// What a test needs and this machine does not have, in words: it is shown with the test, which is then ignored.
fn lacks(needs: Needs) -> Option<&'static str> {
    match needs {
        Needs::Mounts if !sandbox::can_mount() => Some("SKIPPED: needs root and unshare --mount"),
        Needs::Groups if Group::new("pids").is_none() => Some("SKIPPED: needs control groups and root"),
        Needs::Groups if Group::new("memory").is_none() => Some("SKIPPED: needs control groups and root"),
        _ => None,
    }
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    // What is measured must not be disturbed by the next test.
    options.libtest.test_threads = Some(1);
    if !options.libtest.list {
        sandbox::enter();
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let rounds = options.rounds;
    let cut_the_store = move || {
        let totals = power_cuts(Path::new(env!("CARGO_BIN_EXE_commits")), CUTS * rounds, seed);
        println!("{totals}");
        Ok::<(), Failed>(())
    };
    let mut trials = vec![Trial::test("store::power_cuts", cut_the_store)];
    for kind in Kind::ALL.into_iter().filter(|kind| options.daemon.is_none_or(|only| only == *kind)) {
        let run = move || {
            crashes::crashes(kind, rounds, seed);
            Ok::<(), Failed>(())
        };
        trials.push(Trial::test(format!("{}::crashes", kind.program()), run));
    }
    for kind in Kind::ALL.into_iter().filter(|kind| options.daemon.is_none_or(|only| only == *kind)) {
        for (name, needs, fault) in FAULTS {
            let run = move || {
                fault(kind);
                Ok::<(), Failed>(())
            };
            let trial = Trial::test(format!("{}::{name}", kind.program()), run);
            trials.push(match lacks(needs) {
                None => trial,
                Some(what) => trial.with_kind(what).with_ignored_flag(true),
            });
        }
    }
    libtest_mimic::run(&options.libtest, trials).exit_code()
}
