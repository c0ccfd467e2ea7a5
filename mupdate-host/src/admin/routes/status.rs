//! `GET /v1/status`: how the daemon is, in brief.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Answer, Call, ready};
use crate::{
    admin::{
        Admin,
        api::{MapUse, Role, Status, WriterCounts},
        http::Refused,
        unix_ms,
    },
    store::{Census, StoreError},
    upstream::Upstream,
    writer::WriterStats,
};

/// All of it, from the store and from counters; costs what there are locations.
pub(super) fn status(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let census = call.service().store.census()?;
    Ok(Answer::json(&status_of(call.admin, &census)?))
}

/// The same, for who has counted already.
///
/// # Errors
/// The store cannot be read.
pub fn status_of(admin: &Admin, census: &Census) -> Result<Status, StoreError> {
    let service = &admin.service;
    let store = &service.store;
    let all = census.all();
    let (used, size) = store.map_fill()?;
    let session = &service.settings().session;
    let role = match session.role {
        mupdate_proto::Role::Master => Role::Master,
        mupdate_proto::Role::Replica(_) => Role::Replica,
    };
    Ok(Status {
        program: admin.program.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        server_name: session.host.clone(),
        role,
        started_ms: unix_ms(admin.started),
        revision: store.revision()?,
        active: all.active,
        reserved: all.reserved,
        servers: census.servers.len() as u64,
        connections: service.connections.count() as u64,
        subscribers: service.feeds.subscribers() as u64,
        behind: service.feeds.longest() as u64,
        map: MapUse { used, size },
        disk_free: store.disk_free(),
        fuses_blown: service.fuses.blown().into_iter().map(|(user, _)| user).collect(),
        draining: store.draining().iter().map(ToString::to_string).collect(),
        writer: writer_counts(service.writer.stats()),
        upstream: service.upstream().filter(|_| role == Role::Replica).map(Upstream::status),
        not_ready: ready::reasons(service),
    })
}

fn writer_counts(stats: &WriterStats) -> WriterCounts {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    WriterCounts {
        actions: count(&stats.actions),
        changes: count(&stats.changes),
        refused: count(&stats.refused),
        denied: count(&stats.denied),
        held: count(&stats.held),
        takeovers: count(&stats.takeovers),
        batches: count(&stats.batches),
        commits: count(&stats.commits),
        full: count(&stats.full),
    }
}
