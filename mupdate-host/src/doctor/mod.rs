//! What an operator should look into: examinations of the directory, and of what has lately been done to it.
//!
//! All of it is read in short transactions, and what is kept meanwhile is bounded; on a large directory it takes as long
//! as a whole LIST.

mod places;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::admin::api::{Finding, Severity, Text, Upstream};
use crate::fuses;
use crate::history::{self, Wanted};
use crate::pairs::Pairs;
use crate::store::scan::Scan;
use crate::store::{Occupied, Store, StoreError};

/// Reservations older than this are a CREATE or an XFER that came to nothing.
const STALE: Duration = Duration::from_secs(3600);
/// Takeovers are looked for so far back.
const LATELY: Duration = Duration::from_secs(24 * 3600);
/// A server is silent after this time.
const SILENT: Duration = Duration::from_secs(7 * 24 * 3600);
/// A member of a declared pair has had so much time to say something.
const AWAITED: Duration = Duration::from_secs(24 * 3600);
/// Names that a finding shows.
const SHOWN: usize = 10;
/// Names that are counted at a time.
const COUNTED: usize = 100_000;

/// What is examined.
#[derive(Debug)]
pub struct Patient<'a> {
    /// The directory.
    pub store: &'a Store,
    /// Who speaks for which server.
    pub pairs: &'a Pairs,
    /// Where its files are.
    pub data_dir: &'a Path,
    /// For how long it has been served.
    pub up: Duration,
    /// The time of day, in milliseconds since 1970.
    pub now_ms: u64,
    /// The master that it follows, if it is a replica.
    pub upstream: Option<Upstream>,
}

/// Examine it. The worst comes first.
///
/// # Errors
/// The store cannot be read.
pub fn examine(patient: &Patient<'_>) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    room(patient, &mut found)?;
    upstream(patient, &mut found);
    blown_fuses(patient, &mut found);
    pairs(patient, &mut found);
    reservations(patient, &mut found)?;
    claimants(patient, &mut found)?;
    acls(patient, &mut found)?;
    orders(patient, &mut found)?;
    let held = patient.store.occupied()?;
    places::examine(&held, &mut found);
    silent(patient, &held, &mut found)?;
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(found)
}

/// A finding without subjects.
fn finding(severity: Severity, check: &str, text: String, advice: &str) -> Finding {
    Finding { severity, check: check.to_owned(), text, advice: advice.to_owned(), subjects: Vec::new() }
}

fn room(patient: &Patient<'_>, found: &mut Vec<Finding>) -> Result<(), StoreError> {
    let (used, size) = patient.store.map_fill()?;
    let percent = used.saturating_mul(100) / size.max(1);
    if percent >= 80 {
        let severity = if percent >= 95 { Severity::Alarm } else { Severity::Warning };
        let text = format!("the store uses {percent} % of its {size} octets");
        found.push(finding(severity, "map", text, "raise store.map_size and restart"));
    }
    found.extend(patient.store.disk().and_then(|(free, all)| disk(free, all, used)));
    Ok(())
}

/// So many octets are free, of so many, on a disk where the tables take so many.
fn disk(free: u64, all: u64, used: u64) -> Option<Finding> {
    // What the tables take is written anew when a backup is made beside them.
    if free >= all / 20 && free >= used {
        return None;
    }
    let severity = if free < 64 << 20 { Severity::Alarm } else { Severity::Warning };
    let text = format!("{free} octets are free on the disk of the data directory");
    Some(finding(severity, "disk", text, "make room, before changes are refused"))
}

fn upstream(patient: &Patient<'_>, found: &mut Vec<Finding>) {
    if let Some(Upstream { host, missing, .. }) =
        patient.upstream.as_ref().filter(|master| master.missing > 0)
    {
        let text = format!("{missing} changes of {host} are missing here: there was no room for them");
        found.push(finding(
            Severity::Alarm,
            "upstream",
            text,
            "raise store.map_size, or make room, and restart",
        ));
    }
}

fn blown_fuses(patient: &Patient<'_>, found: &mut Vec<Finding>) {
    let Ok(blown) = fuses::list(patient.data_dir) else { return };
    for fuse in blown {
        let text =
            format!("the fuse of {} has blown: {} are held", fuse.principal, fuses::words(&fuse.kinds));
        let advice = "see what was done with the journal, undo what was wrong, then release the fuse";
        found.push(Finding {
            subjects: vec![fuse.principal.as_str().into()],
            ..finding(Severity::Alarm, "fuses", text, advice)
        });
    }
}

fn pairs(patient: &Patient<'_>, found: &mut Vec<Finding>) {
    for pair in patient.pairs.list(false) {
        let server = pair.server.to_display().into_owned();
        let mut add = |severity, text: String, advice: &str, subjects: Vec<Text>| {
            found.push(Finding { subjects, ..finding(severity, "pairs", text, advice) });
        };
        if pair.missing > 0 {
            let oldest = pair.oldest_missing_ms.unwrap_or_default() / 1000;
            let text = format!(
                "changes of {server} that have had no echo: {}, the oldest for {oldest} s",
                pair.missing
            );
            let advice = "look at the replication: what has no echo is lost if the lead changes now";
            add(Severity::Warning, text, advice, pair.waiting.clone());
        }
        if pair.left > 0 && pair.lead_changed_ms.is_some() {
            let text = format!("changes of who led {server} before that have had no echo: {}", pair.left);
            let advice = "compare these mailboxes on both members: the new leader may not have them";
            add(Severity::Warning, text, advice, pair.waiting.clone());
        }
        let strangers: Vec<_> = pair.speakers.iter().filter(|speaker| speaker.stranger).collect();
        if let Some(stranger) = strangers.first() {
            let text =
                format!("{} at {} speaks for {server}, and is not declared", stranger.user, stranger.address);
            add(
                Severity::Warning,
                text,
                "add it to [pairs], or keep it away with [roles]",
                vec![pair.server.clone()],
            );
        }
        if !pair.silent.is_empty() && patient.up >= AWAITED {
            let text =
                format!("{} said nothing for the pair {server} since the start", pair.silent.join(", "));
            let advice = "is the other member a participant of the murder, and is replication running?";
            add(Severity::Warning, text, advice, vec![pair.server.clone()]);
        }
        if pair.blind && patient.up >= AWAITED {
            let text = format!("one member of the pair {server} is silent, or both look like one");
            let advice = "give each member a login of its own, and name both in [pairs]";
            add(Severity::Warning, text, advice, vec![pair.server.clone()]);
        }
    }
}

fn reservations(patient: &Patient<'_>, found: &mut Vec<Finding>) -> Result<(), StoreError> {
    let stale = u64::try_from(STALE.as_millis()).unwrap_or(u64::MAX);
    let (mut all, mut subjects) = (0_u64, Vec::new());
    history::reservations(patient.store, stale, patient.now_ms, |one| {
        all += 1;
        if subjects.len() < SHOWN {
            subjects.push(one.mailbox);
        }
        Ok::<_, StoreError>(())
    })?;
    if all > 0 {
        let text = format!("names that have been reserved for more than an hour: {all}");
        let advice = "a CREATE or an XFER has not come to its end: finish it, or release the reservation";
        found.push(Finding { subjects, ..finding(Severity::Warning, "stale-reservations", text, advice) });
    }
    Ok(())
}

/// Names that were taken over more than once lately.
fn claimants(patient: &Patient<'_>, found: &mut Vec<Finding>) -> Result<(), StoreError> {
    let since = patient.now_ms.saturating_sub(u64::try_from(LATELY.as_millis()).unwrap_or(u64::MAX));
    let mut takeovers: BTreeMap<_, u32> = BTreeMap::new();
    let wanted = Wanted { takeovers: true, ..Wanted::default() };
    history::journal(patient.store, &wanted, None, |entry| {
        let lately = entry.at_ms >= since;
        if lately && (takeovers.len() < COUNTED || takeovers.contains_key(&entry.mailbox)) {
            *takeovers.entry(entry.mailbox).or_default() += 1;
        }
        Ok::<_, StoreError>(lately)
    })?;
    let twice: Vec<_> = takeovers.into_iter().filter(|(_, times)| *times > 1).map(|(name, _)| name).collect();
    if !twice.is_empty() {
        let text =
            format!("names that one server took from another more than once in a day: {}", twice.len());
        let advice = "two backends have these mailboxes: keep one, delete the other there, then see [roles]";
        let subjects = twice.iter().take(SHOWN).map(|name| name.as_bytes().into()).collect();
        found.push(Finding { subjects, ..finding(Severity::Warning, "claimants", text, advice) });
    }
    Ok(())
}

/// An ACL is identifiers and rights, with tabs between them.
fn acls(patient: &Patient<'_>, found: &mut Vec<Finding>) -> Result<(), StoreError> {
    let (mut scan, mut odd, mut subjects) = (Scan::default(), 0_u64, Vec::new());
    let mut look = || {
        patient.store.scan(&mut scan, |seen| {
            if seen.acl.is_some_and(|acl| !acl.is_empty() && !acl.contains(&b'\t')) {
                odd += 1;
                if subjects.len() < SHOWN {
                    subjects.push(seen.name.into());
                }
            }
        })
    };
    while look()? {}
    if odd > 0 {
        let text = format!("mailboxes with an ACL that no backend would write, as it has no tabs: {odd}");
        let advice =
            "it was made by hand, or by another program: have the backend push its list (ctl_mboxlist -m)";
        found.push(Finding { subjects, ..finding(Severity::Warning, "acls", text, advice) });
    }
    Ok(())
}

fn orders(patient: &Patient<'_>, found: &mut Vec<Finding>) -> Result<(), StoreError> {
    for (server, configured, learned) in patient.store.disputed_orders()? {
        let text = format!("{server} sorts its mailboxes as {learned}, and [orders] says {configured}");
        let advice = "correct [orders], or take the server out of it: the order is learned";
        let subjects = vec![server.as_bytes().into()];
        found.push(Finding { subjects, ..finding(Severity::Warning, "orders", text, advice) });
    }
    Ok(())
}

/// Servers that have names, and have neither said nor changed anything for long.
fn silent(patient: &Patient<'_>, held: &[Occupied], found: &mut Vec<Finding>) -> Result<(), StoreError> {
    if patient.up < SILENT {
        return Ok(());
    }
    let servers = places::servers(held);
    let heard = patient.pairs.last_heard();
    let changed = history::last_changes(patient.store, servers.keys().copied())?;
    let since = patient.now_ms.saturating_sub(u64::try_from(SILENT.as_millis()).unwrap_or(u64::MAX));
    for server in servers.into_keys() {
        let spoke = heard.get(server).is_some_and(|ago| *ago < SILENT);
        let changed = changed.get(server).is_some_and(|at| *at >= since);
        if !spoke && !changed {
            let text = format!("{} has said nothing for a week", String::from_utf8_lossy(server));
            let advice = "if it is gone, delete what it has; if not, is it a participant still?";
            let subjects = vec![server.into()];
            found.push(Finding { subjects, ..finding(Severity::Note, "silent", text, advice) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
