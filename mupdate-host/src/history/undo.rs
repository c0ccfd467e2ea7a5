//! Finds what has to be done to bring names back to what they were, from the journal alone.
//!
//! The plan is a function of the journal up to one revision: made again for the same revision, it is the same.

use std::collections::BTreeMap;

use mupdate_core::directory::{Record, Revision};
use mupdate_proto::MailboxName;

use crate::admin::api::UndoRequest;
use crate::store::journal::Entry;
use crate::store::{Store, StoreError};

/// Octets that a plan and what it is found from may take.
const OCTETS: usize = 256 << 20;

/// What a record takes, beside its ACL.
const RECORD: usize = 256;

/// Entries that are read in one transaction.
const STEP: usize = 2048;

/// A name, what it is, and what it is to be.
pub type Change = (MailboxName, Option<Record>, Option<Record>);

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The revision of the directory that it was made for.
    pub planned_at: Revision,
    /// What becomes of which names, sorted.
    pub changes: Vec<Change>,
    /// Names that are left alone, and why.
    pub left: Vec<(MailboxName, String)>,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanError {
    /// It cannot be made: the operator is told why.
    Refused(String),
    /// The store cannot be read.
    Store(StoreError),
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn refused<T>(text: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError::Refused(text.into()))
}

/// What the journal has told of a name so far, from the end on.
#[derive(Debug)]
struct Story {
    now: Option<Record>,
    /// `None` until a change is met that is to be undone.
    then: Option<Option<Record>>,
    /// Somebody else has changed it, later than what is to be undone.
    others_later: bool,
    /// And before that: that is not ours to undo.
    over: bool,
    cut: bool,
}

/// Make a plan.
///
/// # Errors
/// See [`PlanError`].
pub fn plan(store: &Store, request: &UndoRequest) -> Result<Plan, PlanError> {
    let Some(from) = store.journal_from()? else {
        return refused("no journal is kept (store.journal is 0)");
    };
    let revision = store.revision()?;
    let planned_at = request.planned_at.unwrap_or(revision);
    if planned_at > revision {
        return refused(format!("planned_at is {planned_at}, and the directory is at revision {revision}"));
    }
    match (request.to_revision, request.to_ms) {
        (None, None) | (Some(_), Some(_)) => return refused("say either to_revision or to_ms"),
        (Some(to), None) if to > planned_at => {
            return refused(format!("revision {to} is not there yet: the directory is at {planned_at}"));
        }
        (Some(to), None) if to < from => return refused(too_far(from)),
        _ => {}
    }
    let mut stories: BTreeMap<MailboxName, Story> = BTreeMap::new();
    let (mut before, mut octets, mut reached) = (Some(planned_at + 1), 0, false);
    while let Some(at) = before.filter(|_| !reached && octets < OCTETS) {
        before = store.journal_back(Some(at), STEP, |entry| {
            reached = request.to_revision.is_some_and(|to| entry.revision <= to)
                || request.to_ms.is_some_and(|to| entry.at_ms <= to);
            if !reached
                && request.mailbox.as_ref().is_none_or(|name| name.as_bytes() == entry.mailbox.as_bytes())
            {
                octets += tell(&mut stories, entry, request.user.as_deref());
            }
            !reached
        })?;
    }
    if octets >= OCTETS {
        return refused("that is too much at once: go back less far, or name a mailbox");
    }
    // The oldest may have been forgotten meanwhile.
    let from = store.journal_from()?.unwrap_or(revision);
    let whole = request.to_revision.is_some_and(|to| to >= from)
        || (request.to_ms.is_some() && (reached || from == 0));
    if !whole {
        return refused(too_far(from));
    }
    let mut plan = Plan { planned_at, ..Plan::default() };
    let server = request.server.as_ref().map(|server| server.as_bytes());
    let is_there = |record: &Option<Record>| {
        server.is_none_or(|server| record.as_ref().is_some_and(|record| record.location.server() == server))
    };
    for (mailbox, story) in stories {
        let Story { now, then: Some(then), others_later, cut, .. } = story else { continue };
        // What is as it was needs nothing, whoever has seen to that; what was cut shows no difference.
        if !(is_there(&now) || is_there(&then)) || (now == then && !cut) {
            continue;
        }
        if others_later {
            plan.left.push((mailbox, "somebody else has changed it since".to_owned()));
        } else if cut {
            plan.left.push((mailbox, "its location or ACL was too long to be kept".to_owned()));
        } else {
            plan.changes.push((mailbox, now, then));
        }
    }
    Ok(plan)
}

fn too_far(from: Revision) -> String {
    format!("the journal does not go back that far: it has what came after revision {from} (store.journal)")
}

/// Take in one entry more, going back. Returns how much that costs.
fn tell(stories: &mut BTreeMap<MailboxName, Story>, entry: Entry, user: Option<&str>) -> usize {
    let Entry { user: who, mailbox, before, after, cut, .. } = entry;
    let ours = user.is_none_or(|user| user == who);
    let size = |record: &Option<Record>| {
        let acl = record.as_ref().map(|record| match &record.state {
            mupdate_core::directory::State::Active(acl) => acl.as_bytes().len(),
            mupdate_core::directory::State::Reserved => 0,
        });
        RECORD + acl.unwrap_or_default()
    };
    let cost = size(&before) + size(&after) + mailbox.as_bytes().len();
    let story = stories.entry(mailbox).or_insert(Story {
        now: after,
        then: None,
        others_later: false,
        over: false,
        cut: false,
    });
    match (&story.then, ours) {
        (None, false) => story.others_later = true,
        (Some(_), false) => story.over = true,
        (_, true) if story.over => {}
        (_, true) => {
            story.then = Some(before);
            story.cut |= cut;
        }
    }
    cost
}
