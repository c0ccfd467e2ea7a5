//! One connection to the master, from its list to its end.

use std::{hash::RandomState, sync::mpsc, time::Instant};

use mupdate_core::{
    client::Event,
    directory::{Complete, Edit, Merging, Record, State},
    server::{Finish, Row, Scope},
};
use mupdate_proto::{Acl, Location, MailboxName, Response, Role, Status, Verb};
use tracing::{info, warn};

use super::{
    Shared,
    connection::{self, Connection},
};
use crate::{
    admin::api::Deed,
    store::{Obstacle, RowSink},
    writer::{Applied, Done, Edits, Job, Origin},
};

/// Names that are changed in one transaction at most, and octets of them. As many wait for room where there is none.
const BATCH: (usize, usize) = (2000, 4 << 20);

/// Follow the master until the connection ends; why it did.
pub(super) fn follow(shared: &Shared) -> Result<(), String> {
    let (client, banner) = connection::open(shared)?;
    if let Role::Replica(master) = banner.role
        && !shared.lock().any_role
    {
        return Err(format!("it takes no changes: it is a replica of {master} itself"));
    }
    let peer =
        client.stream().tcp().peer_addr().map_or_else(|_| shared.host.to_string(), |peer| peer.to_string());
    let origin = Origin { principal: "upstream".into(), peer: peer.into() };
    let mut follower = Follower {
        shared,
        client,
        origin,
        pending: Vec::new(),
        octets: 0,
        waiting: Vec::new(),
        forgotten: 0,
        obstacle: None,
        changed: 0,
    };
    shared.merging();
    let asked = follower.merge()?;
    follower.heard(asked);
    follower.stream()
}

struct Follower<'s> {
    shared: &'s Shared,
    client: Connection,
    origin: Origin,
    /// Heard, and not given to the writer yet.
    pending: Vec<Edit>,
    octets: usize,
    /// Given to the writer, who has no room for it: it gets it again and again.
    waiting: Vec<Edit>,
    /// So many more have not even room to wait: the whole list has to be asked for again.
    forgotten: usize,
    /// Why.
    obstacle: Option<Obstacle>,
    changed: usize,
}

impl Follower<'_> {
    /// Take the whole list over. Returns when it was asked for.
    fn merge(&mut self) -> Result<Instant, String> {
        let mut merging = Merging::new([RandomState::new(), RandomState::new()]);
        let asked = Instant::now();
        self.client.send(Verb::Update { servers: Vec::new() });
        self.client.flush().map_err(|error| error.to_string())?;
        loop {
            match self.next()? {
                Event::Data(response) => {
                    if let Some(edit) = self.edit(response, Some(&mut merging)) {
                        self.keep(edit)?;
                    }
                }
                Event::Completed { status: Status::Ok, .. } => break,
                Event::Completed { status, text, .. } => {
                    return Err(format!("UPDATE: {status} \"{}\"", text.escape_ascii()));
                }
                _ => {}
            }
        }
        self.flush()?;
        let complete = merging.complete();
        let removed = self.sweep(&complete)?;
        let (host, changed) = (&self.shared.host, self.changed);
        let (mailboxes, took) = (complete.len(), format!("{:.1}", asked.elapsed().as_secs_f64()));
        match self.missing() {
            0 => info!(%host, mailboxes, changed, removed, seconds = took, "in sync with the master"),
            missing => {
                warn!(%host, mailboxes, changed, removed, missing, "the master has more than there is room for")
            }
        }
        Ok(asked)
    }

    /// Remove what the master's list did not have. What was heard after the list is taken in later.
    fn sweep(&mut self, complete: &Complete<RandomState>) -> Result<usize, String> {
        let store = &self.shared.store;
        let unreadable = |error| format!("the directory cannot be read: {error}");
        let mut pager = store.pager(Scope::All).map_err(unreadable)?;
        let mut removed = 0;
        loop {
            let mut page = Stale { complete, names: Vec::new(), over: false };
            store.page(&mut pager, &mut page).map_err(unreadable)?;
            let Stale { names, over, .. } = page;
            if complete.is_empty() && !names.is_empty() && !self.shared.settings.accept_empty {
                return Err(
                    "it has no mailbox at all, and is not believed: set upstream.accept_empty if that is so"
                        .into(),
                );
            }
            for mailbox in names {
                self.keep(Edit { mailbox, record: None })?;
                removed += 1;
            }
            if over {
                self.flush()?;
                return Ok(removed);
            }
        }
    }

    /// Hear of changes, and ask again and again whether these are all, until the connection ends.
    fn stream(&mut self) -> Result<(), String> {
        let (noop, timeout) = (self.shared.settings.noop, self.shared.settings.timeout);
        let mut last = Instant::now();
        let mut asked = None;
        while !self.shared.is_stopped() {
            let mut answered = None;
            while let Some(event) = self.client.heard().map_err(|error| error.to_string())? {
                match event {
                    Event::Data(response) => {
                        if let Some(edit) = self.edit(response, None) {
                            self.keep(edit)?;
                        }
                    }
                    Event::Completed { status: Status::Ok, .. } => answered = asked.take(),
                    Event::Completed { status, text, .. } => {
                        return Err(format!("NOOP: {status} \"{}\"", text.escape_ascii()));
                    }
                    _ => {}
                }
            }
            self.flush()?;
            if let Some(asked) = answered {
                self.heard(asked);
            }
            if self.forgotten > 0 && self.waiting.is_empty() {
                return Err("there is room again, and the whole list is needed".into());
            }
            let now = Instant::now();
            let until = match asked {
                Some(at) if now >= at + timeout => return Err(format!("no answer to NOOP for {timeout:?}")),
                Some(at) => at + timeout,
                None if now >= last + noop => {
                    self.client.send(Verb::Noop);
                    (last, asked) = (now, Some(now));
                    now + timeout
                }
                None => last + noop,
            };
            let waiting = self.client.stream().wait_for(until.saturating_duration_since(now));
            waiting.map_err(|error| error.to_string())?;
            self.client.wait().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What the master says next, which it may not keep us waiting for.
    fn next(&mut self) -> Result<Event, String> {
        loop {
            if let Some(event) = self.client.heard().map_err(|error| error.to_string())? {
                return Ok(event);
            }
            if !self.client.wait().map_err(|error| error.to_string())? {
                return Err(format!("its list stopped for {:?}", self.shared.settings.timeout));
            }
        }
    }

    /// What a line makes of a name. A line that no legal record can be made of is left out; if it names somebody, what
    /// is known of him stays.
    fn edit(&self, response: Response, list: Option<&mut Merging<RandomState>>) -> Option<Edit> {
        let (name, record) = match response {
            Response::Mailbox { name, location, acl, .. } => {
                let acl = Acl::new(acl);
                (
                    name,
                    Location::new(location)
                        .map(|location| Some(Record { location, state: State::Active(acl) })),
                )
            }
            Response::Reserve { name, location, .. } => (
                name,
                Location::new(location).map(|location| Some(Record { location, state: State::Reserved })),
            ),
            Response::Delete { name, .. } => (name, Ok(None)),
            Response::Status { .. } | Response::GoAhead => return None,
        };
        let shown = name.clone();
        let mailbox = MailboxName::new(name);
        if let (Ok(mailbox), Some(list)) = (&mailbox, list)
            && !matches!(record, Ok(None))
        {
            list.has(mailbox);
        }
        match (mailbox, record) {
            (Ok(mailbox), Ok(record)) => Some(Edit { mailbox, record }),
            _ => {
                warn!(host = %self.shared.host, mailbox = %shown.escape_ascii(), "the master tells of what cannot be kept");
                None
            }
        }
    }

    fn keep(&mut self, edit: Edit) -> Result<(), String> {
        self.octets += edit.octets();
        self.pending.push(edit);
        if self.pending.len() >= BATCH.0 || self.octets >= BATCH.1 { self.flush() } else { Ok(()) }
    }

    /// Give the writer what has gathered and what waits for room, and wait until it is durable.
    fn flush(&mut self) -> Result<(), String> {
        if self.pending.is_empty() && self.waiting.is_empty() {
            return Ok(());
        }
        // Whoever was promoted meanwhile is told nothing any more.
        if self.shared.is_stopped() {
            return Err("stopped".into());
        }
        let (tell, told) = mpsc::channel();
        let done = Done::new(move |outcome| {
            // Nobody listens after a panic.
            let _ = tell.send(outcome);
        });
        // What is said last of a name counts.
        let mut edits = std::mem::take(&mut self.waiting);
        edits.append(&mut self.pending);
        self.octets = 0;
        let origin = self.origin.clone();
        self.shared.writer.submit(Job::Edits(Edits { edits, origin, deed: Deed::Upstream, done }));
        let applied = told.recv().unwrap_or_else(|_| Err("the writer has ended".into()))?;
        let Applied { changed, left, obstacle } = applied;
        self.changed += changed;
        self.obstacle = obstacle;
        let mut octets = 0;
        for edit in left {
            octets += edit.octets();
            if self.waiting.len() < BATCH.0 && octets < BATCH.1 {
                self.waiting.push(edit);
            } else {
                self.forgotten += 1;
            }
        }
        Ok(())
    }

    /// How many changes of the master there is no room for.
    fn missing(&self) -> usize {
        self.waiting.len() + self.forgotten
    }

    /// Everything was heard that was committed before `asked`. Was there room for all of it?
    fn heard(&self, asked: Instant) {
        match self.missing() {
            0 => self.shared.proved(asked),
            missing => self.shared.lacks(missing, self.obstacle),
        }
    }
}

/// Collects the names of a page that the master's list did not have.
struct Stale<'a> {
    complete: &'a Complete<RandomState>,
    names: Vec<MailboxName>,
    over: bool,
}

impl RowSink for &mut Stale<'_> {
    fn full(&self) -> bool {
        self.names.len() >= BATCH.0
    }

    fn row(&mut self, row: Row<'_>) {
        if self.complete.lacks(row.name) {
            // What the store gives was legal when it was put in.
            self.names.extend(MailboxName::new(bytes::Bytes::copy_from_slice(row.name)));
        }
    }

    fn gone(&mut self, _: &[u8]) {}

    fn finish(self, how: Finish) {
        self.over = how == Finish::End;
    }
}
