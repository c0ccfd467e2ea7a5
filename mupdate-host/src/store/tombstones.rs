//! What was deleted, newest last: a frontend that was away at the time may have to be told some names again.

use std::ops::Bound;

use heed::RoTxn;
use mupdate_core::directory::Revision;

use super::error::StoreError;
use super::redo::Staged;
use super::tables::{Tables, be_u64};

/// Remember that a mailbox was deleted. The oldest are forgotten beyond `bound`.
pub(super) fn bury(
    tables: &Tables,
    txn: &mut Staged<'_>,
    revision: Revision,
    key: &[u8],
    bound: u64,
) -> Result<(), StoreError> {
    tables.tombstones.put(txn, &revision.to_be_bytes(), key)?;
    let excess = tables.tombstones.len(txn)?.saturating_sub(bound);
    for _ in 0..excess {
        let Some((oldest, _)) = tables.tombstones.first(txn)? else { break };
        let oldest = be_u64(oldest).ok_or(StoreError::Corrupt("tombstone"))?;
        tables.tombstones.delete(txn, &oldest.to_be_bytes())?;
        tables.set_number(txn, "tombstones_from", oldest)?;
    }
    Ok(())
}

/// The v36 keys of what was deleted after a revision, oldest first, at most `limit` of them.
pub(super) fn after(
    tables: &Tables,
    txn: &RoTxn<'_>,
    revision: Revision,
    limit: usize,
) -> Result<Vec<(Revision, Vec<u8>)>, StoreError> {
    let from = revision.to_be_bytes();
    let range = (Bound::Excluded(&from[..]), Bound::Unbounded);
    let mut found = Vec::new();
    for entry in tables.tombstones.range(txn, &range)?.take(limit) {
        let (revision, key) = entry?;
        let revision = be_u64(revision).ok_or(StoreError::Corrupt("tombstone"))?;
        found.push((revision, key.to_vec()));
    }
    Ok(found)
}
