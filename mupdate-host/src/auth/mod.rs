//! Who a peer is: SASL through rsasl, passwords against the users file, or by asking `saslauthd`.
//!
//! Two halves, so that nobody waits for a hash: [`Login`], one per connection, does the grammar of the mechanisms and is quick;
//! [`Authenticator::check`], one for the daemon, verifies passwords, from the memory of verified logins or on threads of its
//! own.

pub mod guesses;
mod login;
mod saslauthd;
mod transport;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use mupdate_core::server::AuthReply;
use rsasl::config::SASLConfig;
use subtle::Choice;
use tracing::{debug, error, warn};
use zeroize::Zeroizing;

pub use guesses::{Guesses, Standing};
pub use login::{Login, LoginStep};
pub use saslauthd::warning as saslauthd_warning;
pub use transport::{ClientCertificate, TlsFacts, Transport};

use crate::config::Config;
use crate::exit::{Code, Fatal};
use crate::login_cache::LoginCache;
use crate::password_pool::PasswordPool;
use crate::scram::ScramRecord;
use crate::users::Users;
use saslauthd::{Answer, Pool, Saslauthd};

/// Passwords that can wait for a thread. When backends and frontends come back all at once, most of them wait for the
/// same login, and all but the first are answered from memory.
const WAITING: usize = 1024;

const FAILED: &str = "authentication failed";
const BUSY: &str = "too busy to verify passwords, try again later";
const OFTEN: &str = "too many failed logins, try again later";
const NOT_NOW: &str = "authentication is not available just now";
const OTHER_USER: &str = "acting as another user is not allowed";

/// Who says to be whom. The password is wiped when this is dropped, and shown nowhere.
pub struct Credentials {
    user: String,
    password: Zeroizing<Vec<u8>>,
    mechanism: &'static str,
    peer: Arc<str>,
    network: Option<IpAddr>,
}

/// What happens with the outcome of a check. Called once, on any thread, or by [`Authenticator::check`] itself.
pub type Done = Box<dyn FnOnce(AuthReply) + Send>;

/// Verifies passwords for all connections.
pub struct Authenticator {
    shared: Arc<Shared>,
    pool: PasswordPool<(Credentials, Done)>,
    /// Who asks about passwords that are not in the users file.
    elsewhere: ArcSwapOption<Pool>,
    sasl: Arc<SASLConfig>,
    allow_plaintext: AtomicBool,
}

/// What the hashing threads need too.
struct Shared {
    users: ArcSwap<Users>,
    /// What knows passwords that are not in the users file.
    elsewhere: ArcSwapOption<Saslauthd>,
    cache: LoginCache,
    guesses: Guesses,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    remembered: AtomicU64,
    verified: AtomicU64,
    failed: AtomicU64,
    busy: AtomicU64,
    unseen: AtomicU64,
    unavailable: AtomicU64,
}

/// How logins went since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoginCounts {
    /// Accepted from the memory of verified logins.
    pub remembered: u64,
    /// Accepted after a hash, or by `saslauthd`.
    pub verified: u64,
    /// Refused: wrong user or password.
    pub failed: u64,
    /// Refused unseen, since too many were waiting.
    pub busy: u64,
    /// Refused unseen, since too many had failed.
    pub unseen: u64,
    /// Refused, since `saslauthd` did not answer.
    pub unavailable: u64,
}

impl Authenticator {
    /// An authenticator for these users, with a hashing thread per core.
    ///
    /// # Errors
    /// The operating system refuses threads or random octets.
    pub fn new(users: Users, config: &Config) -> Result<Arc<Self>, Fatal> {
        let threads = available_parallelism().map_or(1, usize::from);
        Self::with_pool(users, config, threads, WAITING)
    }

    fn with_pool(users: Users, config: &Config, threads: usize, waiting: usize) -> Result<Arc<Self>, Fatal> {
        let refused = |error: &dyn fmt::Display| {
            Fatal::new(
                Code::OsErr,
                format!("cannot prepare for logins: {error}; are there enough threads and memory?"),
            )
        };
        let cache = &config.login_cache;
        let shared = Arc::new(Shared {
            users: ArcSwap::from_pointee(users),
            elsewhere: ArcSwapOption::empty(),
            cache: LoginCache::new(cache.entries, cache.lifetime).map_err(|error| refused(&error))?,
            guesses: Guesses::new(&config.limits),
            counters: Counters::default(),
        });
        let worker = Arc::clone(&shared);
        let pool = PasswordPool::start(threads, waiting, move |(credentials, done): (Credentials, Done)| {
            done(worker.verify(&credentials));
        })
        .map_err(|error| refused(&error))?;
        let sasl = login::sasl_config().map_err(|error| refused(&error))?;
        let allow_plaintext = AtomicBool::new(config.allow_plaintext);
        let elsewhere = ArcSwapOption::empty();
        let authenticator = Self { shared, pool, elsewhere, sasl, allow_plaintext };
        authenticator.ask_elsewhere(config).map_err(|error| refused(&error))?;
        Ok(Arc::new(authenticator))
    }

    /// Takes over what a reload has changed; logins in progress go by the new users.
    pub fn reload(&self, users: Users, config: &Config) {
        self.allow_plaintext.store(config.allow_plaintext, Ordering::Relaxed);
        self.shared.guesses.reload(&config.limits);
        self.shared.users.store(Arc::new(users));
        if let Err(error) = self.ask_elsewhere(config) {
            error!(%error, "cannot start threads for saslauthd; it is asked as before");
        }
        // Logins of users that are gone can no longer match, but need not stay in memory either.
        self.shared.cache.clear();
    }

    /// Begins to ask `saslauthd` as is configured now; who is being asked still answers.
    fn ask_elsewhere(&self, config: &Config) -> io::Result<()> {
        let asked = self.shared.elsewhere.load();
        if asked.as_ref().is_some_and(|asked| *asked.settings() == config.saslauthd) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let pool = Pool::start(&config.saslauthd, move |saslauthd, credentials, deadline| {
            shared.verify_elsewhere(saslauthd, credentials, deadline)
        })?;
        self.shared.elsewhere.store(pool.as_ref().map(|pool| Arc::clone(pool.saslauthd())));
        self.elsewhere.store(pool.map(Arc::new));
        Ok(())
    }

    /// The SASL mechanisms offered on such a connection, for the banner.
    pub fn mechanisms(&self, transport: &Transport) -> Vec<String> {
        let offered = if self.passwords_allowed(transport) { login::MECHANISMS } else { &[] };
        offered.iter().map(ToString::to_string).collect()
    }

    fn passwords_allowed(&self, transport: &Transport) -> bool {
        transport.is_private() || self.allow_plaintext.load(Ordering::Relaxed)
    }

    /// The SASL side of one connection; `peer` is how the log names it.
    pub fn login(self: &Arc<Self>, transport: Transport, peer: impl Into<Arc<str>>) -> Login {
        Login::new(Arc::clone(self), transport, peer.into())
    }

    /// Verifies credentials and calls `done` with the outcome: at once, before this returns, when the same login was verified
    /// a moment ago or too many wait already; else later, from another thread. Never blocks.
    pub fn check(&self, credentials: Credentials, done: Done) {
        if let Some(reply) = self.shared.at_once(&credentials) {
            return done(reply);
        }
        let elsewhere = self.elsewhere.load();
        let elsewhere = elsewhere.as_ref().filter(|_| self.shared.is_elsewhere(&credentials.user));
        let submitted = match elsewhere {
            Some(pool) => pool.submit(credentials, done),
            None => self.pool.submit((credentials, done)),
        };
        if let Err((credentials, done)) = submitted {
            self.shared.counters.busy.fetch_add(1, Ordering::Relaxed);
            credentials.warn("too many logins are waiting");
            done(rejected(BUSY));
        }
    }

    /// How logins went so far.
    pub fn counts(&self) -> LoginCounts {
        let Counters { remembered, verified, failed, busy, unseen, unavailable } = &self.shared.counters;
        let [remembered, verified, failed, busy, unseen, unavailable] =
            [remembered, verified, failed, busy, unseen, unavailable]
                .map(|counter| counter.load(Ordering::Relaxed));
        LoginCounts { remembered, verified, failed, busy, unseen, unavailable }
    }
}

impl Shared {
    /// The answer, if it does not take a look at the password: the same login was verified a moment ago, or too many
    /// have failed.
    fn at_once(&self, credentials: &Credentials) -> Option<AuthReply> {
        let standing = self.guesses.standing(&credentials.user, credentials.network, Instant::now());
        if standing != Standing::Refused
            && let Some(reply) = self.remembered(credentials)
        {
            return Some(reply);
        }
        (standing != Standing::Open).then(|| {
            self.counters.unseen.fetch_add(1, Ordering::Relaxed);
            debug!(user = %shown(&credentials.user), peer = %credentials.peer, "login refused unseen: too many failed");
            AuthReply::Rejected { text: OFTEN.to_owned(), delay: self.guesses.refusal_delay() }
        })
    }

    /// The answer, if the same login was verified a moment ago.
    fn remembered(&self, credentials: &Credentials) -> Option<AuthReply> {
        let users = self.users.load();
        let Credentials { user, password, .. } = credentials;
        let fingerprint = match users.get(user) {
            Some(record) => self.cache.fingerprint(user, password, record),
            None if self.is_elsewhere(user) => self.cache.fingerprint_elsewhere(user, password),
            None => return None,
        };
        self.cache.knows(&fingerprint, Instant::now()).then(|| {
            self.counters.remembered.fetch_add(1, Ordering::Relaxed);
            self.accepted(credentials)
        })
    }

    /// The answer, by way of the slow hash unless another thread has just done the same.
    fn verify(&self, credentials: &Credentials) -> AuthReply {
        // Others like it may have been looked at while it waited.
        if let Some(reply) = self.at_once(credentials) {
            return reply;
        }
        let users = self.users.load_full();
        let known = users.get(&credentials.user);
        // The time must not tell whether the user exists.
        let nobody = ScramRecord::nobody(users.iterations());
        let matches = known.unwrap_or(&nobody).verify(&credentials.password);
        let exists = Choice::from(u8::from(known.is_some()));
        match known.filter(|_| bool::from(matches & exists)) {
            Some(record) => {
                self.counters.verified.fetch_add(1, Ordering::Relaxed);
                let fingerprint = self.cache.fingerprint(&credentials.user, &credentials.password, record);
                self.cache.remember(fingerprint, Instant::now());
                self.accepted(credentials)
            }
            None => {
                let reason = if known.is_some() { "wrong password" } else { "no such user" };
                // Nor must it tell who is known to whom.
                let takes =
                    self.elsewhere.load().as_ref().map_or(Duration::ZERO, |asked| asked.refusal_takes());
                self.failed(credentials, reason, takes)
            }
        }
    }

    /// The answer by way of `saslauthd`, which may take until the deadline.
    fn verify_elsewhere(
        &self,
        saslauthd: &Saslauthd,
        credentials: &Credentials,
        deadline: Instant,
    ) -> AuthReply {
        if let Some(reply) = self.at_once(credentials) {
            return reply;
        }
        let Credentials { user, password, .. } = credentials;
        match saslauthd.ask(user, password, deadline) {
            // A reload may have come in between.
            Answer::Yes if self.is_elsewhere(user) => {
                self.counters.verified.fetch_add(1, Ordering::Relaxed);
                self.cache.remember(self.cache.fingerprint_elsewhere(user, password), Instant::now());
                self.accepted(credentials)
            }
            Answer::Yes | Answer::No => self.failed(credentials, "saslauthd says no", Duration::ZERO),
            Answer::Unavailable => {
                self.counters.unavailable.fetch_add(1, Ordering::Relaxed);
                rejected(NOT_NOW)
            }
        }
    }

    /// Is the password of this user known elsewhere?
    fn is_elsewhere(&self, user: &str) -> bool {
        let elsewhere = self.elsewhere.load();
        elsewhere.as_ref().is_some_and(|asked| asked.settings().users.contains(user))
            && self.users.load().get(user).is_none()
    }

    /// The answer to a wrong password, held back for `more` than it would be otherwise.
    fn failed(&self, credentials: &Credentials, reason: &str, more: Duration) -> AuthReply {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        credentials.warn(reason);
        let delay = self.guesses.failed(&credentials.user, credentials.network, Instant::now());
        AuthReply::Rejected { text: FAILED.to_owned(), delay: delay + more }
    }

    fn accepted(&self, credentials: &Credentials) -> AuthReply {
        let Credentials { user, mechanism, peer, network, .. } = credentials;
        self.guesses.succeeded(user, *network, Instant::now());
        debug!(user, %peer, mechanism, "logged in");
        AuthReply::Accepted { principal: user.clone() }
    }
}

impl Credentials {
    /// Who it says to be.
    pub fn user(&self) -> &str {
        &self.user
    }

    fn warn(&self, reason: &str) {
        warn!(user = %shown(&self.user), peer = %self.peer, mechanism = self.mechanism, reason, "login refused");
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, mechanism, peer, .. } = self;
        f.debug_struct("Credentials")
            .field("user", &shown(user))
            .field("mechanism", mechanism)
            .field("peer", peer)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

fn rejected(text: &str) -> AuthReply {
    AuthReply::Rejected { text: text.to_owned(), delay: Duration::ZERO }
}

/// A name that a stranger has sent, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
