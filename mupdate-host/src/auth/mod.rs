//! Who a peer is: SASL, against the users file, or by asking `saslauthd`.
//!
//! Two halves, so that nobody waits for a hash: [`Login`], one per connection, does the grammar of the mechanisms, and all of
//! SCRAM, which is quick; [`Authenticator::check`], one for the daemon, verifies passwords, from the memory of verified logins
//! or on threads of its own.

mod claim;
mod expiring;
pub mod guesses;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod login;
mod mechanism;
mod outcomes;
mod saslauthd;
mod scram;
mod silent;
mod strangers;
mod transport;
mod verify;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use mupdate_core::server::AuthReply;
use rsasl::config::SASLConfig;
use tracing::error;

pub use claim::Credentials;
pub use guesses::{Guesses, Standing};
pub use login::{Login, LoginStep};
pub use saslauthd::warning as saslauthd_warning;
pub use transport::{ClientCertificate, TlsFacts, Transport};

use crate::config::{AuthSettings, Config};
use crate::exit::{Code, Fatal};
use crate::login_cache::LoginCache;
use crate::password_pool::PasswordPool;
use crate::scram::{Hash, ScramRecord};
use crate::users::{self, LoginSecret, Users};
use mechanism::Mechanism;
use outcomes::{Outcome, Outcomes};
use saslauthd::{Pool, Saslauthd};
use strangers::Strangers;

/// Passwords that can wait for a thread. When backends and frontends come back all at once, most of them wait for the
/// same login, and all but the first are answered from memory.
const WAITING: usize = 1024;

const FAILED: &str = "authentication failed";
const BUSY: &str = "too busy to verify passwords, try again later";
const OFTEN: &str = "too many failed logins, try again later";
const NOT_NOW: &str = "authentication is not available just now";
const OTHER_USER: &str = "acting as another user is not allowed";
const UNAVAILABLE: &str = "mechanism not available";

/// What happens with the outcome of a check. Called once, on any thread, or by [`Authenticator::check`] itself.
pub type Done = Box<dyn FnOnce(AuthReply) + Send>;

/// Verifies passwords for all connections.
pub struct Authenticator {
    shared: Arc<Shared>,
    pool: PasswordPool<(Credentials, Done)>,
    /// Who asks about passwords that are not in the users file.
    elsewhere: ArcSwapOption<Pool>,
    sasl: Arc<SASLConfig>,
    strangers: Strangers,
    told: silent::Told,
}

/// What the hashing threads need too.
struct Shared {
    users: ArcSwap<Users>,
    settings: ArcSwap<Settings>,
    /// What knows passwords that are not in the users file.
    elsewhere: ArcSwapOption<Saslauthd>,
    cache: LoginCache,
    guesses: Guesses,
    outcomes: Outcomes,
}

/// What a reload replaces, beside the users.
struct Settings {
    allow_plaintext: bool,
    auth: AuthSettings,
}

/// How logins went since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoginCounts {
    /// Accepted from the memory of verified logins.
    pub remembered: u64,
    /// Accepted after a hash, a proof of SCRAM, or by `saslauthd`.
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
    /// An authenticator for these users, with a hashing thread per core. By the secret, who does not exist is told from
    /// nobody ([`users::login_secret`]).
    ///
    /// # Errors
    /// The operating system refuses threads or memory.
    pub fn new(users: Users, secret: LoginSecret, config: &Config) -> Result<Arc<Self>, Fatal> {
        let threads = crate::daemon::processors();
        Self::with_pool(users, secret, config, threads, WAITING)
    }

    fn with_pool(
        users: Users,
        secret: LoginSecret,
        config: &Config,
        threads: usize,
        waiting: usize,
    ) -> Result<Arc<Self>, Fatal> {
        let refused = |error: &dyn fmt::Display| {
            Fatal::new(
                Code::OsErr,
                format!("cannot prepare for logins: {error}; are there enough threads and memory?"),
            )
        };
        let cache = &config.login_cache;
        let shared = Arc::new(Shared {
            users: ArcSwap::from_pointee(users),
            settings: ArcSwap::from_pointee(Settings::new(config)),
            elsewhere: ArcSwapOption::empty(),
            cache: LoginCache::new(cache.entries, cache.lifetime).map_err(|error| refused(&error))?,
            guesses: Guesses::new(&config.limits),
            outcomes: Outcomes::default(),
        });
        let worker = Arc::clone(&shared);
        let pool = PasswordPool::start(threads, waiting, move |(credentials, done): (Credentials, Done)| {
            done(worker.verify(&credentials));
        })
        .map_err(|error| refused(&error))?;
        let sasl = login::sasl_config().map_err(|error| refused(&error))?;
        let (elsewhere, strangers) = (ArcSwapOption::empty(), Strangers::new(secret));
        let told = silent::Told::default();
        let authenticator = Self { shared, pool, elsewhere, sasl, strangers, told };
        authenticator.ask_elsewhere(config).map_err(|error| refused(&error))?;
        Ok(Arc::new(authenticator))
    }

    /// Takes over what a reload has changed; logins in progress go by the new users.
    pub fn reload(&self, users: Users, config: &Config) {
        self.shared.settings.store(Arc::new(Settings::new(config)));
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
        let offered = Mechanism::ALL.into_iter().filter(|mechanism| self.offers(*mechanism, transport));
        offered.map(|mechanism| mechanism.name().to_owned()).collect()
    }

    /// SCRAM shows nobody the password, and so needs no private connection; but a mechanism that nobody has keys for would
    /// only lead clients astray, who take the best that they find.
    fn offers(&self, mechanism: Mechanism, transport: &Transport) -> bool {
        match mechanism {
            Mechanism::Plain | Mechanism::Login => self.passwords_allowed(transport),
            Mechanism::External => self.external_user(transport).is_some(),
            Mechanism::Scram { hash, plus } => {
                self.shared.users.load().usual(hash).is_some() && (!plus || self.binds(transport))
            }
        }
    }

    /// The user whom the client's certificate names.
    fn external_user(&self, transport: &Transport) -> Option<String> {
        let names = transport.tls.as_ref()?.client.as_ref()?.names(self.shared.settings.load().auth.external);
        let users = self.shared.users.load();
        let mut kept = names.into_iter().filter_map(|name| Some(users::user_name(&name).ok()?.into_owned()));
        kept.find(|name| users.get(name).is_some())
    }

    fn passwords_allowed(&self, transport: &Transport) -> bool {
        transport.is_private() || self.shared.settings.load().allow_plaintext
    }

    /// SCRAM can be bound to such a connection.
    fn binds(&self, transport: &Transport) -> bool {
        transport.tls.is_some() && self.shared.settings.load().auth.channel_binding
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
        let elsewhere = elsewhere.as_ref().filter(|_| self.shared.is_elsewhere(credentials.user()));
        let submitted = match elsewhere {
            Some(pool) => pool.submit(credentials, done),
            None => self.pool.submit((credentials, done)),
        };
        if let Err((credentials, done)) = submitted {
            self.shared.outcomes.add(Some(credentials.claim.mechanism), Outcome::Busy);
            credentials.claim.warn("too many logins are waiting");
            done(rejected(BUSY));
        }
    }

    /// What SCRAM rests on for this user and hash, and whether that is real: who does not exist, or has no such keys, is
    /// given some that look alike. The time does not tell, since they are made up in any case.
    fn scram_record(&self, hash: Hash, user: &str) -> (ScramRecord, bool) {
        let users = self.shared.users.load();
        let invented = self.strangers.record(&users, hash, user);
        match users.get(user).and_then(|keys| keys.of(hash)) {
            Some(record) => (record.clone(), true),
            None => (invented, false),
        }
    }

    /// How logins went so far.
    pub fn counts(&self) -> LoginCounts {
        self.shared.outcomes.sums()
    }

    /// The same by mechanism: its name, how logins came out, and how many.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.shared.outcomes.all()
    }

    /// How many verified logins are remembered now.
    pub fn remembered(&self) -> usize {
        self.shared.cache.len()
    }
}

impl Settings {
    fn new(config: &Config) -> Self {
        Self { allow_plaintext: config.allow_plaintext, auth: config.auth.clone() }
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
