//! A write transaction of LMDB that notes what is written.

use std::ops::Deref;

use heed::RwTxn;

use super::record::Record;

/// A write transaction and its record. It is read like LMDB's own and written through
/// [`Table`](crate::store::tables::Table).
pub(in crate::store) struct Staged<'s> {
    pub(in crate::store) txn: RwTxn<'s>,
    pub(in crate::store) record: Record,
}

impl<'s> Deref for Staged<'s> {
    type Target = RwTxn<'s>;

    fn deref(&self) -> &Self::Target {
        &self.txn
    }
}
