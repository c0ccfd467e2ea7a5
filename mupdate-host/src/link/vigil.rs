//! Waiting for a peer that asks as fast as it is answered, without going to sleep.
//!
//! To put a thread to sleep and wake it again takes longer than to answer a FIND, and in a daemon with an executor two have
//! to be woken, one that watches sockets and one that runs the connection. So a connection whose peer has lately sent its
//! next command at once after an answer keeps looking for it, for a moment. Whoever else wants the processor meanwhile
//! gets it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a vigil is at most.
const VIGIL: Duration = Duration::from_micros(50);

/// A command that comes so soon after the answer before would have come during a vigil, or nearly. What is measured has the
/// sleep's own cost in it.
const SOON: Duration = Duration::from_micros(150);

/// Vigils in vain, after which further ones make no difference to how long none is kept.
const MOST_FAILURES: u32 = 10;

/// New connections that get none after one whose first vigil was in vain.
const DOUBTS: u32 = 16;

/// How many connections may keep a vigil at a time, and whether new ones may.
#[derive(Debug)]
pub struct Vigils {
    most: usize,
    kept: AtomicUsize,
    /// So many of the next new connections are not watched for. Cyrus's backends connect anew for each operation: what is true
    /// of one is true of the next.
    doubts: AtomicU32,
}

impl Vigils {
    /// Half of the processors are for those who have something to do; with one processor, the peer needs it.
    #[must_use]
    pub fn new(processors: usize) -> Self {
        Self { most: processors / 2, kept: AtomicUsize::new(0), doubts: AtomicU32::new(DOUBTS) }
    }

    /// Is the next new connection worth a vigil?
    fn hopes(&self) -> bool {
        let fewer = |doubts: u32| doubts.checked_sub(1);
        self.doubts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err()
    }

    fn begin(self: &Arc<Self>) -> Option<Place> {
        let more = |kept| (kept < self.most).then_some(kept + 1);
        self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(Arc::clone(self)))
    }
}

/// Gives its place back when it is dropped.
#[derive(Debug)]
struct Place(Arc<Vigils>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.kept.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A vigil that is being kept.
#[derive(Debug)]
pub struct Kept {
    _place: Place,
    since: Instant,
}

impl Kept {
    /// Let others have the processor; the peer may be waiting for this very one. False when the vigil is over.
    pub fn goes_on(&self) -> bool {
        thread::yield_now();
        self.since.elapsed() <= VIGIL
    }
}

/// What is known of one peer.
///
/// - A peer that has never sent a command soon after an answer costs no vigil, unless it is new and others that were new of
///   late did.
/// - After each vigil in vain twice as many commands have to come soon before there is another; one that was not in vain
///   makes up for all of them.
#[derive(Debug)]
pub struct Vigil {
    vigils: Arc<Vigils>,
    /// When the connection began to wait for a command, if it does.
    waits_since: Option<Instant>,
    /// Commands that came soon, one after the other.
    soon: u32,
    /// Vigils in vain, one after the other.
    failures: u32,
    /// No vigil was kept yet.
    new: bool,
}

impl Vigil {
    pub fn new(vigils: &Arc<Vigils>) -> Self {
        let soon = u32::from(vigils.hopes());
        Self { vigils: Arc::clone(vigils), waits_since: None, soon, failures: 0, new: true }
    }

    /// Everything is answered, and the peer is waited for from now on: in a vigil, or asleep if there is none. Who has
    /// kept one says what came of it to [`settle`](Self::settle).
    pub fn begin(&mut self) -> Option<Kept> {
        let since = Instant::now();
        self.waits_since = Some(since);
        if self.soon < 1 << self.failures {
            return None;
        }
        Some(Kept { _place: self.vigils.begin()?, since })
    }

    /// The vigil is over; was it in vain?
    pub fn settle(&mut self, came: bool) {
        if std::mem::take(&mut self.new) {
            self.vigils.doubts.store(if came { 0 } else { DOUBTS }, Ordering::Relaxed);
        }
        if came {
            self.failures = 0;
        } else {
            self.failures = (self.failures + 1).min(MOST_FAILURES);
            self.soon = 0;
        }
    }

    /// Something has come from the peer.
    pub fn ended(&mut self) {
        if let Some(since) = self.waits_since.take() {
            self.came_after(since.elapsed());
        }
    }

    fn came_after(&mut self, gap: Duration) {
        self.soon = if gap < SOON { self.soon.saturating_add(1) } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vigil() -> Vigil {
        Vigil::new(&Arc::new(Vigils::new(2)))
    }

    #[test]
    fn only_a_quick_peer_is_watched_for() {
        let mut vigil = vigil();
        assert!(vigil.begin().is_none(), "nothing is known of the peer");
        vigil.came_after(SOON * 2);
        assert!(vigil.begin().is_none(), "the peer is slow");
        vigil.came_after(SOON / 2);
        assert!(vigil.begin().is_some());
        vigil.came_after(SOON * 2);
        assert!(vigil.begin().is_none(), "and not quick any more");
    }

    #[test]
    fn new_connections_are_as_quick_as_those_before() {
        let vigils = Arc::new(Vigils::new(2));
        let are_watched_for = |count: u32| (0..count).all(|_| Vigil::new(&vigils).begin().is_some());
        let settled = |came| {
            let mut vigil = Vigil::new(&vigils);
            vigil.came_after(SOON / 2);
            assert!(vigil.begin().is_some());
            vigil.settle(came);
        };
        settled(true);
        assert!(are_watched_for(3));
        settled(false);
        for _ in 0..DOUBTS {
            assert!(!are_watched_for(1));
        }
        assert!(are_watched_for(3), "until one of them is in vain too");
    }

    #[test]
    fn each_vigil_in_vain_makes_the_next_one_dearer() {
        let mut vigil = vigil();
        for failures in 0..MOST_FAILURES + 2 {
            for _ in 0..1 << failures.min(MOST_FAILURES) {
                assert!(vigil.begin().is_none());
                vigil.came_after(SOON / 2);
            }
            assert!(vigil.begin().is_some());
            vigil.settle(false);
        }
        for _ in 0..1 << MOST_FAILURES {
            vigil.came_after(SOON / 2);
        }
        vigil.settle(true);
        vigil.settle(false);
        vigil.came_after(SOON / 2);
        assert!(vigil.begin().is_none());
        vigil.came_after(SOON / 2);
        assert!(vigil.begin().is_some(), "one that was not in vain makes up for all before");
    }

    #[test]
    fn there_are_no_more_vigils_than_half_of_the_processors() {
        let vigils = Arc::new(Vigils::new(4));
        let (one, two) = (vigils.begin(), vigils.begin());
        assert!(one.is_some() && two.is_some() && vigils.begin().is_none());
        drop(one);
        assert!(vigils.begin().is_some());
        assert!(Arc::new(Vigils::new(1)).begin().is_none());
    }

    #[test]
    fn a_vigil_ends_by_itself() {
        let kept = Kept { _place: Arc::new(Vigils::new(2)).begin().expect("a place"), since: Instant::now() };
        while kept.goes_on() {}
        assert!(kept.since.elapsed() > VIGIL);
    }
}
