//! Who follows the directory, and how far behind.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    describe::{CLIENTS, LAG, LAG_REVISIONS, OTHER, REANNOUNCED, STREAMS, WAITING},
    page::Page,
};
use crate::{feeds::Lag, service::Service};

/// The streams of one client: how many, and the farthest behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Behind {
    everything: u64,
    servers: u64,
    names: u64,
    revisions: u64,
    waited: Duration,
}

pub(super) fn collect(service: &Service, now: Instant, page: &mut Page) {
    let clients = clients(service.feeds.lags(now));
    let label = |client: &str| ("client", Cow::from(client.to_owned()));
    let streams = page.family(&STREAMS);
    for (client, behind) in &clients {
        for (follows, count) in [("everything", behind.everything), ("servers", behind.servers)] {
            if count > 0 {
                streams.add([label(client), ("follows", follows.into())], count);
            }
        }
    }
    let waiting = page.family(&WAITING);
    clients.iter().for_each(|(client, behind)| waiting.add([label(client)], behind.names));
    let lag = page.family(&LAG);
    clients.iter().for_each(|(client, behind)| lag.add([label(client)], behind.waited.as_secs_f64()));
    let revisions = page.family(&LAG_REVISIONS);
    clients.iter().for_each(|(client, behind)| revisions.add([label(client)], behind.revisions));
    page.say(&REANNOUNCED, service.feeds.reannounced());
}

/// By client; if there are too many, those that lag least are told together.
fn clients(mut lags: Vec<Lag>) -> BTreeMap<String, Behind> {
    if lags.len() > CLIENTS {
        lags.sort_by_key(|lag| Reverse((lag.waited, lag.names)));
    }
    let mut clients = BTreeMap::<String, Behind>::new();
    for lag in lags {
        let known = clients.contains_key(&*lag.client) || clients.len() < CLIENTS;
        let behind = clients.entry(if known { &lag.client } else { OTHER }.to_owned()).or_default();
        behind.everything += u64::from(lag.whole);
        behind.servers += u64::from(!lag.whole);
        behind.names = behind.names.max(lag.names as u64);
        behind.revisions = behind.revisions.max(lag.revisions);
        behind.waited = behind.waited.max(lag.waited);
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(client: String, names: usize) -> Lag {
        let waited = Duration::from_secs(names as u64);
        Lag { client: client.into(), whole: names > 0, names, revisions: 2 * names as u64, waited }
    }

    #[test]
    fn of_one_client_the_stream_counts_that_is_farthest_behind() {
        let told = clients(vec![lag("fe@a".into(), 0), lag("fe@a".into(), 7), lag("fe@b".into(), 0)]);
        let waited = Duration::from_secs(7);
        let expected = Behind { everything: 1, servers: 1, names: 7, revisions: 14, waited };
        assert_eq!((&told["fe@a"], told.len()), (&expected, 2));
    }

    #[test]
    fn of_too_many_those_are_told_together_that_lag_least() {
        let told = clients((0..=CLIENTS + 1).map(|names| lag(format!("fe@{names}"), names)).collect());
        assert_eq!(told.len(), CLIENTS + 1);
        assert_eq!((told[OTHER].everything + told[OTHER].servers, told[OTHER].names), (2, 1));
    }
}
