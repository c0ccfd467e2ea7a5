//! `pairs`: who speaks for which server, and how far a replica lags behind.

use clap::Args;
use mupdate_host::admin::api::{Lag, Pair, Pairs, Speaker};

use super::Session;
use crate::{
    connect::http::Target,
    fail::Fail,
    show::{
        Out, Table,
        table::{HEAD, WARN},
        text::{count, number, one_line, shown},
        time::{ago, lasting},
    },
};

/// Which servers.
#[derive(Debug, Args)]
pub struct Options {
    /// Show every server that has been spoken for, pair or not
    #[arg(long)]
    all: bool,
    /// Show how many echoes came within which time
    #[arg(long)]
    histogram: bool,
}

/// Names of a pair that are shown.
const WAITING: usize = 5;

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let target = Target::new("/v1/pairs").with_some("all", options.all.then_some("true"));
    let seen: Pairs = session.connect.admin()?.get(&target)?;
    if session.out.json {
        return session.out.document(&seen);
    }
    let pairs = seen.pairs;
    if pairs.is_empty() {
        return session.out.line(match options.all {
            true => "no server has been spoken for since the start",
            false => "no pair is declared, and none has been seen since the start; --all shows all servers",
        });
    }
    pairs.iter().try_for_each(|pair| show(pair, options.histogram, &mut session.out))
}

fn show(pair: &Pair, with_histogram: bool, out: &mut Out) -> Result<(), Fail> {
    let declared = if pair.declared { ", declared" } else { "" };
    out.line(format_args!("{HEAD}{}{HEAD:#}{declared}", shown(&pair.server)))?;
    if let Some(changed) = pair.lead_changed_ms {
        out.line(format_args!("  the lead changed {} ago, at {}", ago(changed), out.clock.at(changed)))?;
    }
    if let Some(lag) = &pair.lag {
        let [p50, p99, max, last] = [lag.p50_ms, lag.p99_ms, lag.max_ms, lag.last_ms].map(lasting);
        let all = number(lag.count, "echo");
        out.line(format_args!(
            "  {all}: half within {p50}, 99 % within {p99}, all within {max}; the last {last}"
        ))?;
        if with_histogram {
            histogram(lag, out)?;
        }
    }
    if pair.missing > 0 {
        let oldest = pair.oldest_missing_ms.map(|ms| format!(", the oldest for {}", lasting(ms)));
        let (number, oldest) = (number(pair.missing, "change"), oldest.unwrap_or_default());
        out.line(format_args!("  {WARN}no echo yet of {number}{oldest}{WARN:#}"))?;
    }
    if pair.left > 0 {
        let number = number(pair.left, "change");
        out.line(format_args!("  {WARN}never echoed: {number} of who led before{WARN:#}"))?;
    }
    if pair.late_deletions > 0 {
        let number = number(pair.late_deletions, "deletion");
        out.line(format_args!("  {WARN}repeated too late: {number} of what had been made anew{WARN:#}"))?;
    }
    if !pair.waiting.is_empty() {
        let mut names: Vec<_> = pair.waiting.iter().take(WAITING).map(shown).collect();
        if pair.waiting.len() > WAITING {
            names.push("...".into());
        }
        out.line(format_args!("  {}", names.join(", ")))?;
    }
    if !pair.silent.is_empty() {
        let silent: Vec<_> = pair.silent.iter().map(|member| one_line(member)).collect();
        out.line(format_args!("  {WARN}nothing was heard yet of {}{WARN:#}", silent.join(", ")))?;
    }
    if pair.blind {
        out.line(format_args!(
            "  {WARN}its members cannot be told apart: what is missing is not known{WARN:#}"
        ))?;
    }
    if pair.speakers.is_empty() {
        return out.line("  nobody has spoken for it since the start");
    }
    let mut table = Table::new(&["  user", "address", "part", "changes", "echoes", "last"]).right(&[3, 4, 5]);
    for speaker in &pair.speakers {
        let cells = [
            format!("  {}", one_line(&speaker.user)),
            one_line(&speaker.address),
            part(speaker).into(),
            count(speaker.changes),
            count(speaker.echoes),
            format!("{} ago", ago(speaker.last_ms)),
        ];
        if speaker.stranger {
            table.styled(WARN, cells);
        } else {
            table.row(cells);
        }
    }
    out.table(&mut table)
}

/// A bar for each time within which any came; the longest has the width that is left of 80 columns.
fn histogram(lag: &Lag, out: &mut Out) -> Result<(), Fail> {
    const WIDTH: u64 = 50;
    let most = lag.steps.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    let mut table = Table::new(&["  within", "echoes", ""]).right(&[0, 1]);
    for (within, echoes) in &lag.steps {
        let within = within.map_or_else(|| "longer".into(), lasting);
        let bar = (u128::from(*echoes) * u128::from(WIDTH)).div_ceil(u128::from(most));
        let bar = "#".repeat(usize::try_from(bar).unwrap_or_default());
        table.row([format!("  {within}"), count(*echoes), bar]);
    }
    out.table(&mut table)
}

fn part(speaker: &Speaker) -> &'static str {
    match (speaker.leads, speaker.stranger) {
        (true, false) => "leads",
        (false, false) => "echoes",
        (true, true) => "leads, a stranger",
        (false, true) => "a stranger",
    }
}
