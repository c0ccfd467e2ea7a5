//! Who is connected: how many there may be, and how all of them are told that the daemon goes down.

mod facts;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::facts::Facts;
use crate::{
    inbox::Inbox,
    sync::{Condvar, Mutex, MutexGuard, lock},
    tally::{Share, Tally},
};

/// All connections of a daemon.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<Open>,
    /// Signalled when the last place is given back.
    empty: Condvar,
    /// See [`Why`].
    refused: [AtomicU64; 3],
    /// How many come from where.
    addresses: Arc<Tally<IpAddr>>,
    /// How many are logged in as whom.
    users: Arc<Tally<String>>,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy)]
enum Why {
    Limit,
    Address,
    Closing,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// Every place taken.
    places: BTreeMap<u64, Taken>,
    /// The daemon goes down: nobody else comes in.
    closing: bool,
    /// How often the daemon has changed its role.
    roles: u64,
}

impl Open {
    fn inboxes(&self) -> Vec<Arc<Inbox>> {
        self.places.values().filter_map(|place| place.inbox.clone()).collect()
    }
}

/// A place that is taken.
#[derive(Debug)]
struct Taken {
    facts: Arc<Facts>,
    /// Once there is one.
    inbox: Option<Arc<Inbox>>,
}

impl Connections {
    /// Take a place, if there is one below `limit`. A refusal is counted.
    pub fn admit(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let mut open = self.lock();
        if open.closing || open.places.len() >= limit {
            let why = if open.closing { Why::Closing } else { Why::Limit };
            drop(open);
            self.refuse(why);
            return None;
        }
        let number = open.next;
        open.next += 1;
        let facts = Arc::<Facts>::default();
        open.places.insert(number, Taken { facts: Arc::clone(&facts), inbox: None });
        let roles = open.roles;
        Some(Place { number, roles, facts, connections: Arc::clone(self), address: None })
    }

    /// Count a connection for the user that it logs in as, unless that has `limit` already.
    pub fn log_in(&self, user: &str, limit: Option<usize>) -> Option<Share<String>> {
        self.users.take(user.to_owned(), limit)
    }

    fn refuse(&self, why: Why) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many places are taken.
    pub fn count(&self) -> usize {
        self.lock().places.len()
    }

    /// All connections, by number.
    pub fn list(&self) -> Vec<(u64, Arc<Facts>)> {
        self.lock().places.iter().map(|(number, place)| (*number, Arc::clone(&place.facts))).collect()
    }

    /// Tell a connection that an administrator wants it to end; false if there is none of this number.
    pub fn dismiss(&self, number: u64) -> bool {
        let inbox = self.lock().places.get(&number).and_then(|place| place.inbox.clone());
        if let Some(inbox) = &inbox {
            inbox.dismiss();
        }
        inbox.is_some()
    }

    /// The daemon goes down.
    pub fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// How many connections were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refusals().iter().map(|(_, count)| count).sum()
    }

    /// The same by reason.
    pub fn refusals(&self) -> [(&'static str, u64); 3] {
        let of = |why: Why| self.refused[why as usize].load(Ordering::Relaxed);
        [("limit", of(Why::Limit)), ("address", of(Why::Address)), ("closing", of(Why::Closing))]
    }

    /// How many connections were let in since the start.
    pub fn accepted(&self) -> u64 {
        self.lock().next
    }

    /// How many connections are logged in.
    pub fn logged_in(&self) -> usize {
        self.users.total()
    }

    /// Tell every connection, and every one that is just being set up, to say farewell.
    pub fn shutdown(&self) {
        let inboxes: Vec<_> = {
            let mut open = self.lock();
            open.closing = true;
            open.inboxes()
        };
        for inbox in inboxes {
            inbox.shutdown();
        }
    }

    /// Tell every connection, and every one that is just being set up, that the daemon's role is another now.
    pub fn change_role(&self) {
        let inboxes: Vec<_> = {
            let mut open = self.lock();
            open.roles += 1;
            open.inboxes()
        };
        for inbox in inboxes {
            inbox.role();
        }
    }

    /// Wait until all places are given back, but no longer than `limit`. Says how many are still taken.
    pub fn wait_until_empty(&self, limit: Duration) -> usize {
        let (open, _) = self
            .empty
            .wait_timeout_while(self.lock(), limit, |open| !open.places.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        open.places.len()
    }

    /// Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }
}

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    number: u64,
    /// See [`Open::roles`], when this place was taken.
    roles: u64,
    /// Let go of last, outside of all locks: a stream that is far behind takes a while to go.
    facts: Arc<Facts>,
    connections: Arc<Connections>,
    address: Option<Share<IpAddr>>,
}

impl Place {
    /// The connection's number, for the log: no other since the start had it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What others see of this connection.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Count this connection for its address too, unless that has `limit` already: a refusal, and counted as one.
    pub fn come_from(mut self, address: IpAddr, limit: Option<usize>) -> Option<Self> {
        self.address = self.connections.addresses.take(address, limit);
        if self.address.is_none() {
            self.connections.refuse(Why::Address);
        }
        self.address.is_some().then_some(self)
    }

    /// Where to tell this connection that the daemon goes down; told at once if it already does.
    pub fn attach(&self, inbox: &Arc<Inbox>) {
        let mut open = self.connections.lock();
        if let Some(place) = open.places.get_mut(&self.number) {
            place.inbox = Some(Arc::clone(inbox));
        }
        let (closing, changed) = (open.closing, open.roles != self.roles);
        drop(open);
        if changed {
            inbox.role();
        }
        if closing {
            inbox.shutdown();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.places.remove(&self.number);
        if open.places.is_empty() {
            self.connections.empty.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> Arc<Inbox> {
        Inbox::new(Box::new(|| {}))
    }

    #[test]
    fn places_are_limited_and_come_back() {
        let connections = Arc::new(Connections::default());
        let first = connections.admit(2).expect("room");
        let second = connections.admit(2).expect("room");
        assert!(connections.admit(2).is_none());
        assert_eq!((connections.count(), connections.refused(), connections.accepted()), (2, 1, 2));
        assert_eq!(connections.refusals()[0], ("limit", 1));
        assert_ne!(first.number(), second.number());
        drop(first);
        assert!(connections.admit(2).is_some());
    }

    #[test]
    fn addresses_and_users_are_limited_on_their_own() {
        let connections = Arc::new(Connections::default());
        let from = |address: &str| {
            let place = connections.admit(9).expect("room");
            place.come_from(address.parse().expect("an address"), Some(1))
        };
        let first = from("192.0.2.1").expect("the first of its address");
        assert!(from("192.0.2.1").is_none());
        assert_eq!((connections.count(), connections.refused()), (1, 1), "a refused one has no place");
        assert!(from("192.0.2.2").is_some());
        drop(first);
        assert!(from("192.0.2.1").is_some());
        let login = connections.log_in("murder", Some(1));
        assert_eq!(connections.logged_in(), 1);
        assert!(
            connections.log_in("murder", Some(1)).is_none() && connections.log_in("other", Some(1)).is_some()
        );
        drop(login);
        assert!(connections.log_in("murder", Some(1)).is_some());
    }

    #[test]
    fn one_connection_is_told_to_end_and_no_other() {
        let connections = Arc::new(Connections::default());
        let (place, other) = (connections.admit(9).expect("room"), connections.admit(9).expect("room"));
        assert!(!connections.dismiss(place.number()), "it is just being set up");
        let (its, others) = (inbox(), inbox());
        place.attach(&its);
        other.attach(&others);
        assert!(connections.dismiss(place.number()) && !connections.dismiss(99));
        assert!(its.take().dismissed && !others.take().dismissed);
        place.facts().given(7);
        let seen: Vec<_> =
            connections.list().iter().map(|(number, facts)| (*number, facts.commands())).collect();
        assert_eq!(seen, [(place.number(), 7), (other.number(), 0)]);
    }

    #[test]
    fn everybody_hears_of_the_end_even_who_comes_during_it() {
        let connections = Arc::new(Connections::default());
        let (early, late) = (connections.admit(9).expect("room"), connections.admit(9).expect("room"));
        let (first, second) = (inbox(), inbox());
        early.attach(&first);
        connections.shutdown();
        late.attach(&second);
        assert!(first.take().shutdown && second.take().shutdown);
        assert!(connections.admit(9).is_none());
        assert_eq!(connections.wait_until_empty(Duration::ZERO), 2);
        std::thread::spawn(move || drop((early, late)));
        assert_eq!(connections.wait_until_empty(Duration::from_secs(60)), 0);
    }
}
