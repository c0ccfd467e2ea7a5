//! Who may sit at the admin interface at the same time.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::SEATS;
use crate::{
    link::Peer,
    tally::{Share, Tally},
    wake::Wake,
};

/// Seats that one address of the network can have.
const EACH: usize = SEATS / 2;

/// What holds a seat for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Long {
    /// A list, a copy, a stream.
    List,
    /// A page that is open in a browser.
    Page,
}

impl Long {
    /// How many there may be at a time, of each kind of peer. Together they leave some seats.
    const fn most(self) -> usize {
        match self {
            Self::List => 5,
            Self::Page => 4,
        }
    }
}

/// Refusals are logged at most that often.
const TOLD: Duration = Duration::from_secs(10);

/// All seats.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<Taken>,
    /// Signalled when the last seat is given back.
    empty: Condvar,
    closing: AtomicBool,
    addresses: Arc<Tally<IpAddr>>,
    /// Of Unix sockets, and of the network.
    long: Arc<Tally<(bool, Long)>>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Whether each is of a Unix socket, and what wakes its thread.
    seats: BTreeMap<u64, (bool, Arc<Wake>)>,
    told: Option<Instant>,
}

impl Seats {
    /// Take a seat, if there is one for this peer.
    ///
    /// # Errors
    /// Nothing is left to wait with.
    pub(super) fn take(self: &Arc<Self>, peer: &Peer, ipv6_prefix: u8) -> io::Result<Option<Seat>> {
        let local = matches!(peer, Peer::Unix);
        let address = match peer.network(ipv6_prefix) {
            Some(network) => match self.addresses.take(network, Some(EACH)) {
                Some(share) => Some(share),
                None => return Ok(None),
            },
            None => None,
        };
        let mut taken = self.lock();
        if self.is_closing() || taken.seats.values().filter(|(kind, _)| *kind == local).count() >= SEATS {
            return Ok(None);
        }
        let wake = Arc::new(Wake::new()?);
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, (local, Arc::clone(&wake)));
        drop(taken);
        Ok(Some(Seat { seats: Arc::clone(self), number, local, wake, _address: address }))
    }

    /// Is it time to log a refusal again?
    pub(super) fn tells(&self, now: Instant) -> bool {
        let mut taken = self.lock();
        let due = taken.told.is_none_or(|at| now.duration_since(at) >= TOLD);
        if due {
            taken.told = Some(now);
        }
        due
    }

    /// Nobody else gets a seat, and who has one is told to leave it soon.
    pub(super) fn close(&self) {
        let taken = self.lock();
        self.closing.store(true, Ordering::Release);
        taken.seats.values().for_each(|(_, wake)| wake.wake());
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Wait until all seats are given back; says how many are not.
    pub(super) fn wait_until_empty(&self, limit: Duration) -> usize {
        let (taken, _) = self
            .empty
            .wait_timeout_while(self.lock(), limit, |taken| !taken.seats.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        taken.seats.len()
    }

    /// Every change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One seat, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    local: bool,
    wake: Arc<Wake>,
    _address: Option<Share<IpAddr>>,
}

impl Seat {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What wakes its thread.
    pub(super) fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// The daemon goes down.
    pub(super) fn is_closing(&self) -> bool {
        self.seats.is_closing()
    }

    /// Leave for an answer that takes long, if not too many do already.
    pub(super) fn long(&self, long: Long) -> Option<Share<(bool, Long)>> {
        self.seats.long.take((self.local, long), Some(long.most()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.seats.remove(&self.number);
        if taken.seats.is_empty() {
            self.seats.empty.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn internet(text: &str) -> Peer {
        Peer::Internet(text.parse().expect("an address"))
    }

    #[test]
    fn nobody_takes_the_seats_of_others() {
        let seats = Arc::new(Seats::default());
        let take = |peer: &Peer| seats.take(peer, 64).expect("means");
        let mut crowd: Vec<_> = (0..SEATS).filter_map(|_| take(&internet("192.0.2.1:9"))).collect();
        assert_eq!(crowd.len(), EACH, "of one address");
        crowd.extend((0..SEATS).filter_map(|_| take(&internet("192.0.2.2:9"))));
        assert_eq!(crowd.len(), SEATS);
        assert!(take(&internet("127.0.0.1:9")).is_none());
        let local: Vec<_> = (0..2 * SEATS).filter_map(|_| take(&Peer::Unix)).collect();
        assert_eq!(local.len(), SEATS);
        let long: Vec<_> = local.iter().filter_map(|seat| seat.long(Long::List)).collect();
        let pages: Vec<_> = local.iter().filter_map(|seat| seat.long(Long::Page)).collect();
        assert_eq!((long.len(), pages.len()), (Long::List.most(), Long::Page.most()));
        const { assert!(Long::List.most() + Long::Page.most() < SEATS, "short answers are to be had besides") };
        assert!(crowd[0].long(Long::List).is_some());
        crowd.pop();
        assert!(take(&internet("192.0.2.2:9")).is_some());
    }

    #[test]
    fn all_are_told_of_the_end() {
        let seats = Arc::new(Seats::default());
        let seat = seats.take(&Peer::Unix, 64).expect("means").expect("room");
        assert!(!seat.is_closing());
        seats.close();
        assert!(seat.is_closing() && seats.take(&Peer::Unix, 64).expect("means").is_none());
        assert_eq!(seats.wait_until_empty(Duration::ZERO), 1);
        std::thread::spawn(move || drop(seat));
        assert_eq!(seats.wait_until_empty(Duration::from_secs(60)), 0);
        assert!(seats.tells(Instant::now()) && !seats.tells(Instant::now()));
    }
}
