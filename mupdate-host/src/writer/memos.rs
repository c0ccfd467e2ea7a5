//! What is worth remembering, but not worth a commit of its own.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use mupdate_core::directory::{Order, Revision};
use mupdate_proto::ServerName;

use super::Work;
use crate::store::{CommitError, StoreError, WriteTxn};
use crate::sync::{Mutex, lock};

/// Memos of each kind that wait at most. More names than that at once is nobody's murder.
const MOST: usize = 4096;

/// Something to remember about a client or a server. Losing one costs a few lines sent twice, nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memo {
    /// An UPDATE client has everything up to this revision.
    Synced {
        /// What it is known by: the same at its next connection, and short.
        client: Bytes,
        /// The revision.
        revision: Revision,
    },
    /// A server keeps its mailboxes in this order.
    Learned {
        /// The server.
        server: ServerName,
        /// Its order.
        order: Order,
    },
}

/// The memos that wait, the latest of each name: bounded whatever is submitted while a disk is slow.
#[derive(Debug, Default)]
pub(super) struct Memos {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    synced: BTreeMap<Bytes, Revision>,
    learned: BTreeMap<ServerName, Order>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.synced.is_empty() && self.learned.is_empty()
    }
}

impl Memos {
    /// Put a memo in. True: it is the first one since they were taken.
    pub(super) fn put(&self, memo: Memo) -> bool {
        let mut waiting = lock(&self.waiting);
        let first = waiting.is_empty();
        match memo {
            Memo::Synced { client, revision } => {
                if waiting.synced.len() < MOST || waiting.synced.contains_key(&client) {
                    waiting.synced.insert(client, revision);
                }
            }
            Memo::Learned { server, order } => {
                if waiting.learned.len() < MOST || waiting.learned.contains_key(&server) {
                    waiting.learned.insert(server.detached(), order);
                }
            }
        }
        first
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *lock(&self.waiting))
    }
}

impl Work {
    /// Write the memos that wait into a transaction. True: there were some.
    pub(super) fn stage_memos(&mut self, txn: &mut WriteTxn<'_>) -> Result<bool, StoreError> {
        self.memos_due = None;
        let Waiting { synced, learned } = self.memos.take();
        let any = !synced.is_empty() || !learned.is_empty();
        for (client, revision) in synced {
            txn.set_client(&client, revision)?;
        }
        for (server, order) in learned {
            if txn.set_order(&server, order)? {
                tracing::info!(%server, %order, "the order of a server's mailboxes has been learned");
            }
        }
        Ok(any)
    }

    /// Give the memos a transaction of their own.
    pub(super) fn write_memos(&mut self) -> Result<(), StoreError> {
        let store = self.store.clone();
        let written = store.begin().and_then(|mut txn| Ok((self.stage_memos(&mut txn)?, txn)));
        let written = match written {
            Ok((false, _unused)) => return Ok(()),
            Ok((true, txn)) => txn.commit().map(|_| ()),
            Err(error) => Err(CommitError::from(error)),
        };
        match written {
            Ok(()) => {
                super::WriterStats::add(&self.stats.commits, 1);
                Ok(())
            }
            Err(CommitError::Obstacle(obstacle)) => {
                self.obstacles.met(obstacle, Instant::now());
                self.memos_due = None;
                Ok(())
            }
            Err(CommitError::Fatal(error)) => Err(error),
        }
    }
}
