//! What comes from no client: the decisions of the master that is followed, and what an operator makes of this daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use mupdate_core::directory::{Batch, Edit};

use super::waiting::Order;
use super::{Origin, Work, WriterStats};
use crate::admin::api::Deed;
use crate::authority::Authority;
use crate::store::{CommitError, Obstacle, StoreError};

/// Names that are to become what somebody else has decided: all of them in one transaction, or as many of them as there is
/// room for, deletions first.
#[derive(Debug)]
pub struct Edits {
    /// What they are to be, in the sequence in which it was said.
    pub edits: Vec<Edit>,
    /// Who says so, for the journal.
    pub origin: Origin,
    /// What it is called there.
    pub deed: Deed,
    /// Told what came of it, when that is durable and in the feeds.
    pub done: Done<Applied>,
}

/// What came of edits.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many names changed.
    pub changed: usize,
    /// What could not be written: of each name the last edit, in no sequence.
    pub left: Vec<Edit>,
    /// What was in the way of these.
    pub obstacle: Option<Obstacle>,
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

/// Whom to tell what became of a job, or in one line why nothing did.
pub struct Done<T = ()>(Box<dyn FnOnce(Result<T, String>) + Send>);

impl<T> Done<T> {
    /// Call this, on the writer's thread: it must not wait for anything.
    pub fn new(tell: impl FnOnce(Result<T, String>) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }

    pub(super) fn say(self, outcome: Result<T, String>) {
        (self.0)(outcome);
    }
}

impl<T> fmt::Debug for Done<T> {
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
                done.say(Ok(()));
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
            Ok(changed) => {
                if changed > 0 {
                    self.obstacles.overcome();
                }
                done.say(Ok(Applied { changed, ..Applied::default() }));
            }
            Err(CommitError::Obstacle(obstacle)) => {
                WriterStats::add(&self.stats.full, 1);
                self.obstacles.met(obstacle, Instant::now());
                done.say(Ok(self.apply_in_parts(edits, &origin, deed, obstacle)?));
            }
            Err(CommitError::Fatal(error)) => return Err(error),
        }
        Ok(())
    }

    /// All of them in one transaction, and into the feeds; or nothing has happened.
    fn apply(&mut self, edits: &[Edit], origin: &Origin, deed: Deed) -> Result<usize, CommitError> {
        self.with_all_room(|work| work.try_to_apply(edits, origin, deed))
    }

    fn try_to_apply(&mut self, edits: &[Edit], origin: &Origin, deed: Deed) -> Result<usize, CommitError> {
        let store = self.store.clone();
        let mut txn = store.begin()?;
        txn.author(&origin.principal, &origin.peer, deed);
        let mut batch = Batch::new(txn.revision());
        for edit in edits {
            batch.set(&mut txn, edit, ())?;
            self.stats.step();
        }
        let sealed = batch.seal();
        if !sealed.changes() {
            let _ = sealed.refused_whole();
            return Ok(0);
        }
        self.stage_memos(&mut txn)?;
        let revision = txn.commit()?;
        WriterStats::add(&self.stats.commits, 1);
        let events = sealed.durable(revision).events;
        self.feeds.publish(&events, revision);
        self.gauge.committed(&self.store);
        WriterStats::add(&self.stats.changes, events.len());
        Ok(events.len())
    }

    /// What did not fit as a whole. What names were meanwhile is beside the point: each is made what it is to be at last, so
    /// that the sequence of different names does not matter, and deletions, which make room, come first. Then comes what
    /// is said of names that are there, and may take no more room than before.
    fn apply_in_parts(
        &mut self,
        edits: Vec<Edit>,
        origin: &Origin,
        deed: Deed,
        obstacle: Obstacle,
    ) -> Result<Applied, StoreError> {
        let last: BTreeMap<_, _> = edits.into_iter().map(|edit| (edit.mailbox, edit.record)).collect();
        let [mut gone, mut other, mut new] = [const { Vec::new() }; 3];
        for (mailbox, record) in last {
            let part = match (self.store.entry(&mailbox)?, &record) {
                (None, None) => continue,
                (Some(entry), Some(record)) if entry.is(record) => continue,
                (Some(_), None) => &mut gone,
                (Some(_), Some(_)) => &mut other,
                (None, Some(_)) => &mut new,
            };
            part.push(Edit { mailbox, record });
        }
        let mut applied = Applied::default();
        // Where the disk is full or gone, one that cannot be written tells of all others.
        let each = obstacle == Obstacle::MapFull;
        for (part, each) in [(gone, false), (other, each), (new, false)] {
            self.apply_some(part, origin, deed, each, &mut applied)?;
        }
        if applied.left.is_empty() {
            self.obstacles.overcome();
        } else {
            applied.obstacle = Some(obstacle);
        }
        Ok(applied)
    }

    /// As many of these as there is room for; `each`: one for which there is none says nothing of the next.
    fn apply_some(
        &mut self,
        edits: Vec<Edit>,
        origin: &Origin,
        deed: Deed,
        each: bool,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        let mut parts = vec![&edits[..]];
        while let Some(part) = parts.pop() {
            match self.apply(part, origin, deed) {
                Ok(changed) => applied.changed += changed,
                Err(CommitError::Fatal(error)) => return Err(error),
                Err(CommitError::Obstacle(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(CommitError::Obstacle(_)) => {
                    applied.left.extend_from_slice(part);
                    if !each {
                        applied.left.extend(parts.drain(..).flatten().cloned());
                    }
                }
            }
        }
        Ok(())
    }

    fn carry_out_remember(
        &mut self,
        Remember { name, word, become_, done }: Remember,
    ) -> Result<(), StoreError> {
        let remembered = self.with_all_room(|work| {
            let mut txn = work.store.begin()?;
            txn.remember(name, word.as_deref())?;
            txn.commit()
        });
        match remembered.map(|_| ()) {
            Ok(()) => {
                WriterStats::add(&self.stats.commits, 1);
                if let Some(authority) = become_ {
                    self.authority = authority;
                }
                done.say(Ok(()));
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
