//! Who is not to be trusted just now, and what keeps clients from harming themselves.

use std::sync::atomic::Ordering;

use super::{
    describe::{FUSE, FUSES_BLOWN, GUARDED, ORDER_MISMATCHES, USERS},
    page::Page,
};
use crate::service::Service;

pub(super) fn collect(service: &Service, page: &mut Page) {
    let fuses = page.family(&FUSE);
    for (user, kinds) in service.fuses.blown().into_iter().take(USERS) {
        for kind in kinds {
            fuses.add([("user", user.clone().into()), ("changes", kind.as_str().into())], true);
        }
    }
    page.say(&FUSES_BLOWN, service.writer.stats().fuses_blown.load(Ordering::Relaxed));
    page.say(&GUARDED, service.metrics.links.guarded.get());
    page.say(&ORDER_MISMATCHES, service.metrics.links.order_mismatches.get());
}
