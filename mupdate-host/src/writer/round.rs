//! One round of the writer: actions, their transaction, replies, barriers.

use std::time::Instant;

use mupdate_core::directory::{
    Action, Batch, Durable, Event, Mass, Record, Refusal, Sealed, Speaker, Verdict, Victim, View,
};
use mupdate_core::server::Reply;
use mupdate_proto::Location;

use super::waiting::{Barrier, Entry};
use super::{Decision, Origin, Work, WriterStats};
use crate::admin::api::Deed;
use crate::pairs::Said;
use crate::permits::Refused;
use crate::store::{CommitError, Obstacle, StoreError, WriteTxn};
use crate::sync::lock;

/// What is carried out together.
pub(super) struct Round {
    pub actions: Vec<Entry>,
    pub barriers: Vec<Barrier>,
}

impl Work {
    /// Carry a round out and answer it.
    pub(super) fn carry_out(&mut self, round: Round) -> Result<(), StoreError> {
        let Round { actions, barriers } = round;
        if !actions.is_empty() {
            self.actions(&actions)?;
        }
        for Barrier { ticket, inbox, feed } in barriers {
            let position = lock(&feed).end();
            inbox.deliver(ticket, Reply::Barrier { position });
        }
        Ok(())
    }

    fn actions(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        WriterStats::add(&self.stats.batches, 1);
        WriterStats::add(&self.stats.actions, entries.len());
        self.stats.times.batch.observe(entries.len() as u64);
        let limit = self.store.name_limit();
        let writable = self.authority.writable();
        let (sound, unsound): (Vec<usize>, Vec<usize>) =
            (0..entries.len()).partition(|&at| writable && fits(&entries[at].action, limit));

        if let Some(obstacle) = self.attempt(entries, &sound)? {
            WriterStats::add(&self.stats.full, 1);
            // Deletions make room, and one may find enough where all of the batch together did not.
            let (deletions, others): (Vec<usize>, Vec<usize>) =
                sound.into_iter().partition(|&at| matches!(entries[at].action, Action::Delete { .. }));
            self.refuse(entries, &others, obstacle);
            let mut stuck = others.is_empty() && deletions.len() == 1;
            for at in deletions {
                stuck = stuck || self.attempt(entries, &[at])?.is_some();
                if stuck {
                    self.refuse(entries, &[at], obstacle);
                }
            }
        }
        for Entry { action, ticket, inbox, .. } in unsound.iter().map(|&at| &entries[at]) {
            self.stats.decisions.add(action, Decision::Failed);
            let text = if writable { "mailbox name is too long" } else { "read-only session" };
            inbox.deliver(*ticket, Reply::Failed(text.to_owned()));
        }
        Ok(())
    }

    /// Carry out these entries in one transaction and answer them, unless something is in the way.
    fn attempt(&mut self, entries: &[Entry], sound: &[usize]) -> Result<Option<Obstacle>, StoreError> {
        // Which entries changed something: the events come in the same sequence.
        let mut changing = Vec::new();
        let durable = self.with_all_room(|work| {
            changing.clear();
            work.transact(entries, sound, &mut changing)
        });
        match durable {
            Ok(Durable { verdicts, events }) => {
                if let Some(last) = events.last() {
                    self.feeds.publish(&events, last.revision);
                }
                self.blow_fuses(&verdicts);
                let mut granted = Vec::with_capacity(verdicts.len());
                // Both are in the sequence of the entries.
                let mut changed = changing.iter().peekable();
                for (at, verdict) in verdicts {
                    let Entry { action, origin, ticket, inbox } = &entries[at];
                    let decision = Decision::of(&verdict, changed.next_if_eq(&&at).is_some());
                    self.stats.decisions.add(action, decision);
                    match &verdict {
                        Ok(()) => granted.push(at),
                        Err(refusal) => self.note_refusal(action, origin, refusal),
                    }
                    inbox.deliver(*ticket, Reply::Submitted(verdict));
                }
                self.report(entries, &changing, &events);
                self.tell_pairs(entries, &granted, &changing, &events);
                Ok(None)
            }
            Err(CommitError::Obstacle(obstacle)) => {
                self.obstacles.met(obstacle, Instant::now());
                Ok(Some(obstacle))
            }
            Err(CommitError::Fatal(error)) => Err(error),
        }
    }

    /// Everything between begin and commit.
    fn transact(
        &mut self,
        entries: &[Entry],
        sound: &[usize],
        changing: &mut Vec<usize>,
    ) -> Result<Durable<usize>, CommitError> {
        let (store, begun) = (self.store.clone(), Instant::now());
        let mut txn = store.begin()?;
        let mut batch = Batch::new(txn.revision());
        let staged = self.stage(&mut txn, &mut batch, entries, sound, changing);
        let sealed = batch.seal();
        let committed = match staged {
            Ok(()) if sealed.changes() => self.commit(txn, &sealed),
            // What was repeated or refused says nothing new; what it rests on was committed by earlier rounds.
            Ok(()) => Ok(sealed.revision()),
            Err(error) => Err(error.into()),
        };
        match committed {
            Ok(revision) => {
                let now = Instant::now();
                if !changing.is_empty() {
                    self.stats.times.transaction.took(now - begun);
                }
                self.options.fuses.committed(now);
                Ok(sealed.durable(revision))
            }
            Err(error) => {
                self.options.fuses.aborted();
                // All of them are answered by the caller, those too that were never staged.
                let _ = sealed.refused_whole();
                Err(error)
            }
        }
    }

    fn stage(
        &mut self,
        txn: &mut WriteTxn<'_>,
        batch: &mut Batch<usize>,
        entries: &[Entry],
        sound: &[usize],
        changing: &mut Vec<usize>,
    ) -> Result<(), StoreError> {
        let (roles, fuses, now) = (self.options.permits.roles(), &self.options.fuses, Instant::now());
        let shares = fuses.have_shares();
        for &at in sound {
            let before = txn.changes();
            let Entry { action, origin, .. } = &entries[at];
            let victim = if shares { victim(txn, action)? } else { None };
            let victim = victim.as_ref().map(|(at, names)| Victim { server: at.server(), names: *names });
            txn.author(&origin.principal, &origin.peer, deed(action));
            let held = fuses.held(&origin.principal, victim, now);
            let speaker = Speaker { held, ..roles.speaker(&origin.principal) };
            self.authority.decide(txn, batch, action, speaker, self.options.policy, at)?;
            if txn.changes() > before {
                changing.push(at);
                let made = batch.last_change();
                if let Some((mass, from)) =
                    made.and_then(|event| Mass::of_event(event).zip(event.before.as_ref()))
                {
                    fuses.staged(&origin.principal, mass, from.location.server());
                }
            }
        }
        Ok(())
    }

    pub(super) fn commit(
        &mut self,
        mut txn: WriteTxn<'_>,
        sealed: &Sealed<usize>,
    ) -> Result<u64, CommitError> {
        self.stage_memos(&mut txn)?;
        let begun = Instant::now();
        let revision = txn.commit()?;
        self.stats.times.commit.took(begun.elapsed());
        debug_assert_eq!(revision, sealed.revision());
        WriterStats::add(&self.stats.commits, 1);
        self.obstacles.overcome();
        Ok(revision)
    }

    /// Whoever is told that something is held is told what is on the disk.
    fn blow_fuses(&self, verdicts: &[(usize, Verdict)]) {
        for (_, verdict) in verdicts {
            if let Err(Refusal::Held { principal, mass }) = verdict {
                WriterStats::add(&self.stats.held, 1);
                let news = self.options.fuses.blow(principal, *mass);
                WriterStats::add(&self.stats.fuses_blown, usize::from(news));
            }
        }
    }

    fn note_refusal(&self, action: &Action, Origin { principal, peer }: &Origin, refusal: &Refusal) {
        WriterStats::add(&self.stats.refused, 1);
        if refusal.is_of_the_principal() {
            WriterStats::add(&self.stats.denied, 1);
        }
        if self.options.permits.tells(principal, Instant::now()) {
            tracing::info!(mailbox = %action.mailbox(), %principal, %peer, "refused: {refusal}");
            let change = Some((deed(action), action.mailbox()));
            self.options.permits.keep(Refused::now(principal, peer, change, refusal));
        }
    }

    /// Everybody has been answered: now there is time to see who leads and who follows.
    fn tell_pairs(&self, entries: &[Entry], granted: &[usize], changing: &[usize], events: &[Event]) {
        let mut changes = changing.iter().zip(events).peekable();
        let said = granted.iter().map(|&at| {
            let Entry { action, origin, .. } = &entries[at];
            let event = changes.next_if(|(changing, _)| **changing == at).map(|(_, event)| event);
            Said { user: &origin.principal, peer: &origin.peer, action, event }
        });
        self.options.pairs.hear(said, Instant::now());
    }

    /// None of these has happened.
    fn refuse(&self, entries: &[Entry], refused: &[usize], obstacle: Obstacle) {
        for Entry { action, ticket, inbox, .. } in refused.iter().map(|&at| &entries[at]) {
            self.stats.decisions.add(action, Decision::Failed);
            inbox.deliver(*ticket, Reply::Failed(format!("{obstacle}, nothing was changed")));
        }
    }

    /// Takeovers are what an operator wants to know when two backends claim one mailbox.
    fn report(&mut self, entries: &[Entry], changing: &[usize], events: &[Event]) {
        WriterStats::add(&self.stats.changes, events.len());
        if !events.is_empty() {
            self.gauge.committed(&self.store);
        }
        for (event, &at) in events.iter().zip(changing) {
            let (Some(from), Some(after)) = (&event.takeover_from, &event.after) else { continue };
            WriterStats::add(&self.stats.takeovers, 1);
            let (mailbox, to) = (&event.mailbox, &after.location);
            let Origin { principal, peer } = &entries[at].origin;
            tracing::warn!(%mailbox, %from, %to, %principal, %peer, "an active mailbox was taken over");
        }
    }
}

/// Who has the name that an action may take or delete, and how many names that server has.
fn victim(txn: &WriteTxn<'_>, action: &Action) -> Result<Option<(Location, u64)>, StoreError> {
    if !matches!(action, Action::Activate { .. } | Action::Delete { .. }) {
        return Ok(None);
    }
    let Some(Record { location, .. }) = txn.get(action.mailbox())? else { return Ok(None) };
    let names = txn.names_at(location.server())?;
    Ok(Some((location, names)))
}

fn deed(action: &Action) -> Deed {
    match action {
        Action::Reserve { .. } => Deed::Reserve,
        Action::Activate { .. } => Deed::Activate,
        Action::Deactivate { .. } => Deed::Deactivate,
        Action::Delete { .. } => Deed::Delete,
    }
}

fn fits(action: &Action, limit: usize) -> bool {
    action.mailbox().as_bytes().len() <= limit
}
