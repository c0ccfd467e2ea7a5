//! Says what keeps changes from being written: often enough to be seen, seldom enough to be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::store::Obstacle;

/// An obstacle that stays is logged that often.
const AGAIN: Duration = Duration::from_secs(10);

/// What was met last, and not overcome yet.
#[derive(Debug, Default)]
pub(super) struct Obstacles {
    met: Option<(Obstacle, Instant)>,
    seen: Arc<Seen>,
}

/// The same for others to see.
#[derive(Debug, Default)]
pub(super) struct Seen(AtomicU8);

impl Seen {
    const ALL: [Option<Obstacle>; 4] =
        [None, Some(Obstacle::MapFull), Some(Obstacle::DiskFull), Some(Obstacle::Gone)];

    /// What was met last, and not overcome yet.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        Self::ALL.get(usize::from(self.0.load(Ordering::Relaxed))).copied().flatten()
    }

    fn set(&self, obstacle: Option<Obstacle>) {
        let at = Self::ALL.iter().position(|known| *known == obstacle).unwrap_or(0);
        self.0.store(u8::try_from(at).unwrap_or(0), Ordering::Relaxed);
    }
}

impl Obstacles {
    /// Where others see it.
    pub(super) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    /// Something is in the way. True: that was logged.
    pub(super) fn met(&mut self, obstacle: Obstacle, now: Instant) -> bool {
        let known = |&(met, at): &(Obstacle, Instant)| met == obstacle && now.duration_since(at) < AGAIN;
        if self.met.as_ref().is_some_and(known) {
            return false;
        }
        self.met = Some((obstacle, now));
        self.seen.set(Some(obstacle));
        tracing::error!("{obstacle}, and changes are refused: {}", obstacle.advice());
        true
    }

    /// Something was written. True: that was logged.
    pub(super) fn overcome(&mut self) -> bool {
        let overcome = self.met.take();
        if let Some((obstacle, _)) = overcome {
            self.seen.set(None);
            tracing::info!("changes are written again ({obstacle} no longer)");
        }
        overcome.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_is_told_now_and_then() {
        let (mut obstacles, start) = (Obstacles::default(), Instant::now());
        assert!(!obstacles.overcome());
        assert!(obstacles.met(Obstacle::DiskFull, start));
        assert!(!obstacles.met(Obstacle::DiskFull, start + AGAIN / 2));
        assert!(obstacles.met(Obstacle::Gone, start + AGAIN / 2));
        assert!(obstacles.met(Obstacle::Gone, start + 2 * AGAIN));
        assert_eq!(obstacles.seen().obstacle(), Some(Obstacle::Gone));
        assert!(obstacles.overcome());
        assert_eq!(obstacles.seen().obstacle(), None);
        assert!(!obstacles.overcome());
        assert!(obstacles.met(Obstacle::Gone, start + 2 * AGAIN));
    }
}
