//! `GET /v1/hosts`: the backends, and what they have.

use mupdate_proto::ServerName;

use super::{Answer, Call};
use crate::{
    admin::{
        api::{Host, HostOrder, OrderSource, Partition},
        http::Refused,
    },
    history,
    store::{Occupied, Store, StoreError},
};

/// All of them, sorted by name; costs what there are locations, and what the journal has behind the last change of
/// the server that has been silent for longest.
pub(super) fn hosts(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let store = &call.service().store;
    let places = store.occupied()?;
    let changed = history::last_changes(store, places.iter().map(Occupied::server))?;
    let mut hosts: Vec<Host> = Vec::new();
    for place in places {
        if hosts.last().is_none_or(|host| host.server.as_bytes() != place.server()) {
            let changed_ms = changed.get(place.server()).copied();
            hosts.push(Host { changed_ms, ..host(store, &place)? });
        }
        if let Some(host) = hosts.last_mut() {
            host.active += place.active;
            host.reserved += place.reserved;
            host.partitions.push(Partition {
                partition: place.partition().into(),
                active: place.active,
                reserved: place.reserved,
            });
        }
    }
    Ok(Answer::json(&hosts))
}

/// The server of this place, without anything there yet.
fn host(store: &Store, place: &Occupied) -> Result<Host, StoreError> {
    let order = match ServerName::new(bytes::Bytes::copy_from_slice(place.server())) {
        Ok(server) => store.order_of(&server)?.map(|order| HostOrder {
            order: order.to_string(),
            source: if store.is_order_configured(&server) {
                OrderSource::Configured
            } else {
                OrderSource::Learned
            },
        }),
        Err(_) => None,
    };
    Ok(Host {
        server: place.server().into(),
        active: 0,
        reserved: 0,
        partitions: Vec::new(),
        order,
        changed_ms: None,
        draining: store.draining().contains(place.server()),
    })
}
