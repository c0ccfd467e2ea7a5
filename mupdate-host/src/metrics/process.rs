//! What runs, since when, and as what.

use std::time::UNIX_EPOCH;

use mupdate_proto::Role;
use rustix::time::{ClockId, clock_gettime};

use super::{
    describe::{BUILD, CPU, READY, REVISION, ROLE, START},
    page::Page,
};
use crate::{admin::ready, service::Service};

pub(super) fn collect(service: &Service, page: &mut Page) {
    let metrics = &service.metrics;
    let program = metrics.program.get().copied().unwrap_or("mupdated");
    page.family(&BUILD)
        .add([("program", program.into()), ("version", env!("CARGO_PKG_VERSION").into())], true);
    page.say(&START, metrics.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    let used = clock_gettime(ClockId::ProcessCPUTime);
    page.say(&CPU, used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
    page.say(&READY, ready::reasons(service).is_empty());
    let master = service.role() == Role::Master;
    let roles = page.family(&ROLE);
    roles.add([("role", "master".into())], master);
    roles.add([("role", "replica".into())], !master);
    page.say(&REVISION, service.feeds.published());
}
