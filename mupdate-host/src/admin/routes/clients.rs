//! `GET /v1/clients`, `POST /v1/clients/NUMBER/kick`: who is connected.

use std::time::Instant;

use super::{Answer, Call};
use crate::{
    admin::{
        api::{Client, Doing, Stream},
        http::Refused,
        unix_ms,
    },
    connections::Facts,
    feeds::{Followed, Look},
};

/// All connections, by number.
pub(super) fn clients(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let service = call.service();
    let (all, look) = (service.connections.list(), service.feeds.look(Instant::now()));
    let clients = all.iter().filter_map(|(number, facts)| client(*number, facts, &look));
    Ok(Answer::json(&clients.collect::<Vec<_>>()))
}

/// A connection; nothing of one that is just being set up.
pub fn client(number: u64, facts: &Facts, look: &Look) -> Option<Client> {
    let (peer, since) = facts.begun()?;
    let user = facts.user();
    let stream = facts.stream().map(|followed| stream(&followed, look));
    Some(Client {
        number,
        peer: peer.to_string(),
        user: user.map(str::to_owned),
        tls: facts.is_encrypted(),
        compressed: facts.is_compressed(),
        doing: match (user, &stream) {
            (_, Some(_)) => Doing::Stream,
            (None, None) => Doing::Login,
            (Some(_), None) => Doing::Commands,
        },
        since_ms: unix_ms(since),
        commands: facts.commands(),
        stream,
    })
}

fn stream(followed: &Followed, look: &Look) -> Stream {
    let lag = followed.lag(look);
    Stream {
        servers: followed.servers().iter().map(|server| server.as_bytes().into()).collect(),
        behind: lag.names as u64,
        lag_ms: u64::try_from(lag.waited.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Close a connection: it is told so, and what is under way is still answered.
pub(super) fn kick(call: &mut Call<'_>) -> Result<Answer, Refused> {
    // What is sent along is of no interest, but the connection goes on behind it.
    call.body.whole()?;
    let number: u64 = call
        .parameter
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Refused::bad("the number of a connection is allowed, as /v1/clients has it"))?;
    if !call.service().connections.dismiss(number) {
        return Err(Refused::missing(format!("there is no connection {number}")));
    }
    Ok(Answer::json(&serde_json::json!({ "kicked": number })))
}
