//! `mupdatectl bench`: the work of backends and frontends, as fast as a server lets them.
//!
//! ```text
//! options ─▶ cases: a work, a number of clients, a depth ─▶ rounds, the servers in turns ─▶ medians ─▶ table, JSON
//! ```
//!
//! What a case does on the wire is in [`work`]; what was seen is a [`sample`](sample::Sample). Two servers are measured in
//! turns, in one run, since only their ratio means much on a machine that does other things too.

mod directory;
mod error;
mod options;
mod report;
mod sample;
mod target;
mod work;

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use error::BenchError;
pub use options::Options;

use directory::Directory;
use report::{Measured, Report};
use target::Target;
use work::Stage;

/// Prepares the servers, measures every case on each of them, and tells what was seen.
///
/// # Errors
/// A server cannot be reached, refuses what it must not, or the options do not fit together.
pub fn run(options: &Options) -> Result<(), BenchError> {
    let targets = options.targets()?;
    let cases = work::cases(options)?;
    let steps = cases.len() * options.rounds * targets.len();
    let progress = progress(steps);

    let directory = Directory::new(options.mailboxes);
    for target in &targets {
        progress.set_message(format!("{}: {} mailboxes", target.name, options.mailboxes));
        directory.fill(target)?;
    }
    let mut report = Report::new(options, &targets);
    for case in &cases {
        let mut measured = Measured::new(case, targets.len());
        for round in 0..options.rounds {
            for (number, target) in targets.iter().enumerate() {
                progress.set_message(format!("{case}: {}, round {}", target.name, round + 1));
                let stage = Stage { target, directory: &directory, options };
                measured.add(number, case.run(&stage));
                progress.inc(1);
            }
        }
        progress.suspend(|| report.add(measured));
    }
    progress.finish_and_clear();
    report.end();
    if !options.keep {
        for target in &targets {
            directory.clear(target)?;
        }
    }
    report.save(options.json.as_deref())
}

/// On the terminal, if standard error is one.
fn progress(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps as u64).with_style(style);
    if !stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// The password of one server.
pub(crate) type Secret = zeroize::Zeroizing<String>;

/// Names a target in error messages.
fn at<T, E: Into<BenchError>>(target: &Target, result: Result<T, E>) -> Result<T, BenchError> {
    result.map_err(|error| error.into().at(&target.name))
}
