//! When which revision was published, as far back as anybody lags.

use std::time::Instant;

use mupdate_core::directory::Revision;

/// Marks that are kept at most. Of a thousand commits a second for a month, some 700 are worth keeping.
const MOST: usize = 1024;

/// What was published some time ago is known to this part of that time.
const PART: u32 = 32;

/// Revisions and the times at which they were published. The longer ago, the coarser: a few hundred tell of a month.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<(Revision, Instant)>);

impl Marks {
    /// This revision is published now.
    pub fn add(&mut self, revision: Revision, now: Instant) {
        if self.0.len() >= MOST {
            self.thin(now);
        }
        self.0.push((revision, now));
    }

    /// Leave out what is hardly missed. The oldest stays, unless all are needed.
    fn thin(&mut self, now: Instant) {
        let mut kept = Vec::with_capacity(MOST);
        let mut marks = self.0.iter().peekable();
        while let Some(&mark) = marks.next() {
            let gap = kept.last().zip(marks.peek()).map(|((_, before), (_, after))| *after - *before);
            if gap.is_none_or(|gap| gap * PART > now.saturating_duration_since(mark.1)) {
                kept.push(mark);
            }
        }
        if kept.len() >= MOST {
            kept.remove(0);
        }
        self.0 = kept;
    }

    /// When the first revision after this one was published, or not long after that.
    pub fn after(&self, revision: Revision) -> Option<Instant> {
        let at = self.0.partition_point(|(published, _)| *published <= revision);
        self.0.get(at).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn old_times_are_known_about_and_new_ones_exactly() {
        let (mut marks, start) = (Marks::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(marks.after(0), None);
        for second in 1..=100_000 {
            marks.add(10 * second, at(second));
        }
        assert!(marks.0.len() <= MOST);
        assert_eq!(marks.after(0), Some(at(1)), "the oldest stays");
        assert_eq!(marks.after(1_000_000), None);
        assert_eq!(marks.after(999_990), Some(at(100_000)));
        for second in [100, 40_000, 90_000] {
            let late = marks.after(10 * second).expect("known").duration_since(at(second));
            let ago = Duration::from_secs(100_000 - second);
            assert!(late <= ago / PART + Duration::from_secs(1), "{second}: {late:?}");
        }
    }
}
