//! Reads that are over at once: FIND, and what a feed has to tell.

use heed::RoTxn;
use mupdate_core::directory::{Revision, v36_key};
use mupdate_core::server::{Finish, Row};
use mupdate_proto::MailboxName;

use super::Store;
use super::error::StoreError;
use super::locations;
use super::record::Stored;
use super::sink::RowSink;
use super::tables::Tables;
use crate::feeds::Subscription;
use crate::sync::lock;

impl Store {
    /// Give the mailbox of this name, if there is one, then [`Finish::End`].
    ///
    /// # Errors
    /// The store cannot be read. The sink was dropped without being finished: the request has to be failed.
    pub fn find(&self, mailbox: &MailboxName, mut rows: impl RowSink) -> Result<(), StoreError> {
        self.show(mailbox.as_bytes(), |row| {
            if let Some(row) = row {
                rows.row(row);
            }
        })?;
        rows.finish(Finish::End);
        Ok(())
    }

    /// Empty a subscriber's feed, as far as the sink takes it: each name with what it is now.
    /// `published` is what [`Feeds::published`](crate::feeds::Feeds::published) said before this call.
    ///
    /// # Errors
    /// The store cannot be read. The sink was dropped without being finished, and a name that had left the feed
    /// is put back.
    pub fn drain(
        &self,
        subscription: &Subscription,
        published: Revision,
        mut rows: impl RowSink,
    ) -> Result<(), StoreError> {
        let feed = subscription.feed();
        while !rows.full() {
            let Some(mailbox) = lock(feed).pop() else { break };
            // The transaction begins after the name has left the feed: a change that this one does not show yet puts
            // the name in again.
            let shown = self.show(mailbox.as_bytes(), |row| match row {
                Some(row) => rows.row(row),
                None => rows.gone(mailbox.as_bytes()),
            });
            if let Err(error) = shown {
                lock(feed).touch(mailbox);
                return Err(error);
            }
        }
        let (position, more) = {
            let feed = lock(feed);
            (feed.popped(), !feed.is_empty())
        };
        rows.finish(Finish::Drained { position, more, revision: published });
        Ok(())
    }

    fn show(&self, mailbox: &[u8], show: impl FnOnce(Option<Row<'_>>)) -> Result<(), StoreError> {
        let txn = self.inner.env.read_txn()?;
        let tables = &self.inner.tables;
        let Some(stored) = fetch(tables, &txn, mailbox)? else {
            show(None);
            return Ok(());
        };
        let place =
            locations::place(tables, &txn, stored.location)?.ok_or(StoreError::Corrupt("location"))?;
        show(Some(Row { name: mailbox, location: place.location, acl: stored.acl }));
        Ok(())
    }
}

/// The record of a mailbox. A name that no key could hold has none.
pub(super) fn fetch<'t>(
    tables: &Tables,
    txn: &'t RoTxn<'_>,
    mailbox: &[u8],
) -> Result<Option<Stored<'t>>, StoreError> {
    let mut key = Vec::with_capacity(mailbox.len());
    v36_key(mailbox, &mut key);
    tables.mailboxes.get(txn, &key)?.map(Stored::decode).transpose()
}
