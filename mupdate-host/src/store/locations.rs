//! Locations by number, and numbers by location.
//!
//! Many mailboxes share few locations, so records name them by a short id. `locations` knows what an id stands
//! for and how much is there; `places` finds the ids whose location starts with given octets. A location
//! that holds nothing any more has no id.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use heed::RoTxn;
use mupdate_core::server::Scope;
use mupdate_proto::{Location, ServerName};

use super::error::StoreError;
use super::redo::Staged;
use super::tables::{Tables, be_u64};

/// Octets of a location that are part of its key in `places`; the rest is compared in `locations`.
const KEY_PART: usize = 1024;

/// Stands behind that part: no location holds a NUL.
const END: u8 = 0;

/// Locations that a [`Lookup`] remembers.
const REMEMBERED: usize = 4096;

/// What is known about one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// How many mailboxes are active there.
    pub active: u64,
    /// How many are reserved there.
    pub reserved: u64,
    /// The location, octet for octet.
    pub location: &'a [u8],
}

impl<'a> Place<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.location.len());
        out.extend_from_slice(&self.active.to_be_bytes());
        out.extend_from_slice(&self.reserved.to_be_bytes());
        out.extend_from_slice(self.location);
        out
    }

    pub(super) fn decode(octets: &'a [u8]) -> Result<Self, StoreError> {
        let split = || {
            let (active, rest) = octets.split_at_checked(8)?;
            let (reserved, location) = rest.split_at_checked(8)?;
            Some(Self { active: be_u64(active)?, reserved: be_u64(reserved)?, location })
        };
        split().ok_or(StoreError::Corrupt("location"))
    }
}

/// What is known about the location with this id.
pub(super) fn place<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    id: u32,
) -> Result<Option<Place<'t>>, StoreError> {
    tables.locations.get(txn, &id.to_be_bytes())?.map(Place::decode).transpose()
}

/// The id of exactly this location.
pub(super) fn id_of(tables: &Tables, txn: &RoTxn<'_>, location: &[u8]) -> Result<Option<u32>, StoreError> {
    let mut exactly = key_part(location).to_vec();
    exactly.push(END);
    let mut found = None;
    visit(tables, txn, &exactly, |id, held| {
        if held == location {
            found = Some(id);
        }
        found.is_none()
    })?;
    Ok(found)
}

/// The ids of a server's locations, of so many at most.
pub(super) fn ids_of_server(
    tables: &Tables,
    txn: &RoTxn<'_>,
    server: &[u8],
    limit: usize,
) -> Result<Vec<u32>, StoreError> {
    let mut ids = Vec::new();
    visit(tables, txn, key_part(server), |id, location| {
        if Location::server_of(location) == server {
            ids.push(id);
        }
        ids.len() < limit
    })?;
    Ok(ids)
}

/// Enter a new location in `places`.
pub(super) fn enter(
    tables: &Tables,
    txn: &mut Staged<'_>,
    location: &[u8],
    id: u32,
) -> Result<(), StoreError> {
    Ok(tables.places.put(txn, &place_key(location, id), &[])?)
}

/// Take a location out of `places`.
pub(super) fn leave(
    tables: &Tables,
    txn: &mut Staged<'_>,
    location: &[u8],
    id: u32,
) -> Result<(), StoreError> {
    tables.places.delete(txn, &place_key(location, id))?;
    Ok(())
}

/// The beginning of the location, an end mark, the id.
fn place_key(location: &[u8], id: u32) -> Vec<u8> {
    let mut key = key_part(location).to_vec();
    key.push(END);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

fn key_part(location: &[u8]) -> &[u8] {
    &location[..location.len().min(KEY_PART)]
}

/// Go through the entries of `places` whose keys start with these octets, as long as `each` says so.
/// Keys hold the beginning of a location: `each` gets the whole of it and has to look for itself.
fn visit(
    tables: &Tables,
    txn: &RoTxn<'_>,
    start: &[u8],
    mut each: impl FnMut(u32, &[u8]) -> bool,
) -> Result<(), StoreError> {
    for entry in tables.places.range(txn, &(Bound::Included(start), Bound::Unbounded))? {
        let (key, _) = entry?;
        if !key.starts_with(start) {
            break;
        }
        let id = key.last_chunk().copied().map(u32::from_be_bytes).ok_or(StoreError::Corrupt("place"))?;
        let place = place(tables, txn, id)?.ok_or(StoreError::Corrupt("place"))?;
        if !each(id, place.location) {
            break;
        }
    }
    Ok(())
}

/// Which locations a walk covers.
#[derive(Debug, Clone)]
pub(super) enum Reach {
    /// All.
    All,
    /// Those that start with these octets.
    Prefix(Vec<u8>),
    /// Those of these servers.
    Servers(BTreeSet<ServerName>),
}

impl From<Scope> for Reach {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::All => Self::All,
            Scope::Prefix(prefix) if prefix.is_empty() => Self::All,
            Scope::Prefix(prefix) => Self::Prefix(prefix.to_vec()),
            Scope::Servers(servers) => Self::Servers(servers),
        }
    }
}

impl Reach {
    /// Is this location covered?
    pub(super) fn covers(&self, location: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => location.starts_with(prefix),
            Self::Servers(servers) => servers.contains(Location::server_of(location)),
        }
    }

    /// The ids of the covered locations; `None` if they are all, or may be more than `limit`.
    pub(super) fn ids(
        &self,
        tables: &Tables,
        txn: &RoTxn<'_>,
        limit: usize,
    ) -> Result<Option<Vec<u32>>, StoreError> {
        let mut ids = Vec::new();
        let mut gather = |id, location: &[u8]| {
            if self.covers(location) {
                ids.push(id);
            }
            ids.len() <= limit
        };
        match self {
            Self::All => return Ok(None),
            Self::Servers(servers) if servers.len() > limit => return Ok(None),
            Self::Prefix(prefix) => visit(tables, txn, key_part(prefix), gather)?,
            Self::Servers(servers) => {
                for server in servers {
                    for end in [END, b'!'] {
                        let mut start = server.as_bytes().to_vec();
                        start.push(end);
                        visit(tables, txn, key_part(&start), &mut gather)?;
                    }
                }
            }
        }
        // A very long server name is cut off in the keys, and then found at both ends.
        ids.sort_unstable();
        ids.dedup();
        Ok((ids.len() <= limit).then_some(ids))
    }
}

/// Translates ids while one read transaction lasts.
pub(super) struct Lookup<'t> {
    tables: &'t Tables,
    txn: &'t RoTxn<'t>,
    known: BTreeMap<u32, &'t [u8]>,
    /// The one asked for last: mailboxes of one user are together, and often at one place.
    last: Option<(u32, &'t [u8])>,
}

impl<'t> Lookup<'t> {
    pub(super) fn new(tables: &'t Tables, txn: &'t RoTxn<'t>) -> Self {
        Self { tables, txn, known: BTreeMap::new(), last: None }
    }

    /// The location with this id, which a record of the same transaction names.
    pub(super) fn location(&mut self, id: u32) -> Result<&'t [u8], StoreError> {
        match self.last {
            Some((last, location)) if last == id => Ok(location),
            _ => {
                let location = self.find(id)?;
                self.last = Some((id, location));
                Ok(location)
            }
        }
    }

    fn find(&mut self, id: u32) -> Result<&'t [u8], StoreError> {
        if let Some(location) = self.known.get(&id) {
            return Ok(location);
        }
        let place = place(self.tables, self.txn, id)?.ok_or(StoreError::Corrupt("location"))?;
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(id, place.location);
        Ok(place.location)
    }
}

/// A location that was read, as a value of its own.
pub(super) fn checked(location: &[u8]) -> Result<Location, StoreError> {
    Location::new(Bytes::copy_from_slice(location)).map_err(|_| StoreError::Corrupt("location"))
}

/// The key of a mailbox in `by_location`.
pub(super) fn member_key(id: u32, mailbox: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + mailbox.len());
    key.extend_from_slice(&id.to_be_bytes());
    key.extend_from_slice(mailbox);
    key
}
