//! A replica's side of its master: follows the master's UPDATE stream into the store.
//!
//! One thread of its own, with a blocking socket: nothing that serves mail waits for it, and a master that hangs costs a
//! timeout. What it hears goes through the writer as [edits](crate::writer::Job::Edits), many in one transaction, so that
//! revisions, counts, tombstones and feeds are those of any other change.
//!
//! - Each connection begins with the master's whole list, which is [merged](mupdate_core::directory::merge): what is so already
//!   is no change, and what the master does not have goes only when it has said that its list is complete.
//! - NOOP is asked for again and again. Its answer proves that everything has come that was committed before it was
//!   asked: that is the lag that is told.
//! - What there is no room for waits, or is asked for again when there is room; deletions are carried out meanwhile. A replica
//!   that lacks something says so, proves nothing, and is not promoted.
//! - A replica follows a master. One that says that it is a replica itself is not followed: two that were to follow each
//!   other would be in sync for ever, with nobody to decide.

mod connection;
mod follow;
mod socket;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mupdate_proto::Role;
use tracing::{debug, info, warn};

use crate::{
    admin::api,
    config::{UpstreamHost, UpstreamSettings},
    store::{FOLLOWED, Obstacle, Store},
    writer::{Done, Job, Remember, Writer},
};

/// How long the end of the thread is waited for. It may be asking a name server, which nothing interrupts.
const END: Duration = Duration::from_secs(5);

/// How long a promotion waits for the last changes of a master that takes no more.
const CATCH_UP: Duration = Duration::from_secs(20);

/// The master that this daemon follows, or would follow if it were demoted. Nothing happens before [`start`](Self::start).
#[derive(Debug)]
pub struct Upstream {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread shares with those who ask.
#[derive(Debug)]
struct Shared {
    settings: UpstreamSettings,
    host: UpstreamHost,
    store: Store,
    writer: Arc<Writer>,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    /// There is a thread.
    running: bool,
    /// It is to end.
    stop: bool,
    /// A master that takes no changes any more is followed too: its last changes are wanted.
    any_role: bool,
    /// Connect now, and do not wait.
    nudged: bool,
    /// To break off what it waits for.
    socket: Option<TcpStream>,
    state: api::UpstreamState,
    since: SystemTime,
    /// Everything has come that was committed before this.
    proof: Option<Instant>,
    /// Everything has come, once: this is a copy of something.
    synced: bool,
    /// So much of what has come there was no room for.
    missing: usize,
    last_error: Option<String>,
}

impl Upstream {
    /// That of these settings; `None` where they name none.
    pub fn new(settings: &UpstreamSettings, store: &Store, writer: &Arc<Writer>) -> Option<Self> {
        let host = settings.host.clone()?;
        // What cannot be read will be said by whoever has to. Another master than then may have other mailboxes.
        let synced = store.remembered(FOLLOWED).is_ok_and(|word| word == Some(host.to_string()));
        let inner = Inner {
            running: false,
            stop: false,
            any_role: false,
            nudged: false,
            socket: None,
            state: api::UpstreamState::Away,
            since: SystemTime::now(),
            proof: None,
            synced,
            missing: 0,
            last_error: None,
        };
        let shared = Shared {
            settings: settings.clone(),
            host,
            store: store.clone(),
            writer: Arc::clone(writer),
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        };
        Some(Self { shared: Arc::new(shared), thread: Mutex::default() })
    }

    /// What the banner of a replica says of this master.
    pub fn url(&self) -> String {
        self.shared.host.url()
    }

    /// Follow it from now on, in the background.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(&self) -> io::Result<()> {
        {
            let mut inner = self.shared.lock();
            (inner.stop, inner.any_role, inner.proof) = (false, false, None);
            // It may hang still since it was told to end: then it goes on where it is.
            if std::mem::replace(&mut inner.running, true) {
                return Ok(());
            }
            inner.set_state(api::UpstreamState::Away);
        }
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name("upstream".into()).spawn(move || shared.run());
        match spawned {
            Ok(thread) => {
                *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
                Ok(())
            }
            Err(error) => {
                self.shared.lock().running = false;
                Err(error)
            }
        }
    }

    /// Follow it no longer. Returns when the thread has ended, or when it hangs in what cannot be broken off; it changes
    /// nothing any more then.
    pub fn stop(&self) {
        let mut inner = self.shared.lock();
        inner.stop = true;
        inner.break_off();
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(inner, END, |inner| inner.running);
        let running = waited.unwrap_or_else(PoisonError::into_inner).0.running;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|_| !running) {
            // Nothing of it is left then, the store least of all.
            let _ = thread.join();
        }
    }

    /// This daemon was the master itself until now, and has everything.
    pub(crate) fn was_the_master(&self) {
        let mut inner = self.shared.lock();
        (inner.synced, inner.missing) = (true, 0);
        drop(inner);
        self.shared.remember_synced(true);
    }

    /// Everything has come from the master, once, now or before a restart.
    pub fn has_everything(&self) -> bool {
        self.shared.lock().synced
    }

    /// How it is.
    pub fn status(&self) -> api::Upstream {
        let inner = self.shared.lock();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        api::Upstream {
            host: self.shared.host.to_string(),
            state: inner.state,
            since_ms: millis(inner.since.duration_since(UNIX_EPOCH).unwrap_or_default()),
            lag_ms: inner.proof.map(|at| millis(at.elapsed())),
            missing: inner.missing as u64,
            last_error: inner.last_error.clone(),
        }
    }

    /// May this replica become the master? Not if it has never had everything, or has no room for it, if the master still is one, or if it does
    /// not get what that has left for it.
    ///
    /// # Errors
    /// Why not, in one line.
    pub fn may_be_replaced(&self) -> Result<(), String> {
        let host = &self.shared.host;
        let (synced, missing) = {
            let inner = self.shared.lock();
            (inner.synced, inner.missing)
        };
        if missing > 0 {
            return Err(format!("{missing} changes of {host} are missing here: there was no room for them"));
        }
        if !synced {
            return Err(format!("this replica has never had everything that {host} has"));
        }
        match connection::look(&self.shared) {
            // A master that does not answer is what promotions are for.
            Err(reason) => {
                info!(%host, reason, "the master does not answer");
                Ok(())
            }
            Ok(Role::Master) => Err(format!("{host} is a master and takes changes: demote or stop it first")),
            Ok(Role::Replica(_)) => self.catch_up(Instant::now()),
        }
    }

    /// Get everything that a master has which takes no changes any more.
    fn catch_up(&self, asked: Instant) -> Result<(), String> {
        let mut inner = self.shared.lock();
        (inner.any_role, inner.nudged) = (true, true);
        self.shared.changed.notify_all();
        let behind = |inner: &mut Inner| inner.running && inner.proof.is_none_or(|proof| proof < asked);
        let waited = self.shared.changed.wait_timeout_while(inner, CATCH_UP, behind);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.proof.is_some_and(|proof| proof >= asked) {
            return Ok(());
        }
        inner.any_role = false;
        let why = inner.last_error.clone().unwrap_or_else(|| "it does not answer NOOP".into());
        Err(format!("{} takes no changes, and its last ones could not be had: {why}", self.shared.host))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn set_state(&mut self, state: api::UpstreamState) {
        (self.state, self.since) = (state, SystemTime::now());
    }

    fn break_off(&mut self) {
        if let Some(socket) = self.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    /// Whatever is under the lock is whole at any time.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.lock().stop
    }

    /// Is the thread to end? Then nobody believes from now on that there is one.
    fn ends(&self) -> bool {
        let mut inner = self.lock();
        inner.running = !inner.stop;
        self.changed.notify_all();
        inner.stop
    }

    /// Connect, follow, and again.
    fn run(&self) {
        let (first, most) = (self.settings.retry, self.settings.retry_max);
        let mut pause = first;
        while !self.ends() {
            let outcome = follow::follow(self);
            let mut inner = self.lock();
            inner.socket = None;
            let followed = inner.state == api::UpstreamState::Following;
            inner.set_state(api::UpstreamState::Away);
            if inner.stop {
                continue;
            }
            if followed {
                pause = first;
            }
            if let Err(reason) = outcome {
                let host = &self.host;
                if inner.last_error.as_ref() == Some(&reason) && !followed {
                    debug!(%host, reason, "the master is not followed");
                } else {
                    warn!(%host, reason, "the master is not followed; trying again until it is");
                }
                inner.last_error = Some(reason);
            }
            self.changed.notify_all();
            let (mut inner, _) = self
                .changed
                .wait_timeout_while(inner, jittered(pause), |inner| !inner.stop && !inner.nudged)
                .unwrap_or_else(PoisonError::into_inner);
            inner.nudged = false;
            pause = (pause * 2).min(most);
        }
    }

    /// Keep what can break the connection off; false if it is to be broken off already.
    fn attach(&self, socket: TcpStream) -> bool {
        let mut inner = self.lock();
        inner.socket = Some(socket);
        if inner.stop {
            inner.break_off();
        }
        !inner.stop
    }

    fn merging(&self) {
        self.lock().set_state(api::UpstreamState::Merging);
    }

    /// Everything has come, and for so much of it there was no room: this is no copy any more, after a restart neither.
    fn lacks(&self, missing: usize, obstacle: Option<Obstacle>) {
        let host = &self.host;
        let mut inner = self.lock();
        if inner.missing == 0 {
            let why =
                obstacle.map_or_else(String::new, |obstacle| format!("{obstacle}: {}", obstacle.advice()));
            warn!(%host, missing, why, "the master's changes cannot be kept, its deletions excepted");
        }
        inner.missing = missing;
        if inner.state != api::UpstreamState::Following {
            inner.set_state(api::UpstreamState::Following);
        }
        let was = std::mem::replace(&mut inner.synced, false);
        drop(inner);
        if was {
            self.remember_synced(false);
        }
        self.changed.notify_all();
    }

    /// Everything has come that was committed before `asked`.
    fn proved(&self, asked: Instant) {
        let mut inner = self.lock();
        inner.proof = Some(asked);
        if std::mem::take(&mut inner.missing) > 0 {
            info!(host = %self.host, "nothing of the master's is missing any more");
        }
        if inner.state != api::UpstreamState::Following {
            inner.set_state(api::UpstreamState::Following);
        }
        let first = !std::mem::replace(&mut inner.synced, true);
        drop(inner);
        if first {
            self.remember_synced(true);
        }
        self.changed.notify_all();
    }

    fn remember_synced(&self, synced: bool) {
        let word = Some(if synced { self.host.to_string() } else { String::new() });
        let done = Done::new(move |outcome| {
            if let Err(reason) = outcome {
                warn!(
                    reason,
                    synced, "whether this replica has everything is not remembered after a restart"
                );
            }
        });
        self.writer.submit(Job::Remember(Remember { name: FOLLOWED, word, become_: None, done }));
    }
}

/// Up to twice as long, by chance: the replicas of a master that comes back do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut drawn = [0; 2];
    // Without random octets all of them come together, which is no reason not to come.
    let _ = getrandom::fill(&mut drawn);
    pause + pause.mul_f64(f64::from(u16::from_be_bytes(drawn)) / f64::from(u16::MAX))
}
