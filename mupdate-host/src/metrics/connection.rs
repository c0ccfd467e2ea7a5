//! Who is connected, who was turned away, and what went over the wire.

use std::time::UNIX_EPOCH;

use super::{
    count::{Closed, Handshake},
    describe::{
        ACCEPTED, CERTIFICATE, CLOSED, CONNECTIONS, HANDSHAKES, LIMIT, LOGGED_IN, RECEIVED, REFUSED, SENT,
        TURNS,
    },
    page::Page,
};
use crate::service::Service;

pub(super) fn collect(service: &Service, page: &mut Page) {
    let (connections, links) = (&service.connections, &service.metrics.links);
    page.say(&CONNECTIONS, connections.count());
    page.say(&LIMIT, service.connection_limit());
    page.say(&LOGGED_IN, connections.logged_in());
    page.say(&ACCEPTED, connections.accepted());
    let refused = page.family(&REFUSED);
    for (reason, count) in connections.refusals() {
        refused.add([("reason", reason.into())], count);
    }
    refused.add([("reason", "user".into())], links.crowded.get());
    let closed = page.family(&CLOSED);
    for why in Closed::ALL {
        closed.add([("reason", why.as_str().into())], links.closed(why));
    }
    page.say(&RECEIVED, links.received.get());
    page.say(&SENT, links.sent.get());
    let handshakes = page.family(&HANDSHAKES);
    for how in Handshake::ALL {
        handshakes.add([("result", how.as_str().into())], links.handshakes(how));
    }
    let certificate = page.family(&CERTIFICATE);
    if let Some(until) = service.settings().tls.as_ref().and_then(|tls| tls.expires()) {
        certificate.add([], until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    }
    let turns = page.family(&TURNS);
    turns.add([("work", "commands".into())], service.turns.waiting());
    turns.add([("work", "handshakes".into())], service.handshakes.waiting());
}
