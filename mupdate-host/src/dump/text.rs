//! `name TAB type SP server!partition SP acl`, as Cyrus 2.x to 3.4 write it.

use std::io;

use mupdate_core::directory::State;
use mupdate_proto::ServerName;

use super::{Release, Row, invalid, location, row};

/// A line, without its end.
pub(super) fn parse(line: &[u8], release: Release, at: Option<&ServerName>) -> Result<Row, String> {
    let mut parts = line.splitn(2, |octet| *octet == b'\t');
    let (name, rest) = (parts.next().unwrap_or_default(), parts.next());
    let rest = rest.ok_or("has no TAB behind its name: is this a list of ctl_mboxlist -d?")?;
    let mut parts = rest.splitn(3, |octet| *octet == b' ');
    let kind =
        parts.next().and_then(|kind| str::from_utf8(kind).ok()).and_then(|kind| kind.parse::<u32>().ok());
    let kind = kind.ok_or("has no type behind its name")?;
    let partition = parts.next().ok_or("has no partition")?;
    let acl = parts.next().unwrap_or_default();
    let (remote, reserved) = (kind & release.remote != 0, kind & release.reserved != 0);
    let bare = !remote && !partition.contains(&b'!');
    let place = if bare { location(None, partition, at)? } else { partition.to_vec() };
    row(name, &place, (!reserved).then_some(acl))
}

/// A location as it is written: with some partition. Where there is none between `!` and the space, `ctl_mboxlist -u` goes
/// on to the next space or TAB, and takes the first user of the ACL for the partition. Frontends, who are given such
/// lists, go by the server alone.
pub(super) fn place(location: &[u8]) -> Vec<u8> {
    let unsaid: &[u8] = match location.iter().position(|octet| *octet == b'!') {
        None => b"!default",
        Some(at) if at + 1 == location.len() => b"default",
        Some(_) => b"",
    };
    [location, unsaid].concat()
}

pub(super) fn write(Row { mailbox, record }: &Row, release: Release) -> io::Result<Vec<u8>> {
    let (place, name) = (&place(record.location.as_bytes())[..], mailbox.as_bytes());
    let (reserved, acl) = match &record.state {
        State::Active(acl) => (0, acl.as_bytes()),
        State::Reserved => (release.reserved, &b""[..]),
    };
    if name.contains(&b'\t') || place.contains(&b' ') || [place, acl].iter().any(|part| breaks(part)) {
        return Err(invalid(format!("{mailbox} cannot be written as a line of text")));
    }
    let kind = (release.remote | reserved).to_string();
    Ok([name, b"\t", kind.as_bytes(), b" ", place, b" ", acl, b"\n"].concat())
}

fn breaks(part: &[u8]) -> bool {
    part.iter().any(|octet| matches!(octet, b'\n' | b'\r'))
}
