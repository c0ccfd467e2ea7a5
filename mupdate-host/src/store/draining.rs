//! Which servers are being drained: kept in `meta`, a key for each, and in memory for the writer and for whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use heed::RoTxn;
use mupdate_proto::ServerName;

use super::Store;
use super::error::StoreError;
use super::redo::Staged;
use super::tables::Tables;

/// What the keys begin with; the server's name follows.
const KEY: &[u8] = b"drain ";

/// The longest name of a server that can be drained, in octets.
pub const LONGEST: usize = 512;

/// Servers that are being drained.
pub type Draining = BTreeSet<ServerName>;

pub(super) fn read(tables: &Tables, txn: &RoTxn<'_>) -> Result<Draining, StoreError> {
    let mut draining = Draining::new();
    for entry in tables.meta.prefix_iter(txn, KEY)? {
        let (key, _) = entry?;
        let name = Bytes::copy_from_slice(&key[KEY.len()..]);
        draining.insert(ServerName::new(name).map_err(|_| StoreError::Corrupt("meta entry"))?);
    }
    Ok(draining)
}

pub(super) fn write(
    tables: &Tables,
    txn: &mut Staged<'_>,
    server: &ServerName,
    drains: bool,
) -> Result<(), StoreError> {
    let key = [KEY, server.as_bytes()].concat();
    if drains {
        tables.meta.put(txn, &key, &[])?;
    } else {
        tables.meta.delete(txn, &key)?;
    }
    Ok(())
}

impl Store {
    /// The servers that take no new names.
    #[must_use]
    pub fn draining(&self) -> Arc<Draining> {
        self.inner.draining.load_full()
    }
}
