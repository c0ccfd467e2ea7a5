//! What an operator does to the directory: each in a transaction of its own, or not at all.

use std::collections::BTreeSet;
use std::fmt;

use mupdate_core::directory::{Batch, Edit, Record, Revision, State, View};
use mupdate_proto::{MailboxName, ServerName};

use super::{Message, Origin, Work, Writer, WriterStats};
use crate::admin::api::Deed;
use crate::history::Change;
use crate::store::draining::LONGEST;
use crate::store::{CommitError, StoreError, WriteTxn};
use crate::sync::{lock, mpsc};

/// Changes since a plan was made that are looked through before it is carried out.
const SINCE: usize = 50_000;

/// Servers that can be drained at a time.
const DRAINING: usize = 1024;

/// What is said where somebody else decides.
pub(crate) const REPLICA: &str = "this server is a replica: ask its master";

const STOPPING: &str = "the server is shutting down";

/// What is said if the writer ends in the midst of an operation, as it does when nobody can know what is on the disk.
const UNKNOWN: &str =
    "the server has failed, and whether this was done is not known: ask when it is there again";

/// Something to be done. All changes wait for as long as one takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Give names free that are reserved since these revisions still.
    Release(Vec<(MailboxName, Revision)>),
    /// Make records what they were: each name, what it has to be still, and what it is to be.
    Restore(Vec<Change>),
    /// Make records what a list says, unless one of them was changed after this revision.
    Import {
        /// The list was compared with the directory at this revision.
        planned_at: Revision,
        /// Each name, and what it is to be.
        records: Vec<(MailboxName, Option<Record>)>,
    },
    /// Have a server take no new names, or take them again.
    Drain {
        /// Which server.
        server: ServerName,
        /// It takes none.
        draining: bool,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operated {
    /// These names are free; these were left alone, and why.
    Released(Vec<MailboxName>, Vec<(MailboxName, String)>),
    /// So many records were changed; these were left alone, since they are not what was expected.
    Restored(usize, Vec<MailboxName>),
    /// The server is draining, or not, as was asked. False: it was so before.
    Drained(bool),
}

/// An operation on its way, and who waits for it.
pub(super) struct Order {
    operation: Operation,
    origin: Origin,
    done: mpsc::Sender<Result<Operated, String>>,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl Order {
    fn answer(self, answer: Result<Operated, String>) {
        // Whoever asked may be gone.
        let _ = self.done.send(answer);
    }

    /// Nothing was begun.
    pub(super) fn decline(self) {
        self.answer(Err(STOPPING.to_owned()));
    }
}

impl Writer {
    /// Carry an operation out, after what was submitted before it, and wait until that is durable.
    ///
    /// # Errors
    /// In words: why nothing was changed.
    pub fn operate(&self, operation: Operation, origin: Origin) -> Result<Operated, String> {
        let (done, answer) = mpsc::channel();
        let order = Order { operation, origin, done };
        match &*lock(&self.queue) {
            Some(queue) => queue.send(Message::Order(order)).map_err(|_| STOPPING)?,
            None => return Err(STOPPING.to_owned()),
        }
        answer.recv().map_err(|_| UNKNOWN.to_owned())?
    }
}

impl Work {
    /// Carry out an operation and answer it.
    pub(super) fn operate(&mut self, order: Order) -> Result<(), StoreError> {
        if !self.authority.writable() {
            order.answer(Err(REPLICA.to_owned()));
            return Ok(());
        }
        match self.with_all_room(|work| work.try_operate(&order)) {
            Ok(answer) => order.answer(answer),
            Err(CommitError::Obstacle(obstacle)) => {
                order.answer(Err(format!("{obstacle}, nothing was changed: {}", obstacle.advice())));
            }
            Err(CommitError::Fatal(error)) => return Err(error),
        }
        Ok(())
    }

    fn try_operate(&mut self, order: &Order) -> Result<Result<Operated, String>, CommitError> {
        let store = self.store.clone();
        let mut txn = store.begin()?;
        let mut batch = Batch::new(txn.revision());
        let Origin { principal, peer } = &order.origin;
        let staged = match &order.operation {
            Operation::Release(names) => {
                txn.author(principal, peer, Deed::Release);
                release(&mut txn, &mut batch, names, &self.stats)?
            }
            Operation::Restore(changes) => {
                txn.author(principal, peer, Deed::Undo);
                restore(&mut txn, &mut batch, changes, &self.stats)?
            }
            Operation::Import { planned_at, records } => {
                txn.author(principal, peer, Deed::Import);
                import(&mut txn, &mut batch, *planned_at, records, &self.stats)?
            }
            Operation::Drain { server, draining } => drain(&mut txn, server, *draining)?,
        };
        let sealed = batch.seal();
        let operated = match staged {
            Ok(operated) => operated,
            Err(reason) => {
                let _ = sealed.refused_whole();
                return Ok(Err(reason));
            }
        };
        if sealed.changes() || operated == Operated::Drained(true) {
            let revision = self.commit(txn, &sealed)?;
            let events = sealed.durable(revision).events;
            if !events.is_empty() {
                self.feeds.publish(&events, revision);
                WriterStats::add(&self.stats.changes, events.len());
            }
            // Of what is done in steps, whoever has them done tells once.
            if !matches!(order.operation, Operation::Restore(_)) {
                tracing::warn!(operator = %principal, %peer, changes = events.len(), "{}", order.operation);
            }
        } else {
            let _ = sealed.refused_whole();
        }
        Ok(Ok(operated))
    }
}

impl Operation {
    /// Names that are changed together at most, where it need not be all: a matter of milliseconds.
    pub const STEP: usize = 500;
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(_) => f.write_str("an operator has released reservations"),
            Self::Restore(_) => f.write_str("an operator has undone changes"),
            Self::Import { .. } => f.write_str("an operator has imported a list"),
            Self::Drain { server, draining: true } => {
                write!(f, "an operator has begun to drain {server}: it takes no new mailboxes")
            }
            Self::Drain { server, draining: false } => {
                write!(f, "an operator has ended the draining of {server}")
            }
        }
    }
}

type Staged = Result<Operated, String>;

fn release(
    txn: &mut WriteTxn<'_>,
    batch: &mut Batch<usize>,
    names: &[(MailboxName, Revision)],
    stats: &WriterStats,
) -> Result<Staged, StoreError> {
    let (mut released, mut left) = (Vec::new(), Vec::new());
    for (mailbox, seen_at) in names {
        stats.step();
        let reason = match (txn.get(mailbox), txn.revision_of(mailbox)) {
            (Err(StoreError::NameTooLong), _) | (Ok(None), _) => "it is not reserved",
            (Err(error), _) | (_, Err(error)) => return Err(error),
            (Ok(Some(record)), _) if record.state != State::Reserved => "it is active",
            (Ok(Some(_)), Ok(revision)) if revision != Some(*seen_at) => "it has been changed since",
            (Ok(Some(_)), Ok(_)) => {
                batch.set(txn, &Edit { mailbox: mailbox.clone(), record: None }, 0)?;
                released.push(mailbox.clone());
                continue;
            }
        };
        left.push((mailbox.clone(), reason.to_owned()));
    }
    Ok(Ok(Operated::Released(released, left)))
}

fn restore(
    txn: &mut WriteTxn<'_>,
    batch: &mut Batch<usize>,
    changes: &[Change],
    stats: &WriterStats,
) -> Result<Staged, StoreError> {
    let mut left = Vec::new();
    for (mailbox, now, then) in changes {
        stats.step();
        if txn.get(mailbox)? == *now {
            batch.set(txn, &Edit { mailbox: mailbox.clone(), record: then.clone() }, 0)?;
        } else {
            left.push(mailbox.clone());
        }
    }
    Ok(Ok(Operated::Restored(batch.len(), left)))
}

fn import(
    txn: &mut WriteTxn<'_>,
    batch: &mut Batch<usize>,
    planned_at: Revision,
    records: &[(MailboxName, Option<Record>)],
    stats: &WriterStats,
) -> Result<Staged, StoreError> {
    let planned: BTreeSet<&MailboxName> = records.iter().map(|(mailbox, _)| mailbox).collect();
    let mut changed = None;
    let looked = txn.revision() == planned_at
        || txn.changed_since(planned_at, SINCE, |mailbox| {
            if planned.contains(mailbox) {
                changed.get_or_insert_with(|| mailbox.clone());
            }
        })?;
    if !looked {
        return Ok(Err("too much has been changed since the plan was made: make it anew".to_owned()));
    }
    if let Some(mailbox) = changed {
        return Ok(Err(format!("{mailbox} has been changed since the plan was made: make it anew")));
    }
    for (mailbox, record) in records {
        stats.step();
        batch.set(txn, &Edit { mailbox: mailbox.clone(), record: record.clone() }, 0)?;
    }
    Ok(Ok(Operated::Restored(batch.len(), Vec::new())))
}

fn drain(txn: &mut WriteTxn<'_>, server: &ServerName, draining: bool) -> Result<Staged, StoreError> {
    if server.as_bytes().len() > LONGEST {
        return Ok(Err("the server's name is too long".to_owned()));
    }
    Ok(match txn.set_draining(server, draining, DRAINING)? {
        Some(news) => Ok(Operated::Drained(news)),
        None => Err(format!("{DRAINING} servers are being drained already")),
    })
}
