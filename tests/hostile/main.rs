//! Hostile peers, and how long an honest client waits beside them. `just hostile` runs it; `cargo test` without a name
//! does not, since what it measures needs a quiet machine and a release build.
//!
//! For every scenario and both daemons: an honest client works alone, then beside the peers. No command of it may take
//! longer than [`TARGET`], and the daemon's memory stays within the scenario's bound. The peers are a process of their own
//! at the lowest priority (nice 19), so that what is measured is how the daemon divides its time, and not how the peers and
//! the client compete for a processor. Two controls beside the client, which have nothing to do with the daemon, tell a
//! daemon that is slow from a machine that is busy.
//!
//! `cargo test --release -p mupdate-tests --test hostile -- bomb` runs the scenarios that have `bomb` in their names;
//! `--report-only` shows the table and never fails for being slow; `--seconds 10` measures longer.
#![expect(clippy::disallowed_methods, reason = "loads have a pace, and measurements take their time")]

mod control;
mod honest;
mod measure;
mod peers;
mod report;
mod scenario;

use std::{env, process::ExitCode, time::Duration};

use mupdate_tests::daemon::Kind;

use self::{measure::measure, report::Verdict, scenario::SCENARIOS};

/// The longest that any command of an honest client may take.
const TARGET: Duration = Duration::from_millis(20);

/// A control that took this long, or the client alone, tells of a machine that is too busy to blame the daemon.
const NOISE: Duration = Duration::from_millis(10);

/// A scenario that misses the target is tried again up to this many times in all.
const ATTEMPTS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, address] = &arguments[..]
        && flag == peers::FLAG
    {
        peers::be(name, address);
    }
    match Arguments::parse(&arguments) {
        Ok(arguments) => run(&arguments),
        Err(wrong) => {
            eprintln!("{wrong}\nusage: [FILTER] [--report-only] [--seconds N] [--list]");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let chosen = SCENARIOS.iter().filter(|scenario| scenario.name.contains(&arguments.filter));
    if arguments.list {
        chosen.for_each(|scenario| println!("{}: {}", scenario.name, scenario.what));
        return ExitCode::SUCCESS;
    }
    let mut rows = Vec::new();
    for scenario in chosen {
        for kind in Kind::ALL {
            let mut attempts = Vec::new();
            while attempts.len() < ATTEMPTS {
                let measured = measure(kind, scenario, arguments.seconds);
                println!("{}", report::line(scenario, kind, &measured));
                let over = measured.verdict(scenario) != Verdict::Within;
                attempts.push(measured);
                if !over {
                    break;
                }
            }
            rows.push((scenario, kind, attempts));
        }
    }
    println!("\n{}", report::table(&rows));
    let failed = |(scenario, _, attempts): &report::Row<'_>| {
        report::over_memory(scenario, attempts)
            || (!arguments.report_only && report::too_slow(scenario, attempts))
    };
    if rows.is_empty() || rows.iter().any(failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Arguments {
    filter: String,
    report_only: bool,
    list: bool,
    seconds: Duration,
}

impl Arguments {
    fn parse(words: &[String]) -> Result<Self, String> {
        let seconds = Duration::from_secs(2);
        let mut arguments = Self { filter: String::new(), report_only: false, list: false, seconds };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--report-only" => arguments.report_only = true,
                "--list" => arguments.list = true,
                "--seconds" => {
                    let seconds = words.next().and_then(|number| number.parse().ok());
                    arguments.seconds = Duration::from_secs(seconds.ok_or("how many seconds?")?);
                }
                flag if flag.starts_with('-') => return Err(format!("{flag} is not known")),
                filter => filter.clone_into(&mut arguments.filter),
            }
        }
        Ok(arguments)
    }
}
