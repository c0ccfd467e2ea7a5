//! What was measured, as a table.

use std::{fmt::Write as _, time::Duration};

use mupdate_tests::daemon::Kind;

use crate::{honest::Samples, measure::Measured, scenario::Scenario};

/// What is to be thought of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target was met.
    Within,
    /// The client waited, and so did the controls, or the client when it was alone: it says nothing.
    Noisy,
    /// The client waited, and nothing else did.
    Slow,
    /// The daemon took more memory than it may.
    Memory,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Within => "ok",
            Verdict::Noisy => "noisy",
            Verdict::Slow => "SLOW",
            Verdict::Memory => "MEMORY",
        }
    }
}

/// A scenario with one daemon, and all that was tried.
pub type Row<'a> = (&'a Scenario, Kind, Vec<Measured>);

/// Did the daemon take more memory than it may? That has nothing to do with time.
pub fn over_memory(scenario: &Scenario, attempts: &[Measured]) -> bool {
    attempts.iter().any(|measured| measured.verdict(scenario) == Verdict::Memory)
}

/// Was it too slow? Once within the target is enough; never within it on a machine that was always busy proves nothing.
pub fn too_slow(scenario: &Scenario, attempts: &[Measured]) -> bool {
    let any = |verdict| attempts.iter().any(|measured| measured.verdict(scenario) == verdict);
    !any(Verdict::Within) && any(Verdict::Slow)
}

/// One measurement as a line, for whoever waits for the table.
pub fn line(scenario: &Scenario, kind: Kind, measured: &Measured) -> String {
    let Summary { p50, p99, worst, step, count } = Summary::of(&measured.beside);
    format!(
        "{} {}: median {}, 99 % {}, worst {} ({step}) of {count}; echo {}, disk {}; {} of {} MiB: {}",
        kind.program(),
        scenario.name,
        ms(p50),
        ms(p99),
        ms(worst),
        ms(measured.control.echo),
        ms(measured.control.disk),
        measured.memory >> 20,
        scenario.memory >> 20,
        measured.verdict(scenario).word(),
    )
}

/// All of them, the best attempt of each, in milliseconds and MiB.
pub fn table(rows: &[Row<'_>]) -> String {
    let mut text = format!(
        "{:24} {:13} | {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} {:8} | {:>6} {:>6} | {:>5} {:>5} |\n",
        "milliseconds",
        "",
        "alone",
        "99 %",
        "worst",
        "beside",
        "99 %",
        "worst",
        "",
        "echo",
        "disk",
        "MiB",
        "bound"
    );
    for (scenario, kind, attempts) in rows {
        let Some(best) = attempts.iter().min_by_key(|measured| measured.worst()) else { continue };
        let (alone, beside) = (Summary::of(&best.alone), Summary::of(&best.beside));
        let verdicts: Vec<_> = attempts.iter().map(|measured| measured.verdict(scenario).word()).collect();
        let _ = writeln!(
            text,
            "{:24} {:13} | {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} {:8} | {:>6} {:>6} | {:>5} {:>5} | {}",
            scenario.name,
            kind.program(),
            ms(alone.p50),
            ms(alone.p99),
            ms(alone.worst),
            ms(beside.p50),
            ms(beside.p99),
            ms(beside.worst),
            beside.step,
            ms(best.control.echo),
            ms(best.control.disk),
            best.memory >> 20,
            scenario.memory >> 20,
            verdicts.join(", "),
        );
    }
    text
}

struct Summary {
    p50: Duration,
    p99: Duration,
    worst: Duration,
    /// What took longest.
    step: String,
    count: usize,
}

impl Summary {
    fn of(samples: &Samples) -> Self {
        let mut sorted = samples.clone();
        sorted.sort_by_key(|(_, took)| *took);
        let at = |percent: usize| {
            sorted.get(sorted.len() * percent / 100).map(|(_, took)| *took).unwrap_or_default()
        };
        let last = sorted.last();
        Self {
            p50: at(50),
            p99: at(99),
            worst: last.map(|(_, took)| *took).unwrap_or_default(),
            step: last.map(|(step, _)| step.to_string()).unwrap_or_default(),
            count: sorted.len(),
        }
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}
