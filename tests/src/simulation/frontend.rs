//! A frontend: its database, and how `Cyrus` brings it up to date.
//!
//! It walks what UPDATE brings beside its own database, by plain octets, whatever order the database is in; from then
//! on it does what the stream says. What comes in the same read as the OK of UPDATE stays unread until more comes.

use std::collections::BTreeMap;

use bytes::BytesMut;
use mupdate_core::directory::{Record, Revision};
use mupdate_proto::{MailboxName, ServerName, Status, Verb};

use super::{
    caller::{Caller, Heard},
    history::{History, told},
    plan::FrontendPlan,
};
use crate::world::Connection;

/// A frontend.
#[derive(Debug)]
pub struct Frontend {
    pub plan: FrontendPlan,
    /// The servers that it follows; none: all of them.
    user: String,
    servers: Vec<ServerName>,
    /// Under the keys of its own order.
    database: BTreeMap<Vec<u8>, (MailboxName, Record)>,
    pub line: Option<Line>,
}

/// A connection of a frontend.
#[derive(Debug)]
pub struct Line {
    pub connection: Connection,
    caller: Caller,
    stage: Stage,
    /// The latest revision at which each name was as the stream has told it.
    seen: BTreeMap<MailboxName, Revision>,
    /// A NOOP is open; this was the revision when it was sent.
    noop: Option<Revision>,
}

#[derive(Debug)]
enum Stage {
    Login,
    /// UPDATE was sent when the revision was this.
    Listing {
        since: Revision,
        rows: Vec<(MailboxName, Record)>,
    },
    Streaming,
}

/// What a frontend has done with what came.
#[derive(Debug, Default, Clone, Copy)]
pub struct Merged {
    /// Lists that were merged.
    pub lists: u64,
    /// Mailboxes that a merge lost although they exist.
    pub lost: u64,
}

impl Frontend {
    /// With an empty database.
    pub fn new(plan: FrontendPlan, user: String, servers: Vec<ServerName>) -> Self {
        Self { plan, user, servers, database: BTreeMap::new(), line: None }
    }

    /// Calls the server.
    pub fn call(&mut self, connection: Connection) {
        let (caller, seen) = (Caller::new(&self.user), BTreeMap::new());
        self.line = Some(Line { connection, caller, stage: Stage::Login, seen, noop: None });
    }

    /// Asks for everything that happened until now, unless it is asking already.
    pub fn noop(&mut self, now: Revision, out: &mut BytesMut) {
        if let Some(line) = &mut self.line
            && matches!(line.stage, Stage::Streaming)
            && line.noop.is_none()
        {
            line.noop = Some(now);
            line.caller.send(Verb::Noop, out);
        }
    }

    /// Octets came, in one read.
    pub fn hear(
        &mut self,
        octets: &[u8],
        history: &History,
        out: &mut BytesMut,
        merged: &mut Merged,
    ) -> Result<(), String> {
        if let Some(line) = &mut self.line {
            line.caller.hear(octets);
        }
        loop {
            let Some(line) = &mut self.line else { return Ok(()) };
            let Some(heard) = line.caller.next(out) else { return Ok(()) };
            match (&mut line.stage, heard) {
                (Stage::Login, Heard::Ready) => {
                    line.caller.send(Verb::Update { servers: self.servers.clone() }, out);
                    line.stage = Stage::Listing { since: history.revision(), rows: Vec::new() };
                }
                (Stage::Listing { since, rows }, Heard::Data(data)) => {
                    let (mailbox, record) = told(data)?;
                    let record = record.ok_or("a DELETE before the list is complete")?;
                    let seen = history
                        .when(&mailbox, *since, |state| state == Some(&record))
                        .ok_or_else(|| format!("{mailbox} is listed as {record:?}, which it was not"))?;
                    line.seen.insert(mailbox.clone(), seen);
                    rows.push((mailbox, record));
                }
                (Stage::Listing { since, rows }, Heard::Answer(Status::Ok)) => {
                    let (since, rows) = (*since, std::mem::take(rows));
                    line.stage = Stage::Streaming;
                    let listed: BTreeMap<_, _> = rows.iter().cloned().collect();
                    self.note_unlisted(&listed, since, history)?;
                    self.merge(rows);
                    merged.lists += 1;
                    let kept = |name: &&MailboxName| !self.database.contains_key(&self.key(name));
                    merged.lost += listed.keys().filter(kept).count() as u64;
                    // The rest lies in the buffer until the socket has something again.
                    return Ok(());
                }
                (Stage::Streaming, Heard::Data(data)) => {
                    let (mailbox, record) = told(data)?;
                    let since = line.seen.get(&mailbox).copied().unwrap_or_default();
                    let seen = history.when(&mailbox, since, |state| state == record.as_ref());
                    let seen = seen.ok_or_else(|| {
                        format!("{mailbox} is streamed as {record:?}, which it was not after {since}")
                    })?;
                    line.seen.insert(mailbox.clone(), seen);
                    let key = self.plan.order.key(mailbox.as_bytes());
                    match record {
                        Some(record) => self.database.insert(key, (mailbox, record)),
                        None => self.database.remove(&key),
                    };
                }
                (Stage::Streaming, Heard::Answer(Status::Ok)) => {
                    let since = line.noop.take().ok_or("an answer that nobody asked for")?;
                    self.is_current(since, history)?;
                }
                (stage, heard) => return Err(format!("a frontend heard {heard:?} while {stage:?}")),
            }
        }
    }

    /// Whoever is not in the list was not there at some moment since UPDATE was sent.
    fn note_unlisted(
        &mut self,
        listed: &BTreeMap<MailboxName, Record>,
        since: Revision,
        history: &History,
    ) -> Result<(), String> {
        for mailbox in history.names().filter(|mailbox| !listed.contains_key(*mailbox)) {
            let seen = history
                .when(mailbox, since, |state| !state.is_some_and(|record| self.follows(record)))
                .ok_or_else(|| format!("{mailbox} was there all the time, and is not listed"))?;
            if let Some(line) = &mut self.line {
                line.seen.insert(mailbox.clone(), seen);
            }
        }
        Ok(())
    }

    /// The merge: two lists, side by side, compared as octets.
    fn merge(&mut self, rows: Vec<(MailboxName, Record)>) {
        let mut own: Vec<_> = self.database.values().map(|(mailbox, _)| mailbox.clone()).rev().collect();
        for (mailbox, record) in rows {
            while let Some(first) = own.pop_if(|first| first.as_bytes() < mailbox.as_bytes()) {
                self.database.remove(&self.key(&first));
            }
            let _ = own.pop_if(|first| *first == mailbox);
            self.database.insert(self.key(&mailbox), (mailbox, record));
        }
        for mailbox in own {
            self.database.remove(&self.key(&mailbox));
        }
    }

    /// After the OK of a NOOP nothing older than the NOOP is left.
    fn is_current(&self, since: Revision, history: &History) -> Result<(), String> {
        for mailbox in history.names() {
            let known = self.database.get(&self.key(mailbox)).map(|(_, record)| record);
            let fits = |state: Option<&Record>| {
                let follows = |record: &&Record| self.follows(record);
                state.filter(follows) == known.filter(follows)
            };
            if history.when(mailbox, since, fits).is_none() {
                return Err(format!(
                    "after NOOP a frontend has {mailbox} as {known:?}, which is out of date"
                ));
            }
        }
        Ok(())
    }

    /// Does it follow the stream, with all that the server has?
    pub fn agrees(&self, history: &History) -> Result<(), String> {
        match &self.line {
            Some(Line { stage: Stage::Streaming, noop: None, .. }) => {
                self.is_current(history.revision(), history)
            }
            line => Err(format!("a frontend does not get its answers: {line:?}")),
        }
    }

    fn follows(&self, record: &Record) -> bool {
        self.servers.is_empty()
            || self.servers.iter().any(|server| server.as_bytes() == record.location.server())
    }

    fn key(&self, mailbox: &MailboxName) -> Vec<u8> {
        self.plan.order.key(mailbox.as_bytes())
    }
}
