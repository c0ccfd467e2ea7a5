//! Pages through the directory: LIST, and the dump that begins an UPDATE.
//!
//! Between two pages no read transaction is open and no lock is held, so a slow reader holds up nobody and keeps LMDB
//! from reusing nothing. The price is that a walk is no snapshot: a mailbox that is there all the time
//! comes exactly once, one that comes or goes meanwhile may or may not. UPDATE makes up for that with its feed.

use heed::RoTxn;
use mupdate_core::directory::{Order, Selection, Sorted, v36_name, v36_name_into};
use mupdate_core::server::{Finish, Row, Scope};
use mupdate_proto::ServerName;

use super::Store;
use super::error::StoreError;
use super::locations::{Lookup, Reach};
use super::read::fetch;
use super::sink::RowSink;
use super::walk::Walk;

/// Octets of memory for names that are put into an order of their own: some 45,000 of them at a time.
const CHUNK: usize = 4 << 20;

/// Mailboxes that one page looks at, so that none takes long, however few of them it gives.
const STEPS: usize = 16_384;

/// A walk in progress: where the next page begins. Made by [`Store::pager`].
#[derive(Debug)]
pub struct Pager {
    reach: Reach,
    order: Order,
    /// The v36 key looked at last.
    cursor: Option<Vec<u8>>,
    /// In any other order than v36.
    sorting: Sorting,
}

/// Chunks of names in an order that the tables do not have.
#[derive(Debug, Default)]
struct Sorting {
    /// Being filled by a pass through all names.
    selection: Option<Selection>,
    /// Sorted, and not given yet.
    chunk: Option<Sorted>,
    /// The last name given or passed.
    last: Option<Vec<u8>>,
}

impl Pager {
    /// The order in which the mailboxes come.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }
}

impl Store {
    /// Begin to walk what `scope` covers. Mailboxes come in v36 order, except that a list of what one server has,
    /// [`Scope::Prefix`] of `server!...`, comes in the order of that server: as configured, else as learned,
    /// else v36.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pager(&self, scope: Scope) -> Result<Pager, StoreError> {
        let order = match &scope {
            Scope::Prefix(prefix) => match listed_server(prefix) {
                Some(server) => self.order_of(&server)?,
                None => None,
            },
            Scope::All | Scope::Servers(_) => None,
        };
        Ok(Pager {
            reach: scope.into(),
            order: order.unwrap_or_default(),
            cursor: None,
            sorting: Sorting::default(),
        })
    }

    /// Give the next page: rows until the sink is full, then [`Finish::More`]; [`Finish::End`] at the end.
    /// A page can be empty and not the last: looking at very many mailboxes is spread over pages.
    ///
    /// # Errors
    /// The store cannot be read. The sink was dropped without being finished: the request has to be failed.
    pub fn page(&self, pager: &mut Pager, rows: impl RowSink) -> Result<(), StoreError> {
        let txn = self.inner.env.read_txn()?;
        if pager.order == Order::V36 {
            self.native_page(&txn, pager, rows)
        } else {
            self.sorted_page(&txn, pager, rows)
        }
    }

    fn native_page(
        &self,
        txn: &RoTxn<'_>,
        pager: &mut Pager,
        mut rows: impl RowSink,
    ) -> Result<(), StoreError> {
        let mut walk = Walk::new(&self.inner.tables, txn, &pager.reach, pager.cursor.as_deref())?;
        let (mut seen, mut name) = (None, Vec::new());
        let mut finish = Finish::More;
        for _ in 0..STEPS {
            if rows.full() {
                break;
            }
            let Some(step) = walk.next()? else {
                finish = Finish::End;
                break;
            };
            if pager.reach.covers(step.location) {
                name.clear();
                v36_name_into(step.key, &mut name);
                rows.row(Row { name: &name, location: step.location, acl: step.acl });
            }
            seen = Some(step.key);
        }
        if let Some(key) = seen {
            pager.cursor = Some(key.to_vec());
        }
        rows.finish(finish);
        Ok(())
    }

    fn sorted_page(
        &self,
        txn: &RoTxn<'_>,
        pager: &mut Pager,
        mut rows: impl RowSink,
    ) -> Result<(), StoreError> {
        let chunk = match pager.sorting.chunk.take() {
            Some(chunk) => Some(chunk),
            None => self.fill(txn, pager)?,
        };
        let Some(mut chunk) = chunk else {
            rows.finish(Finish::More);
            return Ok(());
        };
        let mut lookup = Lookup::new(&self.inner.tables, txn);
        while !rows.full() {
            let Some(name) = chunk.next() else { break };
            if let Some(stored) = fetch(&self.inner.tables, txn, &name)? {
                let location = lookup.location(stored.location)?;
                if pager.reach.covers(location) {
                    rows.row(Row { name: &name, location, acl: stored.acl });
                }
            }
            pager.sorting.last = Some(name);
        }
        let (given, more) = (chunk.len() == 0, chunk.more());
        rows.finish(if given && !more { Finish::End } else { Finish::More });
        pager.sorting.chunk = (!given || !more).then_some(chunk);
        Ok(())
    }

    /// Go on filling the next chunk. `None`: there is more to look at first.
    fn fill(&self, txn: &RoTxn<'_>, pager: &mut Pager) -> Result<Option<Sorted>, StoreError> {
        let Pager { reach, order, cursor, sorting } = pager;
        let last = sorting.last.as_deref();
        let selection = sorting.selection.get_or_insert_with(|| Selection::new(*order, last, CHUNK));
        let mut walk = Walk::new(&self.inner.tables, txn, reach, cursor.as_deref())?;
        let mut seen = None;
        for _ in 0..STEPS {
            let Some(step) = walk.next()? else {
                *cursor = None;
                return Ok(sorting.selection.take().map(Selection::into_sorted));
            };
            if reach.covers(step.location) {
                selection.offer(&v36_name(step.key));
            }
            seen = Some(step.key);
        }
        *cursor = seen.map(<[u8]>::to_vec);
        Ok(None)
    }
}

/// The server whose mailboxes a LIST with this argument is about.
fn listed_server(prefix: &[u8]) -> Option<ServerName> {
    let bang = prefix.iter().position(|&octet| octet == b'!')?;
    ServerName::new(bytes::Bytes::copy_from_slice(&prefix[..bang])).ok()
}
