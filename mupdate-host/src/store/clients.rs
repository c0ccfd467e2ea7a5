//! What is remembered of those who connect: when an UPDATE client was last in sync, and which order the
//! mailboxes of a server are kept in.

use heed::RoTxn;
use mupdate_core::directory::{Order, Revision};
use mupdate_proto::ServerName;

use super::error::StoreError;
use super::redo::Staged;
use super::tables::{Tables, be_u64};

/// How many entries there can be; the longest unheard of makes room.
pub(super) const MOST: u64 = 8192;

/// Names longer than this are not remembered.
const LONGEST: usize = 1024;

const CLIENT: u8 = b'c';
const SERVER: u8 = b's';

/// The revision up to which a client had everything when it was last heard of.
pub(super) fn synced(
    tables: &Tables,
    txn: &RoTxn<'_>,
    client: &[u8],
) -> Result<Option<Revision>, StoreError> {
    Ok(get(tables, txn, CLIENT, client)?.map(|(revision, _)| revision))
}

/// Remember that a client has everything up to a revision.
pub(super) fn set_synced(
    tables: &Tables,
    txn: &mut Staged<'_>,
    client: &[u8],
    revision: Revision,
) -> Result<(), StoreError> {
    put(tables, txn, CLIENT, client, revision, &[])
}

/// The order that a server was seen to use.
pub(super) fn order(
    tables: &Tables,
    txn: &RoTxn<'_>,
    server: &ServerName,
) -> Result<Option<Order>, StoreError> {
    let order = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    Ok(get(tables, txn, SERVER, server.as_bytes())?.and_then(|(_, text)| order(text)))
}

/// Remember the order that a server was seen to use. False: that was known.
pub(super) fn set_order(
    tables: &Tables,
    txn: &mut Staged<'_>,
    server: &ServerName,
    order: Order,
    now: Revision,
) -> Result<bool, StoreError> {
    if self::order(tables, txn, server)? == Some(order) {
        return Ok(false);
    }
    put(tables, txn, SERVER, server.as_bytes(), now, order.to_string().as_bytes())?;
    Ok(true)
}

fn key(kind: u8, name: &[u8]) -> Option<Vec<u8>> {
    (name.len() <= LONGEST).then(|| [&[kind], name].concat())
}

fn get<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    kind: u8,
    name: &[u8],
) -> Result<Option<(Revision, &'t [u8])>, StoreError> {
    let Some(key) = key(kind, name) else { return Ok(None) };
    tables.clients.get(txn, &key)?.map(split).transpose()
}

fn put(
    tables: &Tables,
    txn: &mut Staged<'_>,
    kind: u8,
    name: &[u8],
    revision: Revision,
    rest: &[u8],
) -> Result<(), StoreError> {
    let Some(key) = key(kind, name) else { return Ok(()) };
    if tables.clients.len(txn)? >= MOST && tables.clients.get(txn, &key)?.is_none() {
        make_room(tables, txn, kind)?;
    }
    Ok(tables.clients.put(txn, &key, &[&revision.to_be_bytes(), rest].concat())?)
}

/// Forget the entry with the lowest revision: of the same kind, unless it has none.
fn make_room(tables: &Tables, txn: &mut Staged<'_>, kind: u8) -> Result<(), StoreError> {
    let mut oldest = None;
    for entry in tables.clients.iter(txn)? {
        let (key, value) = entry?;
        let age = (key.first() != Some(&kind), split(value)?.0);
        if oldest.as_ref().is_none_or(|(known, _)| age < *known) {
            oldest = Some((age, key.to_vec()));
        }
    }
    if let Some((_, key)) = oldest {
        tables.clients.delete(txn, &key)?;
    }
    Ok(())
}

fn split(value: &[u8]) -> Result<(Revision, &[u8]), StoreError> {
    let split = || {
        let (revision, rest) = value.split_at_checked(8)?;
        Some((be_u64(revision)?, rest))
    };
    split().ok_or(StoreError::Corrupt("client"))
}
