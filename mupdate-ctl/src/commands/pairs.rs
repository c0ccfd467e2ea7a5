//! `pairs`: who speaks for which server, and how far a replica lags behind.

use mupdate_host::admin::api::{Pair, Speaker};

use super::Session;
use crate::{
    connect::http::Target,
    fail::Fail,
    show::{
        Out, Table,
        table::{HEAD, WARN},
        text::{count, one_line, shown},
        time::{ago, lasting},
    },
};

pub(super) fn run(session: &mut Session<'_>) -> Result<(), Fail> {
    let pairs: Vec<Pair> = session.connect.admin()?.items(&Target::new("/v1/pairs"))?;
    if session.out.json {
        return session.out.document(&pairs);
    }
    if pairs.is_empty() {
        return session.out.line("no server has been spoken for yet");
    }
    pairs.iter().try_for_each(|pair| show(pair, &mut session.out))
}

fn show(pair: &Pair, out: &mut Out) -> Result<(), Fail> {
    let declared = if pair.declared { ", declared" } else { "" };
    out.line(format_args!("{HEAD}{}{HEAD:#}{declared}", shown(&pair.server)))?;
    if let Some(changed) = pair.lead_changed_ms {
        out.line(format_args!("  the lead changed {} ago, at {}", ago(changed), out.clock.at(changed)))?;
    }
    if let Some(lag) = &pair.lag {
        let [p50, p99, max, last] = [lag.p50_ms, lag.p99_ms, lag.max_ms, lag.last_ms].map(lasting);
        let all = count(lag.count);
        out.line(format_args!(
            "  lag of {all} echoes: half within {p50}, 99 % within {p99}, all within {max}; the last {last}"
        ))?;
    }
    if pair.missing > 0 {
        let oldest = pair.oldest_missing_ms.map(|ms| format!(", the oldest for {}", lasting(ms)));
        let (number, oldest) = (count(pair.missing), oldest.unwrap_or_default());
        out.line(format_args!("  {WARN}{number} changes have had no echo yet{oldest}{WARN:#}"))?;
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

fn part(speaker: &Speaker) -> &'static str {
    match (speaker.leads, speaker.stranger) {
        (true, false) => "leads",
        (false, false) => "echoes",
        (true, true) => "leads, a stranger",
        (false, true) => "a stranger",
    }
}
