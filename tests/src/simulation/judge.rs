//! Whether what became durable may have, and whom it hits.

use mupdate_core::directory::{Event, Record, State};

use super::{
    backend::Group,
    run::{Call, Kind, Run},
};
use crate::world::Connection;

impl Run<'_> {
    /// The writer has committed: what that did, and whether it may have.
    pub(super) fn note_commit(&mut self) -> Result<(), String> {
        self.figures.denied += self.world.denials();
        let changes: Vec<(Event, Connection)> =
            self.world.unpublished().map(|(event, cause)| (event.clone(), cause)).collect();
        for (event, cause) in changes {
            self.figures.changes += 1;
            self.tell(|| format!("    durable: {event:?}"));
            self.history.add(&event)?;
            self.judge(&event, cause)?;
        }
        Ok(())
    }

    /// Was it right that this happened, and whom does it hit?
    fn judge(&mut self, event: &Event, cause: Connection) -> Result<(), String> {
        let Some(&Call { group: speaker, member, kind }) = self.calls.get(&cause) else {
            return Err(format!("{event:?} comes from nobody"));
        };
        let errand = &self.groups[speaker].members[member].errand;
        let alive = errand.as_ref().is_some_and(|errand| errand.connection == cause);
        if !alive {
            self.figures.late_words += 1;
            self.groups[speaker].clean = false;
            // A transfer that its source gave up long ago.
            let at = event.after.as_ref().map(|record| record.location.server());
            for group in self.groups.iter_mut().filter(|group| Some(group.server.as_bytes()) == at) {
                group.clean = false;
            }
        }
        for number in 0..self.groups.len() {
            let group = &self.groups[number];
            if number != speaker && self.principals.fenced() && hits(event, group) {
                return Err(format!("be{speaker} took what be{number} had: {event:?}"));
            }
            if number != speaker && (hits(event, group) || usurps(event, group)) {
                if kind == Kind::Own && group.leaving.contains(&event.mailbox) {
                    continue;
                }
                self.figures.foreign += 1;
                self.groups[speaker].clean = false;
                self.groups[number].clean = false;
            } else if number == speaker && hits(event, group) && alive && member != group.leader {
                match kind {
                    Kind::Echo if event.after.is_none() => self.figures.late_deletions += 1,
                    Kind::Push if event.after.is_none() => self.figures.late_pushes += 1,
                    _ => return Err(format!("a replica took a mailbox from its users: {event:?}")),
                }
            }
        }
        Ok(())
    }
}

/// Does this take away from its users a mailbox that a group's leader holds?
fn hits(event: &Event, group: &Group) -> bool {
    let ours = |record: &Option<Record>| {
        let record = record.as_ref().filter(|record| matches!(record.state, State::Active(_)));
        record.is_some_and(|record| record.location.server() == group.server.as_bytes())
    };
    ours(&event.before) && !ours(&event.after) && group.holds(&event.mailbox)
}

/// Does this give a name to somebody while a group's leader holds the mailbox?
fn usurps(event: &Event, group: &Group) -> bool {
    let elsewhere = |record: &Record| record.location.server() != group.server.as_bytes();
    event.after.as_ref().is_some_and(elsewhere) && group.holds(&event.mailbox)
}
