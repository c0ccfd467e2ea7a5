//! The figures, as a table for people and as JSON for machines.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use serde::Serialize;

use super::{
    BenchError, Options,
    sample::{Figures, Sample},
    target::Target,
    work::Case,
};

/// One case on all servers.
pub struct Measured {
    case: Case,
    /// For each server what its rounds came to, or why one of them came to nothing.
    servers: Vec<Result<Vec<Figures>, String>>,
}

impl Measured {
    pub fn new(case: &Case, servers: usize) -> Self {
        Self { case: *case, servers: vec![Ok(Vec::new()); servers] }
    }

    /// One more round on one server. A server that has failed once has failed.
    pub fn add(&mut self, server: usize, round: Result<Sample, BenchError>) {
        let rounds = &mut self.servers[server];
        match (round, rounds.as_mut()) {
            (Ok(sample), Ok(figures)) => figures.push(sample.figures()),
            (Err(error), Ok(_)) => *rounds = Err(error.to_string()),
            (_, Err(_)) => {}
        }
    }
}

/// A line of the table, and an object of the JSON.
#[derive(Debug, Serialize)]
struct Line {
    case: &'static str,
    clients: usize,
    pipeline: usize,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Shown>,
    /// How many times as many operations a second the first server does.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_to_this: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Shown {
    operations: u64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_each: Option<u64>,
}

impl From<Figures> for Shown {
    fn from(figures: Figures) -> Self {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Self {
            operations: figures.operations,
            per_second: figures.rate,
            p50_us: micros(figures.p50),
            p99_us: micros(figures.p99),
            max_us: micros(figures.max),
            memory_each: figures.memory_each,
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    mailboxes: u32,
    seconds: f64,
    rounds: usize,
    #[serde(skip)]
    servers: Vec<String>,
    /// Nothing but JSON goes to standard output.
    #[serde(skip)]
    silent: bool,
    lines: Vec<Line>,
}

impl Report {
    pub fn new(options: &Options, targets: &[Target]) -> Self {
        let report = Self {
            mailboxes: options.mailboxes,
            seconds: options.time().as_secs_f64(),
            rounds: options.rounds,
            servers: targets.iter().map(|target| target.name.clone()).collect(),
            silent: options.json.as_deref() == Some(Path::new("-")),
            lines: Vec::new(),
        };
        report.tell(format_args!(
            "{} mailboxes, {} rounds of {} s, medians\n\n{:<13}{:>8}{:>6}  {:<22}{:>12}{:>10}{:>10}{:>10}{:>10}{:>9}",
            report.mailboxes, report.rounds, report.seconds,
            "case", "clients", "depth", "server", "per second", "p50", "p99", "max", "memory", "ratio"
        ));
        report
    }

    /// Tells what a case came to.
    pub fn add(&mut self, measured: Measured) {
        let Measured { case, servers } = measured;
        let medians: Vec<_> =
            servers.into_iter().map(|rounds| rounds.map(|figures| Figures::median(&figures))).collect();
        let rate = |median: &Result<Option<Figures>, String>| {
            median.as_ref().ok().copied().flatten().map(|f| f.rate)
        };
        let first = medians.first().and_then(rate);
        for (number, median) in medians.into_iter().enumerate() {
            let ratio = first.zip(rate(&median)).filter(|_| number > 0).map(|(first, this)| first / this);
            let line = Line {
                case: case.name(),
                clients: case.clients,
                pipeline: case.depth,
                server: self.servers[number].clone(),
                failed: median.as_ref().err().cloned(),
                figures: median.ok().flatten().map(Shown::from),
                first_to_this: ratio,
            };
            self.tell(format_args!("{line}"));
            self.lines.push(line);
        }
    }

    /// What the columns mean.
    pub fn end(&self) {
        if self.servers.len() > 1 {
            self.tell(format_args!(
                "\nratio: operations a second of {}, to those of this server",
                self.servers[0]
            ));
        }
    }

    /// Writes the JSON, if it is wanted.
    pub fn save(&self, file: Option<&Path>) -> Result<(), BenchError> {
        let Some(path) = file else { return Ok(()) };
        let json = serde_json::to_string_pretty(self).expect("figures are JSON") + "\n";
        let written = match path {
            path if path == Path::new("-") => io::stdout().write_all(json.as_bytes()),
            path => fs::write(path, json),
        };
        written.map_err(|error| BenchError::File { path: path.to_owned(), error })
    }

    fn tell(&self, text: std::fmt::Arguments<'_>) {
        if !self.silent {
            // A reader that has seen enough is no reason to stop measuring.
            let _ = writeln!(io::stdout(), "{text}");
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<13}{:>8}{:>6}  {:<22}", self.case, self.clients, self.pipeline, self.server)?;
        let Some(figures) = &self.figures else {
            return write!(f, "{}", self.failed.as_deref().unwrap_or("nothing was measured"));
        };
        write!(f, "{:>12}", rate(figures.per_second))?;
        for micros in [figures.p50_us, figures.p99_us, figures.max_us] {
            write!(f, "{:>10}", time(micros))?;
        }
        let memory = figures.memory_each.map_or_else(String::new, memory);
        let ratio = self.first_to_this.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        write!(f, "{memory:>10}{ratio:>9}")
    }
}

fn rate(per_second: f64) -> String {
    if per_second >= 100.0 { format!("{per_second:.0}") } else { format!("{per_second:.2}") }
}

fn time(micros: f64) -> String {
    match micros {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn memory(octets: u64) -> String {
    format!("{:.1} KiB", octets as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_in_units_that_fit() {
        assert_eq!([0.26, 12_345.6].map(rate), ["0.26", "12346"]);
        assert_eq!([12.0, 12_340.0, 2_500_000.0].map(time), ["12 µs", "12.34 ms", "2.50 s"]);
        assert_eq!(memory(3788), "3.7 KiB");
    }
}
