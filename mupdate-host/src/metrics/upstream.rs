//! How a replica keeps up with its master.

use std::time::Duration;

use mupdate_proto::Role;

use super::{
    describe::{UPSTREAM_LAG, UPSTREAM_MISSING, UPSTREAM_STATE},
    page::Page,
};
use crate::{admin::api::UpstreamState, service::Service};

/// Nothing is said of a master, though it may know whom it would follow.
pub(super) fn collect(service: &Service, page: &mut Page) {
    let followed =
        service.upstream().filter(|_| service.role() != Role::Master).map(|upstream| upstream.status());
    let states = page.family(&UPSTREAM_STATE);
    let known = [
        ("away", UpstreamState::Away),
        ("merging", UpstreamState::Merging),
        ("following", UpstreamState::Following),
    ];
    if let Some(status) = &followed {
        for (name, state) in known {
            states.add([("state", name.into())], status.state == state);
        }
    }
    let lag = page.family(&UPSTREAM_LAG);
    if let Some(millis) = followed.as_ref().and_then(|status| status.lag_ms) {
        lag.add([], Duration::from_millis(millis).as_secs_f64());
    }
    let missing = page.family(&UPSTREAM_MISSING);
    if let Some(status) = &followed {
        missing.add([], status.missing);
    }
}
