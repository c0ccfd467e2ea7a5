//! All that was ever durable, name by name: the ruler for what the server says to anybody.

use std::collections::BTreeMap;

use mupdate_core::directory::{Event, Record, Revision, State};
use mupdate_proto::{Acl, Location, MailboxName, Response, Status, Verb};

use super::mailboxes::subject;

/// Each name's records, each with the revision that made it. A name that is not there never existed.
#[derive(Debug, Default)]
pub struct History {
    names: BTreeMap<MailboxName, Vec<(Revision, Option<Record>)>>,
    revision: Revision,
}

impl History {
    /// Something became durable.
    pub fn add(&mut self, event: &Event) -> Result<(), String> {
        let revision = event.revision;
        if revision != self.revision + 1 {
            return Err(format!("revision {revision} follows {}", self.revision));
        }
        self.revision = revision;
        let states = self.names.entry(event.mailbox.clone()).or_insert_with(|| vec![(0, None)]);
        if states.last().is_some_and(|(_, state)| *state != event.before) {
            return Err(format!("{event:?} does not follow {states:?}"));
        }
        states.push((revision, event.after.clone()));
        Ok(())
    }

    /// The revision of the last change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Every name that ever existed.
    pub fn names(&self) -> impl Iterator<Item = &MailboxName> {
        self.names.keys()
    }

    /// What a name is now.
    pub fn now(&self, mailbox: &MailboxName) -> Option<&Record> {
        self.names.get(mailbox)?.last()?.1.as_ref()
    }

    /// The revision, from `since` on, at which a name first was as `fits` wants it. What it was at `since` counts.
    pub fn when(
        &self,
        mailbox: &MailboxName,
        since: Revision,
        fits: impl Fn(Option<&Record>) -> bool,
    ) -> Option<Revision> {
        let never = [(0, None)];
        let states = self.names.get(mailbox).map_or(&never[..], Vec::as_slice);
        let at = states.partition_point(|(revision, _)| *revision <= since).saturating_sub(1);
        let found = states[at..].iter().find(|(_, state)| fits(state.as_ref()))?;
        Some(found.0.max(since))
    }

    /// Could this be the answer to a change that was sent when `since` was the last revision? An OK means that what it
    /// asked for is durable; a NO names a reason that was there.
    pub fn explains(&self, verb: &Verb, status: Status, since: Revision) -> bool {
        let fits = |record: Option<&Record>| match (verb, status) {
            (Verb::Reserve { location, .. }, Status::Ok) => {
                record.is_some_and(|at| at.location.same_place(location))
            }
            (Verb::Reserve { location, .. }, Status::No) => {
                record.is_some_and(|at| !at.location.same_place(location))
            }
            (Verb::Activate { location, acl, .. }, Status::Ok) => record
                .is_some_and(|at| at.location.same_place(location) && at.state == State::Active(acl.clone())),
            (Verb::Deactivate { location, .. }, Status::Ok) => {
                record.is_some_and(|at| at.location.same_place(location) && at.state == State::Reserved)
            }
            (Verb::Deactivate { location, .. }, Status::No) => {
                record.is_none_or(|at| at.state == State::Reserved && !at.location.same_place(location))
            }
            (Verb::Delete { .. }, Status::Ok) => record.is_none(),
            _ => false,
        };
        subject(verb).is_some_and(|mailbox| self.when(mailbox, since, fits).is_some())
    }
    /// Could a change that was sent when `since` was the last revision be answered NO because another server than the
    /// speaker's had the mailbox?
    pub fn forbids(&self, speaker: &str, verb: &Verb, status: Status, since: Revision) -> bool {
        let fits = |record: Option<&Record>| {
            let foreign = record.filter(|at| at.location.server() != speaker.as_bytes());
            foreign.is_some_and(|at| match verb {
                Verb::Activate { .. } => at.state != State::Reserved,
                Verb::Deactivate { .. } | Verb::Delete { .. } => true,
                _ => false,
            })
        };
        status == Status::No && subject(verb).is_some_and(|mailbox| self.when(mailbox, since, fits).is_some())
    }
}

/// The mailbox of a line of data, and what the line says of it.
pub fn told(data: Response) -> Result<(MailboxName, Option<Record>), String> {
    let (name, record) = match data {
        Response::Mailbox { name, location, acl, .. } => {
            (name, Some((location, State::Active(Acl::new(acl)))))
        }
        Response::Reserve { name, location, .. } => (name, Some((location, State::Reserved))),
        Response::Delete { name, .. } => (name, None),
        other => return Err(format!("{other:?} is no data")),
    };
    let name = MailboxName::new(name).map_err(|error| error.to_string())?;
    let record = match record {
        None => None,
        Some((location, state)) => {
            let location = Location::new(location).map_err(|error| error.to_string())?;
            Some(Record { location, state })
        }
    };
    Ok((name, record))
}
