//! Who may do what, as all connections and the writer see it; and which refusals are worth a line of the log.

mod refusals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use mupdate_core::directory::{Refusal, Roles, permit_reading};
use tracing::info;

pub use refusals::Refused;

use crate::sync::{Mutex, lock};
use refusals::Refusals;

/// Refusals of one principal within [`SPAN`] that are logged one by one. The rest are counted, and told in one line.
const SINGLY: u64 = 10;

/// See [`SINGLY`].
const SPAN: Duration = Duration::from_secs(1);

/// Principals whose refusals are told apart at a time; more are nobody's murder, and only counted.
const MOST: usize = 1024;

/// The roles that are in force, and a memory of who was refused.
#[derive(Debug, Default)]
pub struct Permits {
    roles: ArcSwap<Roles>,
    refused: Mutex<BTreeMap<String, Counted>>,
    reads_refused: AtomicU64,
    last: Refusals,
}

/// Refusals of one principal.
#[derive(Debug)]
struct Counted {
    /// When they began to be counted.
    since: Instant,
    count: u64,
}

impl Permits {
    /// These roles.
    pub fn new(roles: Roles) -> Self {
        Self { roles: ArcSwap::from_pointee(roles), ..Self::default() }
    }

    /// Other roles from now on, also for those who are connected.
    pub fn replace(&self, roles: Roles) {
        self.roles.store(Arc::new(roles));
    }

    /// The roles that are in force now.
    pub fn roles(&self) -> Guard<Arc<Roles>> {
        self.roles.load()
    }

    /// May this principal read?
    ///
    /// # Errors
    /// It may not, for this reason.
    pub fn permit_reading(&self, principal: &str) -> Result<(), Refusal> {
        let permitted = permit_reading(self.roles.load().speaker(principal));
        if permitted.is_err() {
            self.reads_refused.fetch_add(1, Ordering::Relaxed);
        }
        permitted
    }

    /// How often somebody was refused reading.
    pub fn reads_refused(&self) -> u64 {
        self.reads_refused.load(Ordering::Relaxed)
    }

    /// Keep a refusal that was worth a line of the log, for who asks which there were last.
    pub fn keep(&self, refused: Refused) {
        self.last.keep(refused);
    }

    /// The refusals that were kept last, newest first.
    pub fn last_refusals(&self, most: usize) -> Vec<Refused> {
        self.last.last(most)
    }

    /// A principal has been refused something. Is that worth a line of the log? Many are not: how many, a line of its
    /// own says some time after.
    pub fn tells(&self, principal: &str, now: Instant) -> bool {
        let mut refused = lock(&self.refused);
        refused.retain(|principal, Counted { since, count }| {
            let over = now.saturating_duration_since(*since) >= SPAN;
            if over && let Some(more) = count.checked_sub(SINGLY).filter(|more| *more > 0) {
                info!(%principal, more, "refused more than was logged");
            }
            !over
        });
        if let Some(refused) = refused.get_mut(principal) {
            refused.count += 1;
            return refused.count <= SINGLY;
        }
        let known = refused.len() < MOST;
        if known {
            refused.insert(principal.to_owned(), Counted { since: now, count: 1 });
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mupdate_core::directory::PeerRole;

    #[test]
    fn a_flood_of_refusals_is_a_few_lines() {
        let (permits, start) = (Permits::default(), Instant::now());
        let lines = |principal: &str, at: Duration| {
            (0..100_000).filter(|_| permits.tells(principal, start + at)).count()
        };
        assert_eq!(lines("be1", Duration::ZERO), 10);
        assert_eq!(lines("be2", SPAN / 2), 10, "everybody has their own");
        assert_eq!(lines("be1", SPAN / 2), 0);
        assert_eq!(lines("be1", SPAN), 10);
        assert_eq!(lines("be2", SPAN), 0);
        assert_eq!(lock(&permits.refused).len(), 2);
        assert!(permits.tells("be3", start + 3 * SPAN));
        assert_eq!(lock(&permits.refused).len(), 1, "what is over is forgotten");
        let names = 0..2 * MOST;
        let told = names.filter(|name| permits.tells(&name.to_string(), start + 5 * SPAN)).count();
        assert_eq!((told, lock(&permits.refused).len()), (MOST, MOST));
    }

    #[test]
    fn roles_are_replaced_for_all() {
        let permits = Permits::default();
        assert_eq!(permits.permit_reading("x"), Ok(()));
        let mut roles = Roles::default();
        roles.give("fe1", PeerRole::Frontend);
        permits.replace(roles);
        assert_eq!(permits.permit_reading("fe1"), Ok(()));
        assert_eq!(permits.permit_reading("x"), Err(Refusal::NoRole { principal: "x".into() }));
        assert_eq!(permits.reads_refused(), 1);
    }
}
