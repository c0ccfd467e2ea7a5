//! What comes from no client: the decisions of the master that is followed, and what an operator makes of this daemon.

use std::fmt;
use std::time::Instant;

use mupdate_core::directory::{Batch, Edit, Event, Revision};

use super::waiting::Order;
use super::{Origin, Work, WriterStats};
use crate::admin::api::Deed;
use crate::authority::Authority;
use crate::store::{CommitError, StoreError};

/// Names that are to become what somebody else has decided: all of them in one transaction, or none.
#[derive(Debug)]
pub struct Edits {
    /// What they are to be, in the sequence in which it was said.
    pub edits: Vec<Edit>,
    /// Who says so, for the journal.
    pub origin: Origin,
    /// What it is called there.
    pub deed: Deed,
    /// Told how many names changed, when that is durable and in the feeds.
    pub done: Done,
}

/// Something to be remembered under a name, for the next start; and what this daemon is from then on.
pub struct Remember {
    /// The name in the store.
    pub name: &'static str,
    /// What is remembered; `None` forgets it.
    pub word: Option<String>,
    /// Who decides about the changes that come after this, once it is durable. No change is acknowledged later that was
    /// decided before.
    pub become_: Option<Box<dyn Authority>>,
    /// Told when it is done.
    pub done: Done,
}

/// Whom to tell what became of a job: how many names changed, or in one line why nothing did.
pub struct Done(Box<dyn FnOnce(Result<usize, String>) + Send>);

impl Done {
    /// Call this, on the writer's thread: it must not wait for anything.
    pub fn new(tell: impl FnOnce(Result<usize, String>) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }

    pub(super) fn say(self, outcome: Result<usize, String>) {
        (self.0)(outcome);
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

impl fmt::Debug for Remember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remember").field("name", &self.name).field("word", &self.word).finish_non_exhaustive()
    }
}

impl Work {
    pub(super) fn carry_out_order(&mut self, order: Order) -> Result<(), StoreError> {
        match order {
            Order::Edits(edits) => self.carry_out_edits(edits),
            Order::Remember(remember) => self.carry_out_remember(remember),
            Order::Nothing(done) => {
                done.say(Ok(0));
                Ok(())
            }
        }
    }

    fn carry_out_edits(&mut self, Edits { edits, origin, deed, done }: Edits) -> Result<(), StoreError> {
        let limit = self.store.name_limit();
        if let Some(edit) = edits.iter().find(|edit| edit.mailbox.as_bytes().len() > limit) {
            let length = edit.mailbox.as_bytes().len();
            done.say(Err(format!("a mailbox name of {length} octets is too long, the limit is {limit}")));
            return Ok(());
        }
        match self.apply(&edits, &origin, deed) {
            Ok((events, revision)) => {
                if !events.is_empty() {
                    self.feeds.publish(&events, revision);
                    self.gauge.committed(&self.store);
                }
                WriterStats::add(&self.stats.changes, events.len());
                done.say(Ok(events.len()));
                Ok(())
            }
            Err(CommitError::Obstacle(obstacle)) => {
                WriterStats::add(&self.stats.full, 1);
                self.obstacles.met(obstacle, Instant::now());
                done.say(Err(format!("{obstacle}, nothing was changed")));
                Ok(())
            }
            Err(CommitError::Fatal(error)) => Err(error),
        }
    }

    fn apply(
        &mut self,
        edits: &[Edit],
        origin: &Origin,
        deed: Deed,
    ) -> Result<(Vec<Event>, Revision), CommitError> {
        let store = self.store.clone();
        let mut txn = store.begin()?;
        txn.author(&origin.principal, &origin.peer, deed);
        let mut batch = Batch::new(txn.revision());
        for edit in edits {
            batch.set(&mut txn, edit, ())?;
            self.stats.step();
        }
        let sealed = batch.seal();
        let revision = if sealed.changes() {
            self.stage_memos(&mut txn)?;
            let revision = txn.commit()?;
            WriterStats::add(&self.stats.commits, 1);
            self.obstacles.overcome();
            revision
        } else {
            sealed.revision()
        };
        Ok((sealed.durable(revision).events, revision))
    }

    fn carry_out_remember(
        &mut self,
        Remember { name, word, become_, done }: Remember,
    ) -> Result<(), StoreError> {
        let store = self.store.clone();
        let remembered = || -> Result<(), CommitError> {
            let mut txn = store.begin()?;
            txn.remember(name, word.as_deref())?;
            txn.commit().map(|_| ())
        };
        match remembered() {
            Ok(()) => {
                WriterStats::add(&self.stats.commits, 1);
                if let Some(authority) = become_ {
                    self.authority = authority;
                }
                done.say(Ok(0));
                Ok(())
            }
            Err(CommitError::Obstacle(obstacle)) => {
                self.obstacles.met(obstacle, Instant::now());
                done.say(Err(format!("{obstacle}, nothing was changed")));
                Ok(())
            }
            Err(CommitError::Fatal(error)) => Err(error),
        }
    }
}
