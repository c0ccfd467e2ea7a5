//! `status`: how a daemon is, in brief.

use mupdate_host::admin::api::{Role, Status, Upstream, UpstreamState};

use super::Session;
use crate::{
    connect::http::Target,
    fail::{Code, Fail},
    show::{
        Out,
        table::{BAD, HEAD, WARN},
        text::{count, octets, one_line},
        time::{ago, lasting},
    },
};

pub(super) fn run(session: &mut Session<'_>) -> Result<(), Fail> {
    let status: Status = session.connect.admin()?.get(&Target::new("/v1/status"))?;
    let out = &mut session.out;
    if out.json {
        out.document(&status)?;
    } else {
        show(&status, out)?;
    }
    if status.not_ready.is_empty() { Ok(()) } else { Err(Fail::Silent(Code::No)) }
}

fn show(status: &Status, out: &mut Out) -> Result<(), Fail> {
    let role = match status.role {
        Role::Master => "master",
        Role::Replica => "replica",
    };
    let (program, version) = (one_line(&status.program), one_line(&status.version));
    out.line(format_args!("{HEAD}{}{HEAD:#}: {role}, {program} {version}", one_line(&status.server_name)))?;
    let mut line = |name: &str, text: String| out.line(format_args!("  {name:<13}{text}"));
    match &status.not_ready[..] {
        [] => line("ready", "yes".into())?,
        parts => {
            for part in parts {
                let (part, reason) = (one_line(&part.part), one_line(&part.reason));
                line("ready", format!("{BAD}no: {part}: {reason}{BAD:#}"))?;
            }
        }
    }
    let clock = out.clock.clone();
    let mut line = |name: &str, text: String| out.line(format_args!("  {name:<13}{text}"));
    line("since", format!("{} ({})", clock.at(status.started_ms), ago(status.started_ms)))?;
    let (active, reserved) = (count(status.active), count(status.reserved));
    line("mailboxes", format!("{active} active, {reserved} reserved, at {} servers", count(status.servers)))?;
    line("revision", count(status.revision))?;
    let streams = format!(
        "{} of them streams, at most {} names behind",
        count(status.subscribers),
        count(status.behind)
    );
    line("connections", format!("{}, {streams}", count(status.connections)))?;
    let writer = &status.writer;
    line(
        "changes",
        format!(
            "{}{}, in {} commits",
            count(writer.changes),
            match status.role {
                Role::Master => format!(" of {} asked for", count(writer.actions)),
                // It does not decide.
                Role::Replica => " of its master".into(),
            },
            count(writer.commits)
        ),
    )?;
    line(
        "refused",
        format!(
            "{} by the rules ({} for who asked), {} by a fuse, {} for want of room",
            count(writer.refused),
            count(writer.denied),
            count(writer.held),
            count(writer.full)
        ),
    )?;
    line("takeovers", count(writer.takeovers))?;
    let percent = status.map.used.saturating_mul(100).checked_div(status.map.size).unwrap_or_default();
    line("database", format!("{} of {} ({percent} %)", octets(status.map.used), octets(status.map.size)))?;
    if let Some(free) = status.disk_free {
        line("disk", format!("{} free", octets(free)))?;
    }
    let names = |names: &[String]| names.iter().map(|name| one_line(name)).collect::<Vec<_>>().join(", ");
    if !status.fuses_blown.is_empty() {
        line(
            "fuses",
            format!("{BAD}blown: {}{BAD:#}; see `mupdatectl fuse list`", names(&status.fuses_blown)),
        )?;
    }
    if !status.draining.is_empty() {
        line("draining", format!("{WARN}{}{WARN:#}", names(&status.draining)))?;
    }
    status.upstream.as_ref().map_or(Ok(()), |upstream| line("follows", follows(upstream)))
}

fn follows(upstream: &Upstream) -> String {
    let state = match upstream.state {
        UpstreamState::Away => "no connection",
        UpstreamState::Merging => "merging its list",
        UpstreamState::Following => "in step",
    };
    let mut text = format!("{}: {state}, for {}", one_line(&upstream.host), ago(upstream.since_ms));
    if let Some(lag) = upstream.lag_ms {
        text.push_str(&format!(", lag {}", lasting(lag)));
    }
    if upstream.missing > 0 {
        text.push_str(&format!(", no room for {} changes", count(upstream.missing)));
    }
    if let Some(error) = &upstream.last_error {
        text.push_str(&format!("; last error: {}", one_line(error)));
    }
    text
}
