//! Who changed what, and what was there before: one entry for each revision, newest last.
//!
//! An entry is written in the transaction of its change, so there is one for each, or for neither. Keys only grow, so
//! entries are appended to the last page. The oldest are forgotten when there are too many, when they are too old, when they
//! take more than a quarter of the map, and when a full map is being emptied.
//!
//! Value: time (6 octets), deed, user, peer, states and flags, name, locations, ACLs; lengths in front of what has one. What
//! is the same before and afterwards is there once.

mod trim;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Bound;

use bytes::Bytes;
use heed::RoTxn;
use mupdate_core::directory::{Record, Revision, State};
use mupdate_proto::{Acl, Location, MailboxName};

pub(super) use trim::{Bounds, TOGETHER, trim};

use super::Store;
use super::error::StoreError;
use super::redo::Staged;
use super::tables::{Tables, be_u64};
use crate::admin::api::Deed;

/// Octets of a location and of an ACL that are kept. Of what is longer is only known that it was there.
pub const LONGEST: usize = 8192;

const SAME_LOCATION: u8 = 1 << 4;
const SAME_ACL: u8 = 1 << 5;
const TAKEOVER: u8 = 1 << 6;
/// Something is left out.
const CUT: u8 = 1 << 7;

const DEEDS: [Deed; 8] = [
    Deed::Reserve,
    Deed::Activate,
    Deed::Deactivate,
    Deed::Delete,
    Deed::Release,
    Deed::Undo,
    Deed::Import,
    Deed::Upstream,
];

/// A change, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The revision that it made.
    pub revision: Revision,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// Who wanted it.
    pub user: String,
    /// Where from.
    pub peer: String,
    /// What was done.
    pub deed: Deed,
    /// To which name.
    pub mailbox: MailboxName,
    /// What was there before.
    pub before: Option<Record>,
    /// What was there afterwards.
    pub after: Option<Record>,
    /// An active mailbox was taken from another place.
    pub takeover: bool,
    /// Locations or ACLs were too long to be kept: they are empty in what is here.
    pub cut: bool,
}

/// Who makes the changes of a transaction, ready to be written.
#[derive(Debug)]
pub(super) struct Author {
    /// Time, deed, user, peer.
    head: Vec<u8>,
    /// Room for an entry.
    entry: Vec<u8>,
}

impl Author {
    /// Nobody in particular, now.
    pub fn new(at_ms: u64) -> Self {
        let mut head = Vec::with_capacity(64);
        head.extend_from_slice(&at_ms.to_be_bytes()[2..]);
        let mut author = Self { head, entry: Vec::with_capacity(512) };
        author.is("", "", Deed::Upstream);
        author
    }

    /// When these changes are made, in milliseconds since 1970.
    pub fn at_ms(&self) -> u64 {
        moment(&self.head)
    }

    /// Somebody else.
    pub fn is(&mut self, user: &str, peer: &str, deed: Deed) {
        self.head.truncate(6);
        self.head.push(deed as u8);
        let user = user.as_bytes();
        put(&mut self.head, user.get(..255).unwrap_or(user));
        match peer.parse() {
            Ok(SocketAddr::V4(peer)) => {
                self.head.push(4);
                self.head.extend_from_slice(&peer.ip().octets());
                self.head.extend_from_slice(&peer.port().to_be_bytes());
            }
            Ok(SocketAddr::V6(peer)) => {
                self.head.push(6);
                self.head.extend_from_slice(&peer.ip().octets());
                self.head.extend_from_slice(&peer.port().to_be_bytes());
            }
            Err(_) => {
                self.head.push(0);
                let peer = peer.as_bytes();
                put(&mut self.head, peer.get(..255).unwrap_or(peer));
            }
        }
    }

    fn encode(&mut self, mailbox: &[u8], before: Option<&Record>, after: Option<&Record>) -> &[u8] {
        let out = &mut self.entry;
        out.clear();
        out.extend_from_slice(&self.head);
        let at = out.len();
        let mut flags = state(before) | state(after) << 2;
        out.push(flags);
        put(out, mailbox);
        let (location, acl) = (before.map(location_of), before.and_then(acl_of));
        let (then, acl_then) = (after.map(location_of), after.and_then(acl_of));
        let mut keep = |octets: Option<&[u8]>| match octets {
            Some(octets) if octets.len() > LONGEST => {
                flags |= CUT;
                put(out, b"");
            }
            Some(octets) => put(out, octets),
            None => {}
        };
        keep(location);
        keep(then.filter(|then| location != Some(then)));
        keep(acl);
        keep(acl_then.filter(|then| acl != Some(then)));
        if then.is_some() && then == location {
            flags |= SAME_LOCATION;
        }
        if acl_then.is_some() && acl_then == acl {
            flags |= SAME_ACL;
        }
        if let (Some(before), Some(after)) = (before, after)
            && acl.is_some()
            && acl_then.is_some()
            && !before.location.same_place(&after.location)
        {
            flags |= TAKEOVER;
        }
        out[at] = flags;
        out
    }
}

fn state(record: Option<&Record>) -> u8 {
    match record.map(|record| &record.state) {
        None => 0,
        Some(State::Reserved) => 1,
        Some(State::Active(_)) => 2,
    }
}

fn location_of(record: &Record) -> &[u8] {
    record.location.as_bytes()
}

fn acl_of(record: &Record) -> Option<&[u8]> {
    match &record.state {
        State::Active(acl) => Some(acl.as_bytes()),
        State::Reserved => None,
    }
}

/// A length, seven bits an octet, and what has it.
fn put(out: &mut Vec<u8>, octets: &[u8]) {
    let mut rest = octets.len();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
    out.extend_from_slice(octets);
}

/// What has not been read yet of an entry.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let (mut length, mut shift) = (0, 0);
        loop {
            let octet = self.octet()?;
            length |= usize::from(octet & 0x7f).checked_shl(shift)?;
            shift += 7;
            if octet & 0x80 == 0 {
                return self.take(length);
            }
            if shift > 28 {
                return None;
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        self.part().map(|octets| String::from_utf8_lossy(octets).into_owned())
    }

    fn peer(&mut self) -> Option<String> {
        let kind = self.octet()?;
        let ip = match kind {
            4 => Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)?).ok()?).into(),
            6 => Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)?).ok()?).into(),
            _ => return self.text(),
        };
        let port = self.take(2)?.try_into().ok().map(u16::from_be_bytes)?;
        Some(SocketAddr::new(ip, port).to_string())
    }
}

fn decode(revision: Revision, octets: &[u8]) -> Result<Entry, StoreError> {
    split(revision, octets).ok_or(StoreError::Corrupt("journal"))
}

/// When an entry was made: what it begins with.
fn moment(octets: &[u8]) -> u64 {
    octets.iter().take(6).fold(0, |at, octet| at << 8 | u64::from(*octet))
}

fn split(revision: Revision, octets: &[u8]) -> Option<Entry> {
    let mut rest = Rest(octets);
    let at_ms = moment(rest.take(6)?);
    let deed = *DEEDS.get(usize::from(rest.octet()?))?;
    let (user, peer) = (rest.text()?, rest.peer()?);
    let flags = rest.octet()?;
    let mailbox = MailboxName::new(Bytes::copy_from_slice(rest.part()?)).ok()?;
    let (before, after) = (flags & 3, flags >> 2 & 3);
    let location = if before > 0 { Some(rest.part()?) } else { None };
    let then = match after {
        0 => None,
        _ if flags & SAME_LOCATION != 0 => location,
        _ => Some(rest.part()?),
    };
    let acl = if before == 2 { Some(rest.part()?) } else { None };
    let acl_then = match after {
        2 if flags & SAME_ACL != 0 => acl,
        2 => Some(rest.part()?),
        _ => None,
    };
    let cut = flags & CUT != 0;
    let record = |location: Option<&[u8]>, acl: Option<&[u8]>| {
        let Some(location) = location else { return Some(None) };
        let location = match Location::new(Bytes::copy_from_slice(location)) {
            Ok(location) => location,
            Err(_) if cut => Location::new("?").ok()?,
            Err(_) => return None,
        };
        let state = acl.map_or(State::Reserved, |acl| State::Active(Acl::new(Bytes::copy_from_slice(acl))));
        Some(Some(Record { location, state }))
    };
    Some(Entry {
        revision,
        at_ms,
        user,
        peer,
        deed,
        mailbox,
        before: record(location, acl)?,
        after: record(then, acl_then)?,
        takeover: flags & TAKEOVER != 0,
        cut,
    })
}

/// Enter a change.
pub(super) fn enter(
    tables: &Tables,
    txn: &mut Staged<'_>,
    author: &mut Author,
    revision: Revision,
    mailbox: &MailboxName,
    [before, after]: [Option<&Record>; 2],
) -> Result<(), StoreError> {
    let entry = author.encode(mailbox.as_bytes(), before, after);
    Ok(tables.journal.append(txn, &revision.to_be_bytes(), entry)?)
}

/// Give `each` the names of all entries after a revision, if they are no more than `most`.
pub(super) fn names_after(
    tables: &Tables,
    txn: &RoTxn<'_>,
    revision: Revision,
    most: usize,
    mut each: impl FnMut(&MailboxName),
) -> Result<bool, StoreError> {
    if revision < tables.journal_from(txn)? || tables.revision(txn)?.saturating_sub(revision) > most as u64 {
        return Ok(false);
    }
    let from = revision.to_be_bytes();
    for found in tables.journal.range(txn, &(Bound::Excluded(&from[..]), Bound::Unbounded))? {
        let (key, octets) = found?;
        let revision = be_u64(key).ok_or(StoreError::Corrupt("journal"))?;
        each(&decode(revision, octets)?.mailbox);
    }
    Ok(true)
}

/// Is there an entry for each revision since that which the journal begins after, up to the current one?
fn is_whole(tables: &Tables, txn: &RoTxn<'_>) -> Result<bool, StoreError> {
    let last = match tables.journal.last(txn)? {
        Some((key, _)) => be_u64(key).ok_or(StoreError::Corrupt("journal"))?,
        None => tables.journal_from(txn)?,
    };
    Ok(last == tables.revision(txn)?)
}

/// Changes may have been made without a journal: if so, begin a new one.
pub(super) fn begin(tables: &Tables, env: &super::env::Env) -> Result<(), StoreError> {
    let txn = env.read_txn()?;
    let (whole, revision) = (is_whole(tables, &txn)?, tables.revision(&txn)?);
    drop(txn);
    if !whole {
        let mut txn = env.write_txn()?;
        tables.begin_journal(&mut txn, revision)?;
        txn.commit()?;
    }
    Ok(())
}

impl Store {
    /// All changes after this revision have an entry. `None`: no journal is kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn journal_from(&self) -> Result<Option<Revision>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let from = self.inner.tables.journal_from(&txn)?;
        Ok((self.inner.journal > 0).then_some(from))
    }

    /// The entry of a revision.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn journal_entry(&self, revision: Revision) -> Result<Option<Entry>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let found = self.inner.tables.journal.get(&txn, &revision.to_be_bytes())?;
        found.map(|octets| decode(revision, octets)).transpose()
    }

    /// Go back through the journal from before a revision, or from its end: `steps` entries at most, in one short
    /// transaction, as long as `each` says so. Returns what to go on before; `None` at the end, or when `each` said stop.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn journal_back(
        &self,
        before: Option<Revision>,
        steps: usize,
        mut each: impl FnMut(Entry) -> bool,
    ) -> Result<Option<Revision>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let before = before.map(u64::to_be_bytes);
        let to = before.as_ref().map_or(Bound::Unbounded, |before| Bound::Excluded(&before[..]));
        let mut last = None;
        for found in self.inner.tables.journal.rev_range(&txn, &(Bound::Unbounded, to))?.take(steps) {
            let (key, octets) = found?;
            let revision = be_u64(key).ok_or(StoreError::Corrupt("journal"))?;
            if !each(decode(revision, octets)?) {
                return Ok(None);
            }
            last = Some(revision);
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Option<Record>> {
        let location = prop::sample::select(vec!["be1!p", "be1!", "be2!q"]);
        let long = Just("x".repeat(LONGEST + 1));
        let acl = prop::option::of(prop_oneof![4 => "[a-z\t]{0,300}", 1 => long]);
        prop::option::of((location, acl).prop_map(|(location, acl)| Record {
            location: Location::new(location).expect("legal"),
            state: acl.map_or(State::Reserved, |acl| State::Active(Acl::new(acl))),
        }))
    }

    fn shown(record: Option<Record>) -> Option<Record> {
        record.map(|record| match &record.state {
            State::Active(acl) if acl.as_bytes().len() > LONGEST => {
                Record { state: State::Active(Acl::new("")), ..record }
            }
            _ => record,
        })
    }

    proptest! {
        #[test]
        fn entries_come_back(
            name in "[a-z.]{1,300}", user in "[a-z]{0,40}", deed in 0..DEEDS.len(), before in record(), after in record(),
            peer in prop::sample::select(vec!["192.0.2.1:77", "[2001:db8::1]:2", "unix", ""]), at in 0..1_u64 << 48,
        ) {
            let mut author = Author::new(at);
            author.is(&user, peer, DEEDS[deed]);
            let octets = author.encode(name.as_bytes(), before.as_ref(), after.as_ref()).to_vec();
            let entry = decode(7, &octets).expect("just encoded");
            let takeover = matches!((&before, &after), (Some(before), Some(after))
                if matches!((&before.state, &after.state), (State::Active(_), State::Active(_)))
                && !before.location.same_place(&after.location));
            let long = |record: &Option<Record>| *record != shown(record.clone());
            let cut = long(&before) || long(&after);
            let expected = Entry {
                revision: 7, at_ms: at, user, peer: peer.into(), deed: DEEDS[deed],
                mailbox: MailboxName::new(name).expect("legal"),
                before: shown(before), after: shown(after), takeover, cut,
            };
            prop_assert_eq!(entry, expected);
        }

        #[test]
        fn damage_is_seen_or_harmless(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(1, &octets);
        }
    }
}
