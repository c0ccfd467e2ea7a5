//! What of the journal is forgotten.

use heed::RoTxn;

use super::super::error::StoreError;
use super::super::redo::Staged;
use super::super::tables::{Tables, be_u64};
use super::moment;

/// Entries that are forgotten together, so that most commits leave the oldest pages alone.
pub(in crate::store) const TOGETHER: u64 = 128;

/// Entries that are forgotten for their age in one transaction: changes wait for it.
const AGED: u64 = 32 * TOGETHER;

/// The journal takes so much of the map at most: one part of these.
const SHARE: u64 = 4;

/// How much of it is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Bounds {
    /// So many entries.
    pub entries: u64,
    /// Octets of the map, of which it has its share.
    pub map_size: u64,
    /// What was made before this time is forgotten, in milliseconds since 1970, if it is time to look for that.
    pub since_ms: Option<u64>,
    /// So many are new, and what is left of the map is needed for deletions: then more are forgotten than came.
    pub yields: Option<u64>,
}

/// Forget the oldest entries, if they are beyond a bound. False: some are left that are too old.
pub(in crate::store) fn trim(
    tables: &Tables,
    txn: &mut Staged<'_>,
    bounds: Bounds,
) -> Result<bool, StoreError> {
    let stat = tables.journal.stat(txn)?;
    let entries = stat.entries as u64;
    let pages = (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
    let mut over = entries.saturating_sub(bounds.entries);
    if over < TOGETHER.min(bounds.entries / 16 + 1) {
        over = 0;
    }
    if pages * u64::from(stat.page_size) > bounds.map_size / SHARE {
        over = over.max(entries / 8 + 1);
    }
    if let Some(new) = bounds.yields {
        over = over.max((2 * new + TOGETHER).min(entries.saturating_sub(new)));
    }
    let aged = bounds.since_ms.map_or(Ok(0), |since| older(tables, txn, since))?;
    over = over.max(aged);
    if over == 0 {
        return Ok(true);
    }
    let Some((first, _)) = tables.journal.first(txn)? else { return Ok(true) };
    let first = be_u64(first).ok_or(StoreError::Corrupt("journal"))?;
    // There is one for each revision.
    let last = first.saturating_add(over - 1);
    tables.journal.delete_to(txn, &last.to_be_bytes())?;
    tables.set_number(txn, "journal_from", last)?;
    Ok(aged < AGED)
}

/// How many of the oldest were made before this time; of very many some.
fn older(tables: &Tables, txn: &RoTxn<'_>, since_ms: u64) -> Result<u64, StoreError> {
    let mut older = 0;
    for entry in tables.journal.iter(txn)? {
        if older == AGED || moment(entry?.1) >= since_ms {
            break;
        }
        older += 1;
    }
    Ok(older)
}
