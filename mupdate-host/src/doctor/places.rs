//! Locations that look like mistakes.

use std::collections::BTreeMap;

use mupdate_proto::Location;

use super::finding;
use crate::admin::api::{Finding, Severity};
use crate::store::Occupied;

/// A server with so few names may be a slip.
const FEW: u64 = 2;

/// How many names each server has.
pub(super) fn servers(held: &[Occupied]) -> BTreeMap<&[u8], u64> {
    let mut servers = BTreeMap::new();
    for place in held {
        *servers.entry(Location::server_of(&place.location)).or_default() += place.active + place.reserved;
    }
    servers
}

pub(super) fn examine(held: &[Occupied], found: &mut Vec<Finding>) {
    let servers = servers(held);
    unlikely(&servers, found);
    let mut by_first: BTreeMap<Vec<u8>, (&[u8], u64)> = BTreeMap::new();
    for (&server, &names) in &servers {
        let largest = by_first.entry(first_label(server)).or_insert((server, names));
        if names > largest.1 {
            *largest = (server, names);
        }
    }
    for (&server, &names) in servers.iter().filter(|(_, names)| **names <= FEW) {
        let Some(&(larger, many)) = by_first.get(&first_label(server)).filter(|(_, many)| *many > FEW) else {
            continue;
        };
        if alike(server, larger) {
            let (this, that) = (String::from_utf8_lossy(server), String::from_utf8_lossy(larger));
            let text =
                format!("{this} has {names} names, and {that}, which is called nearly the same, {many}");
            let advice = "one backend under two names? Compare `servername` in its imapd.conf";
            let subjects = vec![server.into(), larger.into()];
            found.push(Finding { subjects, ..finding(Severity::Warning, "odd-servers", text, advice) });
        }
    }
    let mut partitions: BTreeMap<&[u8], (u64, u64)> = BTreeMap::new();
    for place in held {
        let server = Location::server_of(&place.location);
        let said = place.location.len() > server.len() + 1;
        let (with, without) = partitions.entry(server).or_default();
        *(if said { with } else { without }) += place.active + place.reserved;
    }
    for (server, (with, without)) in partitions {
        if with > 0 && without > 0 {
            let name = String::from_utf8_lossy(server);
            let text = format!("names of {name} without a partition: {without}; with one: {with}");
            let advice = "a backend that has them says where: have it push its list (ctl_mboxlist -m)";
            let subjects = vec![server.into()];
            found.push(Finding { subjects, ..finding(Severity::Note, "no-partition", text, advice) });
        }
    }
}

/// Servers that are called what no host can be called: frontends cannot connect to them.
fn unlikely(servers: &BTreeMap<&[u8], u64>, found: &mut Vec<Finding>) {
    for (server, names) in servers.iter().filter(|(server, _)| !could_be_a_host(server)) {
        let text = format!("{} has {names} names, and cannot be a host", server.escape_ascii());
        let advice = "see with the journal who has said so, and undo it";
        let subjects = vec![(*server).into()];
        found.push(Finding { subjects, ..finding(Severity::Warning, "odd-servers", text, advice) });
    }
}

/// A host's name, or an address. Underscores are forbidden there, and used.
fn could_be_a_host(server: &[u8]) -> bool {
    let allowed = |octet: &u8| octet.is_ascii_alphanumeric() || b".-_:[]".contains(octet);
    !server.is_empty() && server.len() <= 255 && server.iter().all(allowed)
}

/// What stands before the first dot, in small letters.
fn first_label(server: &[u8]) -> Vec<u8> {
    server.split(|octet| *octet == b'.').next().unwrap_or_default().to_ascii_lowercase()
}

/// The same but for case, or one with a domain and one without, or with less of it.
fn alike(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let begins = long.get(..short.len()).is_some_and(|start| start.eq_ignore_ascii_case(short));
    one != other && begins && long.get(short.len()).is_none_or(|next| *next == b'.')
}
