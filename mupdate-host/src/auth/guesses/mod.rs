//! What failed logins cost whoever guesses, and nobody else.
//!
//! Each failure is counted, and one is forgotten every `login_forget_seconds`. The answer to a failure is held back for
//! longer the more are counted; from `login_refuse_after` on a login is refused without a look at its password, until
//! one is forgotten. So a guesser has a handful of tries at once and then one a while, and costs no hashing beyond that.
//! Connections can be had anew, so it is not they that are counted. What is counted, and why:
//!
//! - **An address's failures**, whoever it said to be: one machine that tries many users. All IPv4, or a prefix of IPv6.
//!   Not this host's: a proxy on it may stand for the whole world, and one stranger must not shut out the others.
//! - **A user's failures from addresses where that user is not known**: many machines that try one user.
//! - **A user's failures from an address where that user is known**, each address on its own.
//!
//! A user is *known* at an address from which a login of that user succeeded within the last week. This is what keeps a
//! stranger from locking out an honest backend: whatever fails elsewhere, even as that very user, and whatever else fails
//! at the same address, its logins are looked at as ever. Only failures as that user at that address can have it refused,
//! which takes somebody on the same machine or network; and then logins that are remembered still go on, as they cost
//! nothing and prove to know the password. From an unknown address nothing goes on, not even a remembered login: there a
//! memory that answers any number of questions would be an oracle.
//!
//! What remains is that a user who comes from a new address, or the first time after a start, while strangers are trying
//! that very user from many addresses, is refused with them. One failure is forgotten at a time and opens the door for
//! one try, so an honest backend that repeats itself comes in before long, and is known then.
//!
//! Nothing here asks whether a user exists, so neither texts nor times tell. Memory is bounded: of too many counters those
//! that would be forgotten first go, which are the ones of strangers with a single failure and not the one that matters.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::expiring::Expiring;
use super::shown;
use crate::config::LimitSettings;
use crate::sync::{Mutex, lock};

/// Counters that are kept. With names of 255 octets that is some megabytes.
const COUNTERS: usize = 8192;

/// Users at addresses that are kept in mind.
const KNOWN: usize = 8192;

/// How long a user stays known at an address without a login.
const AT_HOME: Duration = Duration::from_secs(7 * 86_400);

/// A user is noted anew as known at an address only after this time: logins are many.
const NOTED: Duration = Duration::from_secs(3600);

/// Failures that are counted where none leads to a refusal; the delay has long reached its end.
const ENOUGH: u32 = 64;

/// How a login stands before anybody looks at its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is looked at.
    Open,
    /// It goes on if the same was verified a moment ago, and is refused otherwise.
    RememberedOnly,
    /// It is refused.
    Refused,
}

/// The failed logins of a daemon. It has no clock: time is what it is told.
#[derive(Debug)]
pub struct Guesses(Mutex<Ledger>);

#[derive(Debug)]
struct Ledger {
    rules: Rules,
    failures: Expiring<Counter>,
    known: Expiring<Place>,
}

/// What is configured.
#[derive(Debug, Clone, Copy)]
struct Rules {
    delay: Duration,
    longest: Duration,
    refuse_after: Option<u32>,
    forget: Duration,
}

/// A user at an address; `None` is this host.
type Place = (Arc<str>, Option<IpAddr>);

/// Whose failures are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Counter {
    Address(IpAddr),
    User(Arc<str>),
    AtHome(Place),
}

impl Guesses {
    /// Nobody has failed yet.
    pub fn new(limits: &LimitSettings) -> Self {
        let (failures, known) = (Expiring::new(COUNTERS), Expiring::new(KNOWN));
        Self(Mutex::new(Ledger { rules: limits.into(), failures, known }))
    }

    /// Other rules from now on.
    pub fn reload(&self, limits: &LimitSettings) {
        lock(&self.0).rules = limits.into();
    }

    /// How a login of `user` from `network` stands, which is [`Peer::network`](crate::link::Peer::network).
    pub fn standing(&self, user: &str, network: Option<IpAddr>, now: Instant) -> Standing {
        let ledger = lock(&self.0);
        let place = (user.into(), network);
        let refused = |counter: &Counter| ledger.rules.refuse(ledger.level(counter, now));
        if ledger.known.get(&place, now).is_some() {
            if refused(&Counter::AtHome(place)) { Standing::RememberedOnly } else { Standing::Open }
        } else if strangers(place).iter().any(refused) {
            Standing::Refused
        } else {
            Standing::Open
        }
    }

    /// How long the answer to a login is held back that is refused for its [`Standing`].
    pub fn refusal_delay(&self) -> Duration {
        lock(&self.0).rules.delay(ENOUGH)
    }

    /// A login failed; for how long its answer is held back.
    pub fn failed(&self, user: &str, network: Option<IpAddr>, now: Instant) -> Duration {
        let mut ledger = lock(&self.0);
        let place: Place = (user.into(), network);
        let counters = if ledger.known.get(&place, now).is_some() {
            vec![Counter::AtHome(place)]
        } else {
            strangers(place)
        };
        let mut most = 0;
        for counter in counters {
            let level = ledger.count(counter.clone(), now);
            if ledger.rules.refuse(level) {
                counter.tell(level);
            }
            most = most.max(level);
        }
        ledger.rules.delay(most)
    }

    /// A login succeeded. Nothing is forgiven: else whoever has one password could go on guessing others.
    pub fn succeeded(&self, user: &str, network: Option<IpAddr>, now: Instant) {
        let mut ledger = lock(&self.0);
        let place = (user.into(), network);
        let until = now + AT_HOME;
        if ledger.known.get(&place, now).is_none_or(|noted| noted + NOTED <= until) {
            ledger.known.set(place, until, now);
        }
    }
}

/// The counters of a user who is not known at an address.
fn strangers((user, network): Place) -> Vec<Counter> {
    let address = network.map(Counter::Address);
    address.into_iter().chain([Counter::User(user)]).collect()
}

impl Ledger {
    /// How many failures are counted.
    fn level(&self, counter: &Counter, now: Instant) -> u32 {
        self.failures.get(counter, now).map_or(0, |until| self.rules.level(until - now))
    }

    /// One more; how many there are then. What is kept is the time at which the last of them will be forgotten.
    fn count(&mut self, counter: Counter, now: Instant) -> u32 {
        let Rules { forget, refuse_after, .. } = self.rules;
        let latest = now + forget * refuse_after.unwrap_or(ENOUGH);
        let until = (self.failures.get(&counter, now).unwrap_or(now) + forget).min(latest);
        self.failures.set(counter, until, now);
        self.rules.level(until - now)
    }
}

impl Rules {
    /// How many failures take that long to be forgotten.
    fn level(&self, time: Duration) -> u32 {
        u32::try_from(time.as_nanos().div_ceil(self.forget.as_nanos())).unwrap_or(u32::MAX)
    }

    fn refuse(&self, level: u32) -> bool {
        self.refuse_after.is_some_and(|most| level >= most)
    }

    /// Twice as long with every failure.
    fn delay(&self, level: u32) -> Duration {
        let factor = 1_u32.checked_shl(level.saturating_sub(1)).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(self.longest.max(self.delay))
    }
}

impl From<&LimitSettings> for Rules {
    fn from(limits: &LimitSettings) -> Self {
        Self {
            delay: limits.login_delay,
            longest: limits.login_delay_max,
            refuse_after: limits.login_refuse_after,
            forget: limits.login_forget,
        }
    }
}

impl Counter {
    /// It comes to this once for every failure that is forgotten, so the log is not flooded.
    fn tell(&self, failures: u32) {
        match self {
            Self::Address(address) => warn!(%address, failures, "logins are refused from this address"),
            Self::User(user) => {
                warn!(user = %shown(user), failures, "logins are refused as this user from addresses unknown");
            }
            Self::AtHome((user, address)) => {
                warn!(user = %shown(user), address = address.map(tracing::field::display), failures,
                      "logins are refused as this user from this address, but for those remembered");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limits() -> LimitSettings {
        LimitSettings {
            login_delay: Duration::from_secs(1),
            login_delay_max: Duration::from_secs(16),
            login_refuse_after: Some(5),
            login_forget: MINUTE,
            ..LimitSettings::default()
        }
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some([192, 0, 2, last].into())
    }

    /// Fails so often.
    fn fail(guesses: &Guesses, user: &str, network: Option<IpAddr>, times: u32, now: Instant) -> Vec<u64> {
        (0..times).map(|_| guesses.failed(user, network, now).as_secs()).collect()
    }

    #[test]
    fn failures_cost_ever_more_and_are_forgotten_one_by_one() {
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        assert_eq!(fail(&guesses, "a", address(1), 4, now), [1, 2, 4, 8]);
        assert_eq!(guesses.standing("a", address(1), now), Standing::Open);
        assert_eq!(fail(&guesses, "a", address(1), 3, now), [16, 16, 16], "and no longer than that");
        assert_eq!(
            guesses.standing("a", address(1), now + MINUTE - Duration::from_millis(1)),
            Standing::Refused
        );
        let later = now + MINUTE;
        assert_eq!(guesses.standing("a", address(1), later), Standing::Open, "one was forgotten");
        assert_eq!(fail(&guesses, "a", address(1), 1, later), [16]);
        assert_eq!(guesses.standing("a", address(1), later), Standing::Refused, "which gave one try");
        assert_eq!(fail(&guesses, "a", address(1), 1, later + 5 * MINUTE), [1], "all is forgotten");
    }

    #[test]
    fn an_address_is_refused_for_all_users_and_a_user_from_all_addresses() {
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        for user in ["a", "b", "c", "d", "e"] {
            fail(&guesses, user, address(1), 1, now);
        }
        assert_eq!(guesses.standing("f", address(1), now), Standing::Refused);
        assert_eq!(guesses.standing("f", address(2), now), Standing::Open);
        for last in 11..=15 {
            fail(&guesses, "g", address(last), 1, now);
        }
        assert_eq!(guesses.standing("g", address(2), now), Standing::Refused);
        assert_eq!(guesses.standing("g", None, now), Standing::Refused, "this host is one more address");
        assert_eq!(guesses.standing("h", address(11), now), Standing::Open);
    }

    #[test]
    fn who_is_known_at_an_address_is_not_locked_out_by_others() {
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        guesses.succeeded("murder", address(1), now);
        fail(&guesses, "murder", address(66), 20, now);
        fail(&guesses, "murder", None, 20, now);
        fail(&guesses, "other", address(1), 20, now);
        assert_eq!(guesses.standing("murder", address(1), now), Standing::Open);
        assert_eq!(guesses.standing("murder", address(2), now), Standing::Refused);
        assert_eq!(guesses.standing("other", address(1), now), Standing::Refused);
        fail(&guesses, "murder", address(1), 5, now);
        assert_eq!(guesses.standing("murder", address(1), now), Standing::RememberedOnly);
        assert_eq!(guesses.standing("murder", address(1), now + MINUTE), Standing::Open);
    }

    #[test]
    fn known_is_who_was_there_within_a_week() {
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        guesses.succeeded("murder", address(1), now);
        guesses.succeeded("murder", address(1), now + AT_HOME / 2);
        let late = now + AT_HOME + AT_HOME / 4;
        fail(&guesses, "murder", address(66), 5, late);
        assert_eq!(guesses.standing("murder", address(1), late), Standing::Open);
        let too_late = now + AT_HOME * 2;
        fail(&guesses, "murder", address(66), 5, too_late);
        assert_eq!(guesses.standing("murder", address(1), too_late), Standing::Refused);
    }

    #[test]
    fn this_host_is_not_counted_as_an_address() {
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        for user in 0..100 {
            fail(&guesses, &user.to_string(), None, 1, now);
        }
        assert_eq!(guesses.standing("murder", None, now), Standing::Open);
        fail(&guesses, "murder", None, 5, now);
        assert_eq!(guesses.standing("murder", None, now), Standing::Refused);
    }

    #[test]
    fn a_flood_of_names_and_addresses_stays_within_bounds_and_hides_nobody() {
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        fail(&guesses, "murder", address(66), 2, now);
        for number in 0..50_000_u32 {
            fail(&guesses, &number.to_string(), Some(IpAddr::V4(number.into())), 1, now);
            guesses.succeeded("insider", Some(IpAddr::V4(number.into())), now);
        }
        let ledger = lock(&guesses.0);
        assert_eq!((ledger.failures.len(), ledger.known.len()), (COUNTERS, KNOWN));
        assert_eq!(ledger.level(&Counter::User("murder".into()), now), 2, "has failed more often than they");
    }

    #[test]
    fn a_limit_of_none_refuses_nobody_and_no_delay_stays_none() {
        let never = LimitSettings { login_refuse_after: None, login_delay: Duration::ZERO, ..limits() };
        let (guesses, now) = (Guesses::new(&limits()), Instant::now());
        fail(&guesses, "a", address(1), 100, now);
        guesses.reload(&never);
        assert_eq!(guesses.standing("a", address(1), now), Standing::Open);
        assert_eq!(fail(&guesses, "a", address(1), 100, now).last(), Some(&0));
        assert_eq!(guesses.refusal_delay(), Duration::ZERO);
        let ledger = lock(&guesses.0);
        assert_eq!(ledger.level(&Counter::User("a".into()), now), ENOUGH);
    }
}
