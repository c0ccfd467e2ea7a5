//! The mirror in memory: what the store of the daemons keeps, in maps.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    ops::Bound,
};

use mupdate_core::{
    directory::{
        Feed, Filter, MemoryView, Order, Record, Revision, Selection, State, View, at_risk, can_be_at_risk,
        domain_of, v36_key,
    },
    server::{Finish, Row, Rows, Scope},
};
use mupdate_proto::{MailboxName, ServerName};

/// Names of a page in an order that the keys are not in.
const PAGE: usize = 64;

/// All that outlives a connection.
#[derive(Debug, Default)]
pub struct Directory {
    view: MemoryView,
    /// Every name under its v36 key.
    keys: BTreeMap<Vec<u8>, MailboxName>,
    tombstones: BTreeMap<Revision, MailboxName>,
    learned: BTreeMap<ServerName, Order>,
    synced: BTreeMap<String, Revision>,
    /// What is here came from a master that was followed, once.
    followed: bool,
    /// What is known and would not outlive a crash.
    memos: Memos,
}

/// What is not worth a commit of its own, and goes along with the next.
#[derive(Debug, Default)]
struct Memos {
    learned: BTreeMap<ServerName, Order>,
    synced: BTreeMap<String, Revision>,
}

impl Directory {
    /// The records.
    pub fn records(&self) -> &BTreeMap<MailboxName, Record> {
        self.view.records()
    }

    /// How many names a server has.
    pub fn names_at(&self, server: &[u8]) -> u64 {
        self.records().values().filter(|record| record.location.server() == server).map(|_| 1).sum()
    }

    /// The revision of the last change.
    pub fn revision(&self) -> Revision {
        self.view.revision()
    }

    /// The order that a server was seen to keep its mailboxes in. It counts at once.
    pub fn learned(&self, server: &ServerName) -> Option<Order> {
        self.memos.learned.get(server).or_else(|| self.learned.get(server)).copied()
    }

    /// Remember a server's order.
    pub fn set_learned(&mut self, server: ServerName, order: Order) {
        self.memos.learned.insert(server, order);
    }

    /// The revision up to which a client had everything when it was last heard of. It counts when it is written.
    pub fn synced(&self, client: &str) -> Option<Revision> {
        self.synced.get(client).copied()
    }

    /// Remember that a client has everything up to a revision.
    pub fn set_synced(&mut self, client: String, revision: Revision) {
        self.memos.synced.insert(client, revision);
    }

    /// Is there something to be written that no commit has taken along yet?
    pub fn has_memos(&self) -> bool {
        !self.memos.learned.is_empty() || !self.memos.synced.is_empty()
    }

    /// A commit takes along what waits for one.
    pub fn write_memos(&mut self) {
        let Memos { learned, synced } = std::mem::take(&mut self.memos);
        self.learned.extend(learned);
        self.synced.extend(synced);
    }

    /// What was not written is lost.
    pub fn forget_memos(&mut self) {
        self.memos = Memos::default();
    }

    /// What is here comes from a master that is followed.
    pub fn set_followed(&mut self) {
        self.followed = true;
    }

    /// Have a server take no new names.
    pub fn set_draining(&mut self, server: &str) {
        self.view.set_draining(server.as_bytes(), true);
    }

    fn record(&self, mailbox: &MailboxName) -> Option<Record> {
        let Ok(record) = self.view.get(mailbox);
        record
    }

    /// FIND.
    pub fn find(&self, mailbox: &MailboxName, mut rows: Rows<'_>) {
        if let Some(record) = self.record(mailbox) {
            rows.row(row(mailbox, &record));
        }
        rows.finish(Finish::End);
    }

    /// One page of LIST or of a dump.
    pub fn page(&self, walk: &mut Walk, mut rows: Rows<'_>) {
        while !rows.full() {
            let names = self.names_after(walk);
            if names.is_empty() {
                return rows.finish(Finish::End);
            }
            for name in names {
                if rows.full() {
                    break;
                }
                if let Some(record) = self.record(&name)
                    && walk.covers(&record)
                {
                    rows.row(row(&name, &record));
                }
                walk.after = Some(name);
            }
        }
        rows.finish(Finish::More);
    }

    /// The next names of a walk; none at its end.
    fn names_after(&self, walk: &Walk) -> Vec<MailboxName> {
        let after = walk.after.as_ref();
        if walk.order == Order::V36 {
            let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(key(name)));
            return self
                .keys
                .range((from, Bound::Unbounded))
                .take(PAGE)
                .map(|(_, name)| name.clone())
                .collect();
        }
        let mut selection = Selection::new(walk.order, after.map(MailboxName::as_bytes), PAGE * 80);
        for (name, record) in self.records() {
            if walk.covers(record) {
                selection.offer(name.as_bytes());
            }
        }
        let legal = |name| MailboxName::new(name).expect("it was one");
        selection.into_sorted().map(legal).collect()
    }

    /// What a feed holds, each name at its latest state.
    pub fn drain(&self, feed: &mut Feed, published: Revision, mut rows: Rows<'_>) {
        while !rows.full() {
            let Some(mailbox) = feed.pop() else { break };
            match self.record(&mailbox) {
                Some(record) => rows.row(row(&mailbox, &record)),
                None => rows.gone(mailbox.as_bytes()),
            }
        }
        let (position, more) = (feed.popped(), !feed.is_empty());
        rows.finish(Finish::Drained { position, more, revision: published });
    }

    /// Put into a feed what its subscriber's merge can have lost, if it was last in sync at `since`.
    pub fn reannounce(&self, since: Option<Revision>, feed: &mut Feed) {
        let deleted = self.tombstones.range((Bound::Excluded(since.unwrap_or(0)), Bound::Unbounded));
        let domains = self.records().keys().filter_map(|name| domain_of(name.as_bytes()));
        let deleted: BTreeSet<_> = deleted.map(|(_, name)| name.as_bytes()).chain(domains).collect();
        let filter = feed.filter().clone();
        for name in self.keys.values() {
            let wanted =
                self.record(name).is_some_and(|record| filter.wants_server(record.location.server()));
            let risky = match filter {
                // It may have names from there that were never here.
                Filter::All if since.is_none() && self.followed => can_be_at_risk(name.as_bytes()),
                Filter::All => deleted.iter().any(|deleted| at_risk(deleted, name.as_bytes())),
                Filter::Servers(_) => can_be_at_risk(name.as_bytes()),
            };
            if wanted && risky {
                feed.touch(name.clone());
            }
        }
    }
}

impl View for Directory {
    type Error = Infallible;

    fn get(&self, mailbox: &MailboxName) -> Result<Option<Record>, Infallible> {
        self.view.get(mailbox)
    }

    fn is_draining(&self, server: &[u8]) -> Result<bool, Infallible> {
        self.view.is_draining(server)
    }

    fn put(
        &mut self,
        mailbox: &MailboxName,
        record: &Record,
        before: Option<&Record>,
        revision: Revision,
    ) -> Result<(), Infallible> {
        self.keys.insert(key(mailbox), mailbox.clone());
        self.view.put(mailbox, record, before, revision)
    }

    fn remove(
        &mut self,
        mailbox: &MailboxName,
        before: &Record,
        revision: Revision,
    ) -> Result<(), Infallible> {
        self.keys.remove(&key(mailbox));
        self.tombstones.insert(revision, mailbox.clone());
        self.view.remove(mailbox, before, revision)
    }
}

/// Where a LIST or a dump has come to.
#[derive(Debug)]
pub struct Walk {
    scope: Scope,
    order: Order,
    after: Option<MailboxName>,
}

impl Walk {
    /// From the beginning.
    pub fn new(scope: Scope, order: Order) -> Self {
        Self { scope, order, after: None }
    }

    fn covers(&self, record: &Record) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Prefix(prefix) => record.location.as_bytes().starts_with(prefix),
            Scope::Servers(servers) => {
                Filter::Servers(servers.clone()).wants_server(record.location.server())
            }
        }
    }
}

fn key(mailbox: &MailboxName) -> Vec<u8> {
    let mut key = Vec::new();
    v36_key(mailbox.as_bytes(), &mut key);
    key
}

fn row<'a>(mailbox: &'a MailboxName, record: &'a Record) -> Row<'a> {
    let acl = match &record.state {
        State::Active(acl) => Some(acl.as_bytes()),
        State::Reserved => None,
    };
    Row { name: mailbox.as_bytes(), location: record.location.as_bytes(), acl }
}
