//! How replicated pairs keep up: what was changed by one member, and when the other said it again.

use std::borrow::Cow;

use super::{
    describe::{PAIR_ECHO, PAIR_LATE, PAIR_LEFT, PAIR_MISSING, PAIR_SPEAKERS, PAIR_STRANGERS, SERVERS},
    histogram::Observed,
    page::{Page, Value},
};
use crate::{
    pairs::{Lags, PairFigures},
    service::Service,
};

/// Of the intervals that are kept, every so many-th end is told: four times the one before.
const STEP: usize = 4;

pub(super) fn collect(service: &Service, page: &mut Page) {
    let mut pairs = service.pairs.figures();
    pairs.truncate(SERVERS);
    type Figure = fn(&PairFigures) -> Value;
    let figures: [(_, Figure); 6] = [
        (&PAIR_SPEAKERS, |pair| pair.speakers.into()),
        (&PAIR_ECHO, |pair| observed(&pair.lags).into()),
        (&PAIR_MISSING, |pair| pair.missing.into()),
        (&PAIR_LEFT, |pair| pair.left.into()),
        (&PAIR_STRANGERS, |pair| pair.strangers.into()),
        (&PAIR_LATE, |pair| pair.late_deletions.into()),
    ];
    for (metric, figure) in figures {
        let family = page.family(metric);
        for pair in &pairs {
            family.add([("server", Cow::from(pair.server.clone()))], figure(pair));
        }
    }
}

fn observed(lags: &Lags) -> Observed {
    let mut before = 0;
    let told = lags.cumulated().enumerate().filter(|(at, (end, _))| at % STEP == 0 || end.is_none());
    let buckets = told.map(|(_, (end, seen))| {
        let more = seen - before;
        before = seen;
        (end.map_or(f64::INFINITY, |end| end.as_secs_f64()), more)
    });
    Observed { buckets: buckets.collect(), sum: lags.sum().as_secs_f64(), count: lags.count() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn echoes_are_told_by_fewer_intervals_than_are_kept() {
        let mut lags = Lags::default();
        for millis in [1, 3, 4, 5, 1_000_000_000] {
            lags.add(Duration::from_millis(millis));
        }
        let Observed { buckets, count, sum } = observed(&lags);
        assert_eq!(buckets[..3], [(0.001, 1), (0.004, 2), (0.016, 1)]);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1)));
        assert_eq!((buckets.len(), count, sum), (15, 5, 1_000_000.013));
    }
}
