//! How the writer keeps up.

use std::sync::atomic::Ordering;

use super::{
    describe::{BATCH_CHANGES, BATCHES, BATCHES_FAILED, COMMIT, COMMITS, QUEUED, TRANSACTION},
    page::Page,
};
use crate::service::Service;

pub(super) fn collect(service: &Service, page: &mut Page) {
    let stats = service.writer.stats();
    page.say(&QUEUED, stats.queued.load(Ordering::Relaxed));
    page.say(&BATCHES, stats.batches.load(Ordering::Relaxed));
    page.say(&BATCHES_FAILED, stats.full.load(Ordering::Relaxed));
    page.say(&BATCH_CHANGES, stats.times.batch.observed());
    page.say(&COMMITS, stats.commits.load(Ordering::Relaxed));
    page.say(&TRANSACTION, stats.times.transaction.observed());
    page.say(&COMMIT, stats.times.commit.observed());
}
