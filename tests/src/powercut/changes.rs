//! Changes drawn from a seed, and the directory that they make: what a store has to hold afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;
use mupdate_core::directory::{Record, State, View};
use mupdate_host::store::{CommitError, Entries, Store, StoreOptions};
use mupdate_proto::{Acl, Location, MailboxName, ServerName};

/// Names that there are.
const NAMES: u32 = 120;

/// Servers, each with a few partitions.
const SERVERS: u32 = 4;

/// Clients whose revisions are remembered.
const CLIENTS: u32 = 3;

/// What the number of an attempt is remembered under.
const WORD: &str = "attempt";

/// Changes that are compared with the store's journal.
const RECENT: usize = 20;

/// How the stores are opened: small, as each of them is written to the disk thousands of times.
pub fn options() -> StoreOptions {
    StoreOptions {
        map_size: 8 << 20,
        max_readers: 16,
        tombstones: 40,
        journal: 60,
        ..StoreOptions::default()
    }
}

/// A name, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    location: String,
    /// `None`: it is reserved.
    acl: Option<String>,
    revision: u64,
}

/// Everything that a store holds, as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Of the last change.
    pub revision: u64,
    mailboxes: BTreeMap<String, Mailbox>,
    word: Option<String>,
    clients: BTreeMap<u32, u64>,
    /// The last changes.
    recent: VecDeque<(u64, String)>,
}

/// A change of a name.
#[derive(Debug, Clone)]
struct Change {
    name: String,
    /// Where it is then, and its ACL; `None`: it is deleted.
    to: Option<(String, Option<String>)>,
}

/// What goes into one commit.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number.
    pub attempt: u64,
    changes: Vec<Change>,
    client: u32,
}

/// Commits without end, the same ones for the same seed and what came of them.
#[derive(Debug)]
pub struct Changes {
    rng: Rng,
    seed: u64,
    attempt: u64,
}

impl Changes {
    /// Those of this seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), seed, attempt: 0 }
    }

    /// The next one, on top of this directory.
    pub fn next(&mut self, directory: &Directory) -> Batch {
        self.attempt += 1;
        let rng = &mut self.rng;
        // Most are small, some are as large as a record of the log can be, or larger.
        let (many, long) = match rng.u8(..100) {
            0..90 => (rng.usize(1..=6), 60),
            90..96 => (rng.usize(10..=40), 400),
            96..99 => (rng.usize(1..=20), 3000),
            _ => (rng.usize(60..=100), 4000),
        };
        let names: BTreeSet<u32> = (0..many).map(|_| rng.u32(..NAMES)).collect();
        let mut changes = Vec::new();
        for name in names {
            let name = format!("user.{name:03}");
            let is_there = directory.mailboxes.contains_key(&name);
            let to = (!is_there || rng.u8(..100) < 65).then(|| {
                let location = format!("be{}!p{}", rng.u32(..SERVERS), rng.u32(..3));
                let acl = (rng.u8(..100) < 85)
                    .then(|| format!("{:x}.{} {}", self.seed, self.attempt, "x".repeat(rng.usize(..long))));
                (location, acl)
            });
            changes.push(Change { name, to });
        }
        Batch { attempt: self.attempt, changes, client: rng.u32(..CLIENTS) }
    }
}

impl Batch {
    /// Puts it into a store.
    ///
    /// # Errors
    /// The store does not take it.
    ///
    /// # Panics
    /// The store does not hold what it was drawn for.
    pub fn commit(&self, store: &Store) -> Result<(), CommitError> {
        let mut txn = store.begin()?;
        for Change { name, to } in &self.changes {
            let name = MailboxName::new(name.clone()).expect("legal");
            let before = txn.get(&name)?;
            let revision = txn.revision() + 1;
            match to {
                Some((location, acl)) => {
                    let location = Location::new(location.clone()).expect("legal");
                    let state = acl.clone().map_or(State::Reserved, |acl| State::Active(Acl::new(acl)));
                    txn.put(&name, &Record { location, state }, before.as_ref(), revision)?;
                }
                None => txn.remove(&name, before.as_ref().expect("it was there"), revision)?,
            }
        }
        txn.set_client(client(self.client).as_bytes(), txn.revision())?;
        txn.remember(WORD, Some(&self.attempt.to_string()))?;
        txn.commit().map(drop)
    }
}

impl Directory {
    /// What it is after a commit.
    pub fn after(&self, batch: &Batch) -> Self {
        let mut next = self.clone();
        for Change { name, to } in &batch.changes {
            next.revision += 1;
            match to {
                Some((location, acl)) => {
                    let mailbox =
                        Mailbox { location: location.clone(), acl: acl.clone(), revision: next.revision };
                    next.mailboxes.insert(name.clone(), mailbox);
                }
                None => drop(next.mailboxes.remove(name)),
            }
            next.recent.push_back((next.revision, name.clone()));
        }
        next.recent.drain(..next.recent.len().saturating_sub(RECENT));
        next.clients.insert(batch.client, next.revision);
        next.word = Some(batch.attempt.to_string());
        next
    }

    /// What a store holds, by each of the ways in which it can be asked.
    ///
    /// # Errors
    /// They contradict each other, or it cannot be read.
    pub fn read(store: &Store) -> Result<Self, String> {
        let text = |error: mupdate_host::store::StoreError| error.to_string();
        let revision = store.revision().map_err(text)?;
        let mailboxes = walk(store, None)?;
        for server in 0..SERVERS {
            let name = format!("be{server}");
            let there = walk(store, Some(ServerName::new(name.clone()).expect("legal")))?;
            let expected = mailboxes.iter().filter(|(_, at)| at.location.starts_with(&format!("{name}!")));
            if !there.iter().eq(expected) {
                return Err(format!("what is at {name} is not what is said to be there"));
            }
        }
        let counts = store.census().map_err(text)?.all();
        let active = mailboxes.values().filter(|mailbox| mailbox.acl.is_some()).count() as u64;
        if (counts.active, counts.active + counts.reserved) != (active, mailboxes.len() as u64) {
            return Err(format!("{counts:?}, but {active} are active of {}", mailboxes.len()));
        }
        let mut clients = BTreeMap::new();
        for number in 0..CLIENTS {
            if let Some(synced) = store.client_synced(client(number).as_bytes()).map_err(text)? {
                clients.insert(number, synced);
            }
        }
        let mut recent = VecDeque::new();
        // That of a store of the first format begins when it is taken over.
        let begun = store.journal_from().map_err(text)?.ok_or("there is no journal")?;
        let from = begun.max(revision.saturating_sub(RECENT as u64));
        for revision in from + 1..=revision {
            let entry = store.journal_entry(revision).map_err(text)?;
            let entry = entry.ok_or_else(|| format!("the journal has no {revision}"))?;
            recent.push_back((revision, String::from_utf8_lossy(entry.mailbox.as_bytes()).into_owned()));
        }
        let word = store.remembered(WORD).map_err(text)?;
        Ok(Self { revision, mailboxes, word, clients, recent })
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// Is there no name?
    pub fn is_empty(&self) -> bool {
        self.mailboxes.is_empty()
    }

    /// In a few words, for whoever looks for a mistake.
    pub fn summary(&self) -> String {
        format!("revision {}, attempt {:?}, {} names", self.revision, self.word, self.len())
    }
}

fn client(number: u32) -> String {
    format!("client{number}")
}

fn walk(store: &Store, server: Option<ServerName>) -> Result<BTreeMap<String, Mailbox>, String> {
    let mut entries = Entries::new(server, None);
    let mut mailboxes = BTreeMap::new();
    let text = |octets: Vec<u8>| String::from_utf8(octets).map_err(|error| error.to_string());
    while !entries.is_over() {
        let page = store.next_entries(&mut entries, 1000, |_, _| true).map_err(|error| error.to_string())?;
        for entry in page {
            let acl = entry.acl.map(text).transpose()?;
            let mailbox = Mailbox { location: text(entry.location)?, acl, revision: entry.revision };
            mailboxes.insert(text(entry.name)?, mailbox);
        }
    }
    Ok(mailboxes)
}
