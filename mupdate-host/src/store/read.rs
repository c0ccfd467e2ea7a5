//! Reads that are over at once: FIND, and what a feed has to tell.

use std::fmt;

use heed::{RoTxn, WithoutTls};
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

/// Everything that was committed when it was taken, for FINDs that came before. It keeps pages from being used again, so it
/// is for one burst of commands and not to be kept over any wait.
pub struct Snapshot(RoTxn<'static, WithoutTls>);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").finish_non_exhaustive()
    }
}

impl Store {
    /// What is committed now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(self.inner.env.clone().static_read_txn()?))
    }

    /// Give the mailbox of this name, if there is one, then [`Finish::End`].
    ///
    /// # Errors
    /// The store cannot be read. The sink was dropped without being finished: the request has to be failed.
    pub fn find(
        &self,
        Snapshot(txn): &Snapshot,
        mailbox: &MailboxName,
        mut rows: impl RowSink,
    ) -> Result<(), StoreError> {
        if let Some(row) = self.row(txn, mailbox.as_bytes())? {
            rows.row(row);
        }
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
        let mut view = None;
        while !rows.full() {
            let Some(mailbox) = lock(feed).pop() else { break };
            let shown = self.view_of(&mut view, subscription).and_then(|txn| {
                match self.row(txn, mailbox.as_bytes())? {
                    Some(row) => rows.row(row),
                    None => rows.gone(mailbox.as_bytes()),
                }
                Ok(())
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
        if !more {
            subscription.has(published);
        }
        rows.finish(Finish::Drained { position, more, revision: published });
        Ok(())
    }

    /// A transaction that shows every change that is in the feed by now: the one before, if it does.
    ///
    /// A name has left the feed before this is asked. A change that the transaction does not show yet puts the name in
    /// again.
    fn view_of<'view, 'store>(
        &'store self,
        view: &'view mut Option<View<'store>>,
        subscription: &Subscription,
    ) -> Result<&'view RoTxn<'store>, StoreError> {
        let shows = |view: &View<'_>| view.revision >= subscription.announced();
        let view = match view.take().filter(shows) {
            Some(current) => view.insert(current),
            None => {
                let txn = self.inner.env.read_txn()?;
                let revision = self.inner.tables.revision(&txn)?;
                view.insert(View { txn, revision })
            }
        };
        Ok(&view.txn)
    }

    /// What there is of a mailbox of this name.
    fn row<'txn>(&self, txn: &'txn RoTxn<'_>, mailbox: &'txn [u8]) -> Result<Option<Row<'txn>>, StoreError> {
        let tables = &self.inner.tables;
        let Some(stored) = fetch(tables, txn, mailbox)? else { return Ok(None) };
        let place = locations::place(tables, txn, stored.location)?.ok_or(StoreError::Corrupt("location"))?;
        Ok(Some(Row { name: mailbox, location: place.location, acl: stored.acl }))
    }
}

/// A read transaction, and how much it shows.
struct View<'store> {
    txn: RoTxn<'store, WithoutTls>,
    revision: Revision,
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
