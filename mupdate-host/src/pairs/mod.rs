//! Replicated pairs, as the murder sees them: two backends that present the same server name.
//!
//! Each member tells the directory what it does, the replica a moment after its leader: what it says is so already. So the
//! writer's verdicts show who leads, how far the other lags behind, and which changes it has not had yet. The writer tells
//! after the commit, when all replies are on their way. Nothing of this outlives a restart.

mod lag;
mod said;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use mupdate_core::directory::Revision;
use mupdate_proto::{MailboxName, ServerName};

pub use lag::Lags;
pub use said::Said;
pub use table::{GIVEN_UP, News, OCTETS, OPEN, SERVERS, SPEAKERS, STEPS, Table};

use crate::admin::api::{self, Text};
use crate::clock::millis_of;
use crate::sync::{AtomicU64, Mutex, lock};
use table::{Server, Voice};

/// What the configuration says of pairs: `[pairs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairSettings {
    /// How long an echo may take.
    pub echo: Duration,
    /// The members of pairs: users, addresses, or both.
    pub members: BTreeMap<ServerName, BTreeSet<String>>,
}

impl Default for PairSettings {
    fn default() -> Self {
        Self { echo: Duration::from_secs(60), members: BTreeMap::new() }
    }
}

/// All pairs of a daemon.
#[derive(Debug)]
pub struct Pairs {
    table: Mutex<Table>,
    /// All that was answered up to this revision is in the table.
    revision: AtomicU64,
}

impl Default for Pairs {
    fn default() -> Self {
        Self::new(&PairSettings::default())
    }
}

/// What exporters of metrics want to know of a server with more than one speaker.
#[derive(Debug, Clone)]
pub struct PairFigures {
    /// The server.
    pub server: String,
    /// Who speaks for it, strangers not included.
    pub speakers: usize,
    /// How long echoes took.
    pub lags: Lags,
    /// Changes of its leader that miss their echo.
    pub missing: u64,
    /// Changes of who led before that never had their echo.
    pub left: u64,
    /// Those who speak for it and are not declared.
    pub strangers: usize,
    /// Deletions that came so late that they deleted what had been made anew.
    pub late_deletions: u64,
}

impl Pairs {
    /// With these settings, and nobody who has spoken yet.
    #[must_use]
    pub fn new(settings: &PairSettings) -> Self {
        let pairs = Self { table: Mutex::new(Table::new(settings.echo)), revision: AtomicU64::new(0) };
        pairs.declare(settings);
        pairs
    }

    /// Other settings from now on.
    pub fn declare(&self, settings: &PairSettings) {
        let octets = |name: &ServerName| Bytes::copy_from_slice(name.as_bytes());
        let members =
            settings.members.iter().map(|(name, members)| (octets(name), members.clone())).collect();
        lock(&self.table).declare(settings.echo, members);
    }

    /// These actions were carried out and answered OK.
    pub fn hear<'a>(&self, all: impl Iterator<Item = Said<'a>>, now: Instant) {
        let mut table = lock(&self.table);
        table.look(now);
        for said in all {
            if let Some(news) = table.hear(said, now) {
                tell(&news);
            }
        }
    }

    /// The writer has told all that there is to tell up to this revision.
    pub(crate) fn told_up_to(&self, revision: Revision) {
        self.revision.store(revision, Ordering::Release);
    }

    /// What was answered up to this revision is in all that is asked for after this. What changed nothing has no revision:
    /// it is in with the next change.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision.load(Ordering::Acquire)
    }

    /// Those servers for which more than one speaks, and declared pairs; or `all` servers. Sorted by name.
    #[must_use]
    pub fn list(&self, all: bool) -> Vec<api::Pair> {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let mut table = lock(&self.table);
        table.look(now);
        let seen = table.servers().filter(|(name, server)| all || is_pair(&table, name, server));
        let mut pairs: Vec<_> = seen.map(|(name, server)| shown(&table, name, server, now, clock)).collect();
        let silent = table.declared().filter(|name| table.servers().all(|(seen, _)| seen != *name));
        pairs.extend(silent.map(|name| shown(&table, name, &Server::default(), now, clock)));
        pairs.sort_by(|a, b| a.server.cmp(&b.server));
        pairs
    }

    /// Pairs, those first that want looking at, and how many there are beyond so many. Nobody waits long meanwhile: the
    /// table is let go of after each.
    #[must_use]
    pub fn worst(&self, most: usize) -> (Vec<api::Pair>, u64) {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let mut names: Vec<(bool, Bytes)> = {
            let mut table = lock(&self.table);
            table.look(now);
            let seen = table.servers().filter(|(name, server)| is_pair(&table, name, server));
            let declared = table.declared().filter(|name| table.servers().all(|(seen, _)| seen != *name));
            let seen = seen.map(|(name, server)| (is_well(&table, name, server), name.clone()));
            seen.chain(declared.map(|name| (false, name.clone()))).collect()
        };
        names.sort();
        let left_out = names.len().saturating_sub(most) as u64;
        let told = names.into_iter().take(most).map(|(_, name)| {
            let table = lock(&self.table);
            let server = table.servers().find_map(|(seen, server)| (*seen == name).then_some(server));
            shown(&table, &name, server.unwrap_or(&Server::default()), now, clock)
        });
        (told.collect(), left_out)
    }

    /// The same for exporters of metrics.
    #[must_use]
    pub fn figures(&self) -> Vec<PairFigures> {
        let mut table = lock(&self.table);
        table.look(Instant::now());
        let pairs = table.servers().filter(|(name, server)| is_pair(&table, name, server));
        let mut figures: Vec<_> = pairs
            .map(|(name, server)| PairFigures {
                server: String::from_utf8_lossy(name).into_owned(),
                speakers: server.members().count(),
                lags: server.lags.clone(),
                missing: missing_of(server),
                left: left_of(server),
                strangers: server.speakers.iter().filter(|voice| voice.stranger).count(),
                late_deletions: server.late_deletions,
            })
            .collect();
        figures.sort_by(|a, b| a.server.cmp(&b.server));
        figures
    }

    /// Some of a server's names whose changes miss their echo, the oldest first.
    #[must_use]
    pub fn missing(&self, server: &[u8], most: usize) -> Vec<MailboxName> {
        let mut table = lock(&self.table);
        table.look(Instant::now());
        table.waiting_names(server, most)
    }

    /// When somebody last spoke for each server.
    #[must_use]
    pub fn last_heard(&self) -> BTreeMap<Bytes, Duration> {
        let now = Instant::now();
        let table = lock(&self.table);
        let last = |server: &Server| server.speakers.iter().map(|voice| voice.last).max();
        let ago = |at| now.saturating_duration_since(at);
        table.servers().filter_map(|(name, server)| Some((name.clone(), ago(last(server)?)))).collect()
    }
}

fn tell(news: &News) {
    let text = |octets: &Bytes| String::from_utf8_lossy(octets).into_owned();
    match news {
        News::Lead { server, now: (user, address), before: (led, at), open } => {
            tracing::warn!(
                server = text(server),
                user,
                address,
                before = led,
                before_address = at,
                unechoed = open,
                "another member of a pair leads now"
            );
        }
        News::Stranger { server, speaker: (user, address) } => {
            tracing::warn!(
                server = text(server),
                user,
                address,
                "somebody speaks for a pair who is not declared in [pairs]"
            );
        }
    }
}

fn is_pair(table: &Table, name: &Bytes, server: &Server) -> bool {
    server.speakers.len() > 1 || table.members(name).is_some()
}

/// Nothing of this pair wants looking at.
fn is_well(table: &Table, name: &Bytes, server: &Server) -> bool {
    let (declared, strangers) = (table.members(name), server.speakers.iter().any(|voice| voice.stranger));
    let silent = declared.is_some_and(|declared| server.silent(declared).next().is_some());
    let blind = declared.is_some() && server.members().count() < 2;
    missing_of(server) == 0 && left_of(server) == 0 && !strangers && !silent && !blind
}

fn missing_of(server: &Server) -> u64 {
    server.leader.map_or(0, |at| server.speakers[at].missing.len() as u64) + server.unfollowed
}

fn left_of(server: &Server) -> u64 {
    let others = server.speakers.iter().enumerate().filter(|(at, _)| server.leader != Some(*at));
    others.map(|(_, voice)| voice.open).sum()
}

fn shown(table: &Table, name: &Bytes, server: &Server, now: Instant, clock: SystemTime) -> api::Pair {
    let wall = |at: Instant| millis_of(clock.checked_sub(now.saturating_duration_since(at)).unwrap_or(clock));
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let speaker = |(at, voice): (usize, &Voice)| api::Speaker {
        user: voice.user.clone(),
        address: voice.address.clone(),
        leads: server.leader == Some(at),
        changes: voice.changes,
        echoes: voice.echoes,
        last_ms: wall(voice.last),
        stranger: voice.stranger,
    };
    let mut speakers: Vec<_> = server.speakers.iter().enumerate().map(speaker).collect();
    speakers.sort_by_key(|speaker| (!speaker.leads, speaker.stranger, std::cmp::Reverse(speaker.last_ms)));
    let lags = &server.lags;
    let declared = table.members(name);
    let silent: Vec<_> = declared.iter().flat_map(|declared| server.silent(declared)).cloned().collect();
    let oldest = server.leader.and_then(|at| table.oldest_missing(&server.speakers[at]));
    api::Pair {
        server: Text::from(&name[..]),
        speakers,
        lead_changed_ms: server.lead_changed.map(wall),
        lag: (lags.count() > 0).then(|| api::Lag {
            count: lags.count(),
            p50_ms: millis(lags.within(50)),
            p99_ms: millis(lags.within(99)),
            max_ms: millis(lags.longest()),
            last_ms: millis(lags.last()),
            steps: lags.steps().map(|(end, count)| (end.map(millis), count)).collect(),
        }),
        missing: missing_of(server),
        oldest_missing_ms: oldest.map(|at| millis(now.saturating_duration_since(at))),
        left: left_of(server),
        late_deletions: server.late_deletions,
        waiting: table.waiting_names(name, SHOWN).iter().map(|name| Text::from(name.as_bytes())).collect(),
        declared: declared.is_some(),
        blind: declared.is_some() && silent.is_empty() && server.members().count() < 2,
        silent,
    }
}

/// Names of open changes that are shown.
const SHOWN: usize = 10;
