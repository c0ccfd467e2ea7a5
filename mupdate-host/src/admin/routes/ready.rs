//! `GET /readyz`: the daemon can do its work, or what keeps it from that.

use mupdate_proto::Role;

use super::{Answer, Call};
use crate::{
    admin::{api::Part, http::Refused},
    service::Service,
    store::Obstacle,
};

/// Percent of the map in use that leave too little room.
const FULL: u64 = 95;

/// 200, or 503 with the reasons; the same text for people in both cases, a line each.
pub(super) fn readyz(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let parts = reasons(call.service());
    let text = match parts.as_slice() {
        [] => "ok\n".to_owned(),
        parts => parts.iter().map(|Part { part, reason }| format!("{part}: {reason}\n")).collect(),
    };
    let status = if parts.is_empty() { 200 } else { 503 };
    Ok(Answer { status, ..Answer::text("text/plain; charset=utf-8", text) })
}

/// What is not as it should be.
pub fn reasons(service: &Service) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut say = |part: &str, reason: String| parts.push(Part { part: part.into(), reason });
    if service.connections.is_closing() {
        say("daemon", "it is shutting down".into());
    }
    match service.store.map_fill() {
        Ok((used, size)) if used.saturating_mul(100) >= size.saturating_mul(FULL) => {
            say("map", format!("{used} of {size} octets are used; {}", Obstacle::MapFull.advice()));
        }
        Ok(_) => {}
        Err(error) => say("store", format!("it cannot be read: {error}")),
    }
    if let Some(upstream) = service.upstream().filter(|_| service.role() != Role::Master) {
        let status = upstream.status();
        if status.missing > 0 {
            let advice = Obstacle::MapFull.advice();
            say("upstream", format!("{} changes of {} found no room; {advice}", status.missing, status.host));
        } else if !upstream.has_everything() {
            say("upstream", format!("this replica has never had everything that {} has", status.host));
        }
    }
    // What the writer met last may be over, and it will not notice before the next change; what can be seen, is.
    let obstacle = service
        .store
        .obstacle()
        .or_else(|| service.writer.obstacle().filter(|obstacle| *obstacle == Obstacle::MapFull));
    if let Some(obstacle) = obstacle {
        say("writer", format!("{obstacle}, and changes are refused; {}", obstacle.advice()));
    }
    parts
}
