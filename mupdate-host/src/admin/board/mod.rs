//! What the status page shows, made once for all who look on.
//!
//! - However many pages are open, the state is made once a [second](EVERY) at most, and takes a small [part](SHARE) of one
//!   processor at most; who asks in between is given what there is.
//! - What it is made of is asked for in one read transaction, and under locks that are held for moments.
//! - Its length has a bound: of each list only so much is told, what matters most first, and no name is told whole that is
//!   longer than a line.

mod brief;
mod minutes;
mod takeovers;

use std::{
    cmp::Reverse,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

use self::{
    minutes::{Counts, Minutes},
    takeovers::Takeovers,
};
use super::{
    Admin,
    api::{Client, HostBrief, Refused, State, Text},
    routes, unix_ms,
};
use crate::{
    service::Service,
    store::{Census, ServerCounts, StoreError},
    sync::{Mutex, lock},
};

/// How often the state is made, at most.
pub const EVERY: Duration = Duration::from_secs(1);

/// Making it may take this part of the time.
const SHARE: u32 = 20;

/// Backends that are told of.
const HOSTS: usize = 200;

/// Pairs that are told of.
const PAIRS: usize = 50;

/// Streams that are told of.
const STREAMS: usize = 100;

/// Refusals that are told of.
const REFUSALS: usize = 20;

/// Servers that are draining, and users whose fuse has blown, that are told of by name.
const NAMED: usize = 50;

/// Octets of the disk that matter to nobody: the state does not change for less.
const DISK: u64 = 16 << 20;

/// See above.
#[derive(Debug)]
pub struct Board {
    minutes: Minutes,
    making: Mutex<Making>,
}

#[derive(Debug, Default)]
struct Making {
    takeovers: Takeovers,
    made: Option<Made>,
    /// Not before this moment is it made anew.
    due: Option<Instant>,
}

/// The state as it was made last.
#[derive(Debug, Clone)]
pub struct Made {
    /// Another state has another number.
    pub number: u64,
    /// As one line of JSON.
    pub json: Arc<[u8]>,
    /// What it says, as of no time.
    state: Arc<State>,
}

impl Default for Board {
    fn default() -> Self {
        Self { minutes: Minutes::new(Instant::now()), making: Mutex::default() }
    }
}

impl Board {
    /// When [`tick`](Self::tick) is due.
    pub fn due(&self) -> Instant {
        self.minutes.due()
    }

    /// Look at the counters, if a minute has ended.
    pub fn tick(&self, service: &Service) {
        let now = Instant::now();
        if now >= self.due() {
            self.minutes.look(now, counts(service));
        }
    }

    /// The state, no older than it has to be.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn state(&self, admin: &Admin) -> Result<Made, StoreError> {
        let mut making = lock(&self.making);
        let (begun, spent) = (Instant::now(), spent());
        if let (Some(made), Some(due)) = (&making.made, making.due)
            && begun < due
        {
            return Ok(made.clone());
        }
        let now_ms = unix_ms(SystemTime::now());
        let mut state = self.make(admin, begun, now_ms, &mut making.takeovers)?;
        let json = serde_json::to_vec(&state).expect("what the interface says has string keys");
        state.now_ms = 0;
        let made = match making.made.take() {
            Some(before) if *before.state == state => Made { json: json.into(), ..before },
            before => {
                let number = before.map_or(0, |before| before.number + 1);
                Made { number, json: json.into(), state: Arc::new(state) }
            }
        };
        making.made = Some(made.clone());
        // Time of the processor, and not of the day: where others are busy, this waits without costing anything.
        making.due = Some(begun + EVERY.max(self::spent().saturating_sub(spent) * SHARE));
        Ok(made)
    }

    fn make(
        &self,
        admin: &Admin,
        now: Instant,
        now_ms: u64,
        takeovers: &mut Takeovers,
    ) -> Result<State, StoreError> {
        let service = &admin.service;
        let census = service.store.census()?;
        let mut status = routes::status_of(admin, &census)?;
        status.disk_free = status.disk_free.map(|free| free / DISK * DISK);
        status.draining.truncate(NAMED);
        status.fuses_blown.truncate(NAMED);
        let (hosts, hosts_left_out) = hosts(service, census, now_ms);
        let (pairs, pairs_left_out) = service.pairs.worst(PAIRS);
        let (streams, streams_left_out) = streams(service, now);
        let last = service.permits.last_refusals(REFUSALS);
        Ok(State {
            now_ms,
            status,
            hosts,
            hosts_left_out,
            pairs: pairs.into_iter().map(brief::pair).collect(),
            pairs_left_out,
            streams,
            streams_left_out,
            minutes: self.minutes.told(now, now_ms, counts(service)),
            takeovers: takeovers.look(&service.store)?,
            refusals: last.into_iter().map(refused).collect(),
        })
    }
}

/// What this thread has taken of the processors so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn counts(service: &Service) -> Counts {
    let stats = service.writer.stats();
    Counts { changes: stats.changes.load(Ordering::Relaxed), refused: stats.refused.load(Ordering::Relaxed) }
}

/// Those that are told of, and how many are not.
fn hosts(service: &Service, census: Census, now_ms: u64) -> (Vec<HostBrief>, u64) {
    let (draining, heard) = (service.store.draining(), service.pairs.last_heard());
    let mut all: Vec<_> = census
        .servers
        .into_iter()
        .map(|(server, counts)| (!draining.contains(&server[..]), counts, server))
        .collect();
    all.sort_by(|(a_rests, a, a_name), (b_rests, b, b_name)| {
        let names = |counts: &ServerCounts| Reverse(counts.active + counts.reserved);
        (a_rests, names(a), a_name).cmp(&(b_rests, names(b), b_name))
    });
    let left_out = all.len().saturating_sub(HOSTS) as u64;
    let told = all.into_iter().take(HOSTS).map(|(rests, counts, server)| HostBrief {
        heard_ms: heard.get(&server[..]).map(|ago| {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            brief::second(now_ms.saturating_sub(ago))
        }),
        server: brief::text(Text::from(server)),
        active: counts.active,
        reserved: counts.reserved,
        draining: !rests,
    });
    (told.collect(), left_out)
}

/// The same of streams.
fn streams(service: &Service, now: Instant) -> (Vec<Client>, u64) {
    let look = service.feeds.look(now);
    let mut all: Vec<_> = service
        .connections
        .list()
        .into_iter()
        .filter_map(|(number, facts)| {
            let lag = facts.stream()?.lag(&look);
            Some((Reverse((lag.names > 0, lag.waited, lag.names)), number, facts))
        })
        .collect();
    all.sort_by_key(|(behind, number, _)| (*behind, *number));
    let left_out = all.len().saturating_sub(STREAMS) as u64;
    all.truncate(STREAMS);
    let told = all.iter().filter_map(|(_, number, facts)| routes::client(*number, facts, &look));
    (told.map(brief::client).collect(), left_out)
}

fn refused(refused: crate::permits::Refused) -> Refused {
    let crate::permits::Refused { at_ms, user, peer, change, reason } = refused;
    let (deed, mailbox) = change.unzip();
    Refused { at_ms, user, peer, deed, mailbox: mailbox.map(Text::from), reason }
}

#[cfg(test)]
mod tests;
