//! Batch -> Sealed -> Durable: many actions, one transaction, and no reply before it is on disk.
//!
//! Actions are staged one after another on a [`View`]: the store's write transaction. [`Batch::seal`] ends
//! that; what it gives can't be read. Then the caller commits. If that worked, [`Sealed::durable`] hands out
//! verdicts and events. If the transaction was aborted for certain, [`Sealed::refused_whole`] says whom to
//! answer NO. If the caller does not know which of the two it was, it drops the batch and stops: whoever
//! waits will ask again.

use mupdate_proto::{Location, MailboxName};

use super::{Action, Change, Edit, Policy, Record, Refusal, Revision, Speaker, admit, decide, hold, permit};

/// Records, as one transaction sees and changes them.
pub trait View {
    /// Why the records can't be read or written: our fault, or the disk's, never the peer's.
    type Error;

    /// The record of a mailbox, as earlier calls on this view left it.
    ///
    /// # Errors
    /// The record can't be read.
    fn get(&self, mailbox: &MailboxName) -> Result<Option<Record>, Self::Error>;

    /// Is this server being [drained](admit())?
    ///
    /// # Errors
    /// That can't be read.
    fn is_draining(&self, server: &[u8]) -> Result<bool, Self::Error> {
        let _ = server;
        Ok(false)
    }

    /// Makes `record` the record of a mailbox. `before` is what [`get`](View::get) says now: given, since
    /// indexes by location need it.
    ///
    /// # Errors
    /// The record can't be written; the transaction is to be aborted.
    fn put(
        &mut self,
        mailbox: &MailboxName,
        record: &Record,
        before: Option<&Record>,
        revision: Revision,
    ) -> Result<(), Self::Error>;

    /// Removes the record of a mailbox, which is `before`.
    ///
    /// # Errors
    /// The record can't be removed; the transaction is to be aborted.
    fn remove(
        &mut self,
        mailbox: &MailboxName,
        before: &Record,
        revision: Revision,
    ) -> Result<(), Self::Error>;
}

/// What is answered to an action: OK, or NO with the refusal's text.
pub type Verdict = Result<(), Refusal>;

/// One change of one record. `before` and `after` differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision that this change made.
    pub revision: Revision,
    /// Whose record it is. Owns its octets: it does not keep the received message alive.
    pub mailbox: MailboxName,
    /// The record until then, if there was one.
    pub before: Option<Record>,
    /// The record from then on, if there is one.
    pub after: Option<Record>,
    /// The active location that an activation replaced by another place.
    pub takeover_from: Option<Location>,
}

/// Actions of one transaction, being staged. `T` is whom to answer.
#[derive(Debug)]
#[must_use = "whoever waits for an answer is in it"]
pub struct Batch<T> {
    revision: Revision,
    waiting: Vec<T>,
    /// One per entry of `waiting`; one fewer once the view has failed.
    verdicts: Vec<Verdict>,
    events: Vec<Event>,
}

impl<T> Batch<T> {
    /// An empty batch on top of revision `last`: its first event will have the one after that.
    pub fn new(last: Revision) -> Self {
        Self { revision: last, waiting: Vec::new(), verdicts: Vec::new(), events: Vec::new() }
    }

    /// How many actions have been staged.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing has been staged.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Decides an action on what `view` shows, if `speaker` is [permitted](permit()) it there, and carries it out.
    ///
    /// # Errors
    /// The view failed. `who` is in the batch nevertheless, to be answered with the others: abort the
    /// transaction, seal, and ask [`Sealed::refused_whole`] for them all.
    pub fn stage<V: View>(
        &mut self,
        view: &mut V,
        action: &Action,
        speaker: Speaker<'_>,
        policy: Policy,
        who: T,
    ) -> Result<(), V::Error> {
        self.waiting.push(who);
        let verdict = self.apply(view, action, speaker, policy)?;
        self.verdicts.push(verdict);
        Ok(())
    }

    fn apply<V: View>(
        &mut self,
        view: &mut V,
        action: &Action,
        speaker: Speaker<'_>,
        policy: Policy,
    ) -> Result<Verdict, V::Error> {
        let mailbox = action.mailbox();
        let before = view.get(mailbox)?;
        let draining = match action {
            Action::Reserve { location, .. } if before.is_none() => view.is_draining(location.server())?,
            _ => false,
        };
        let permitted = permit(before.as_ref(), action, speaker);
        let admitted = permitted.and_then(|()| admit(before.as_ref(), action, draining));
        let decided = admitted.and_then(|()| decide(before.as_ref(), action, policy));
        let change = match decided.and_then(|change| hold(before.as_ref(), change, speaker)) {
            Ok(change) => change,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let revision = self.revision + 1;
        let (after, takeover_from) = match (change, &before) {
            (Change::Nothing, _) | (Change::Remove, None) => return Ok(Ok(())),
            (Change::Put { record, takeover_from }, before) => {
                view.put(mailbox, &record, before.as_ref(), revision)?;
                (Some(record), takeover_from)
            }
            (Change::Remove, Some(before)) => {
                view.remove(mailbox, before, revision)?;
                (None, None)
            }
        };
        self.revision = revision;
        // What a session parsed is a slice of the whole message, ACL included: a name that may wait in a
        // thousand feeds must not keep that alive.
        self.events.push(Event { revision, mailbox: mailbox.detached(), before, after, takeover_from });
        Ok(Ok(()))
    }

    /// Makes a record what it is to be, and asks nobody: somebody else has decided. What is so already is no change.
    ///
    /// # Errors
    /// As [`stage`](Self::stage).
    pub fn set<V: View>(&mut self, view: &mut V, edit: &Edit, who: T) -> Result<(), V::Error> {
        self.waiting.push(who);
        let Edit { mailbox, record: after } = edit;
        let before = view.get(mailbox)?;
        if before != *after {
            let revision = self.revision + 1;
            match (after, &before) {
                (Some(record), before) => view.put(mailbox, record, before.as_ref(), revision)?,
                (None, Some(before)) => view.remove(mailbox, before, revision)?,
                (None, None) => {}
            }
            self.revision = revision;
            let (mailbox, after) = (mailbox.detached(), after.clone());
            self.events.push(Event { revision, mailbox, before, after, takeover_from: None });
        }
        self.verdicts.push(Ok(()));
        Ok(())
    }

    /// The change that was made last, for those who count. Nobody else may know of it yet.
    pub fn last_change(&self) -> Option<&Event> {
        self.events.last()
    }

    /// No further actions: the transaction can be committed.
    pub fn seal(self) -> Sealed<T> {
        Sealed { batch: self }
    }
}

/// A batch that is about to be committed: what it has to say can't be read yet.
#[derive(Debug)]
#[must_use = "whoever waits for an answer is in it"]
pub struct Sealed<T> {
    batch: Batch<T>,
}

impl<T> Sealed<T> {
    /// Whether there is anything to commit. If not, [`durable`](Sealed::durable) may follow at once.
    pub fn changes(&self) -> bool {
        !self.batch.events.is_empty()
    }

    /// The revision of the directory once this is committed.
    pub fn revision(&self) -> Revision {
        self.batch.revision
    }

    /// The commit went through, and the directory is durably at revision `committed`: here is what to say to
    /// whom.
    ///
    /// # Panics
    /// The caller's fault: the view failed while this batch was staged, or less than
    /// [`revision`](Sealed::revision) has been committed. Answering OK for something that is not on disk is
    /// the one thing that must not happen.
    pub fn durable(self, committed: Revision) -> Durable<T> {
        let Batch { revision, waiting, verdicts, events } = self.batch;
        assert!(committed >= revision, "revision {committed} is durable, the batch made {revision}");
        assert_eq!(waiting.len(), verdicts.len(), "the view failed: this batch can only be refused");
        Durable { verdicts: waiting.into_iter().zip(verdicts).collect(), events }
    }

    /// The transaction was aborted, nothing of it happened: whom to answer NO, in the order of their actions.
    /// That is everybody, since refusals too were decided on what has not happened.
    pub fn refused_whole(self) -> Vec<T> {
        self.batch.waiting
    }
}

/// What a committed batch has to say.
#[derive(Debug)]
pub struct Durable<T> {
    /// Whom to answer what, in the order of their actions.
    pub verdicts: Vec<(T, Verdict)>,
    /// What happened, in order, revisions without gaps.
    pub events: Vec<Event>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{FuseLimits, Fuses, Mass, MemoryView, Roles, State};
    use mupdate_proto::Acl;
    use std::time::Instant;

    fn name(text: &'static str) -> MailboxName {
        MailboxName::new(text).expect("a legal name")
    }
    fn at(text: &'static str) -> Location {
        Location::new(text).expect("a legal location")
    }
    fn reserve(mailbox: &'static str, location: &'static str) -> Action {
        Action::Reserve { mailbox: name(mailbox), location: at(location) }
    }
    fn activate(mailbox: &'static str, location: &'static str) -> Action {
        Action::Activate { mailbox: name(mailbox), location: at(location), acl: Acl::new("x") }
    }
    fn delete(mailbox: &'static str) -> Action {
        Action::Delete { mailbox: name(mailbox) }
    }
    fn stage(batch: &mut Batch<u32>, view: &mut MemoryView, action: &Action, who: u32) {
        let Ok(()) = batch.stage(view, action, Speaker::TRUSTED, Policy::Standard, who);
    }

    #[test]
    fn later_actions_see_earlier_ones() {
        let mut view = MemoryView::new();
        let mut batch = Batch::new(7);
        stage(&mut batch, &mut view, &reserve("a", "be1!"), 1);
        stage(&mut batch, &mut view, &reserve("a", "be2!"), 2);
        stage(&mut batch, &mut view, &delete("a"), 3);
        stage(&mut batch, &mut view, &delete("a"), 4);
        stage(&mut batch, &mut view, &reserve("a", "be2!"), 5);
        let sealed = batch.seal();
        assert!(sealed.changes());
        assert_eq!(sealed.revision(), 10);
        let Durable { verdicts, events } = sealed.durable(10);
        let refused = Err(Refusal::AlreadyExists { held_by: at("be1!") });
        assert_eq!(verdicts, [(1, Ok(())), (2, refused), (3, Ok(())), (4, Ok(())), (5, Ok(()))]);
        assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [8, 9, 10]);
        assert_eq!(events[1].before, events[0].after);
        assert_eq!(events[1].after, None);
        assert_eq!(view.records()[&name("a")], Record { location: at("be2!"), state: State::Reserved });
    }

    #[test]
    fn a_batch_without_a_change_keeps_the_revision() {
        let mut view = MemoryView::new();
        let mut batch = Batch::new(7);
        stage(&mut batch, &mut view, &delete("a"), 1);
        let sealed = batch.seal();
        assert!(!sealed.changes());
        assert_eq!(sealed.revision(), 7);
        let Durable { verdicts, events } = sealed.durable(7);
        assert_eq!(verdicts, [(1, Ok(()))]);
        assert_eq!(events, []);
    }

    #[test]
    fn a_takeover_is_recorded() {
        let mut view = MemoryView::new();
        let mut batch = Batch::new(0);
        stage(&mut batch, &mut view, &activate("a", "be1!p"), 1);
        stage(&mut batch, &mut view, &activate("a", "be2!p"), 2);
        let events = batch.seal().durable(2).events;
        assert_eq!(events[0].takeover_from, None);
        assert_eq!(events[1].takeover_from, Some(at("be1!p")));
    }

    #[test]
    fn an_operator_is_obeyed() {
        let (mut view, mut batch) = (MemoryView::new(), Batch::new(0));
        stage(&mut batch, &mut view, &activate("a", "be1!p"), 1);
        let active = |location| Record { location: at(location), state: State::Active(Acl::new("x")) };
        let same = active("be1!p");
        let moved = active("be2!p");
        let reserved = Record { location: at("be2!p"), state: State::Reserved };
        for (who, record) in [Some(&same), Some(&moved), Some(&reserved), None, None].into_iter().enumerate()
        {
            let who = u32::try_from(who).expect("few");
            let Ok(()) = batch.set(&mut view, &Edit { mailbox: name("a"), record: record.cloned() }, who);
        }
        let Durable { verdicts, events } = batch.seal().durable(4);
        assert_eq!((verdicts.len(), events.len()), (6, 4));
        assert_eq!((&events[1].after, &events[2].after), (&Some(moved), &Some(reserved)));
        assert_eq!(events[3].after, None);
    }

    #[test]
    fn a_draining_server_takes_no_new_names() {
        let (mut view, mut batch) = (MemoryView::new(), Batch::new(0));
        stage(&mut batch, &mut view, &reserve("old", "be1!p"), 0);
        view.set_draining(b"be1", true);
        for action in [
            reserve("new", "be1!p"),
            reserve("new", "be10!p"),
            reserve("old", "be1!p"),
            activate("old", "be1!p"),
        ] {
            stage(&mut batch, &mut view, &action, 1);
        }
        view.set_draining(b"be1", false);
        stage(&mut batch, &mut view, &reserve("newer", "be1!p"), 1);
        let verdicts = batch.seal().durable(9).verdicts;
        let granted: Vec<bool> = verdicts.iter().map(|(_, verdict)| verdict.is_ok()).collect();
        assert_eq!(granted, [true, false, true, true, true, true]);
        assert_eq!(verdicts[1].1, Err(Refusal::Draining { said: at("be1!p") }));
    }

    #[test]
    fn what_is_held_changes_nothing() {
        let (mut view, mut batch) = (MemoryView::new(), Batch::new(0));
        stage(&mut batch, &mut view, &activate("a", "be1!p"), 1);
        let mut fuses = Fuses::new(FuseLimits { takeovers: 1, deletions: 1, ..FuseLimits::OFF });
        fuses.blow("x", Mass::Takeover);
        fuses.blow("x", Mass::Deletion);
        let roles = Roles::default();
        let speaker = Speaker { held: fuses.held("x", None, clock()), ..roles.speaker("x") };
        for (who, action) in [(2, activate("a", "be2!p")), (3, delete("a")), (4, delete("b"))] {
            let Ok(()) = batch.stage(&mut view, &action, speaker, Policy::Standard, who);
        }
        assert_eq!(batch.last_change().map(|event| event.revision), Some(1));
        let held = |mass| Refusal::Held { mass, principal: "x".into() };
        let Durable { verdicts, events } = batch.seal().durable(1);
        let expected =
            [(1, Ok(())), (2, Err(held(Mass::Takeover))), (3, Err(held(Mass::Deletion))), (4, Ok(()))];
        assert_eq!((verdicts.as_slice(), events.len()), (expected.as_slice(), 1));
        assert!(held(Mass::Takeover).is_of_the_principal());
        assert!(!Refusal::DoesNotExist.is_of_the_principal());
        let text = held(Mass::Deletion).to_string();
        assert_eq!(
            text,
            "the fuse of principal x has blown: deletions are held until an operator releases it"
        );
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn clock() -> Instant {
        Instant::now()
    }

    struct Full;
    impl View for Full {
        type Error = &'static str;
        fn get(&self, _: &MailboxName) -> Result<Option<Record>, Self::Error> {
            Ok(None)
        }
        fn put(
            &mut self,
            _: &MailboxName,
            _: &Record,
            _: Option<&Record>,
            _: Revision,
        ) -> Result<(), Self::Error> {
            Err("full")
        }
        fn remove(&mut self, _: &MailboxName, _: &Record, _: Revision) -> Result<(), Self::Error> {
            Err("full")
        }
    }

    #[test]
    fn an_aborted_batch_names_everybody() {
        let mut batch = Batch::new(0);
        assert!(batch.is_empty());
        assert_eq!(batch.stage(&mut Full, &delete("a"), Speaker::TRUSTED, Policy::Standard, 1), Ok(()));
        assert_eq!(
            batch.stage(&mut Full, &reserve("a", "be1!"), Speaker::TRUSTED, Policy::Standard, 2),
            Err("full")
        );
        assert!(!batch.is_empty());
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.seal().refused_whole(), [1, 2]);
    }

    #[test]
    #[should_panic(expected = "can only be refused")]
    fn a_batch_whose_view_failed_is_never_durable() {
        let mut batch = Batch::new(0);
        assert!(
            batch.stage(&mut Full, &reserve("a", "be1!"), Speaker::TRUSTED, Policy::Standard, ()).is_err()
        );
        let _ = batch.seal().durable(1);
    }

    #[test]
    #[should_panic(expected = "the batch made 1")]
    fn a_batch_is_not_durable_before_its_revision_is() {
        let mut batch = Batch::new(0);
        stage(&mut batch, &mut MemoryView::new(), &reserve("a", "be1!"), 1);
        let _ = batch.seal().durable(0);
    }
}
