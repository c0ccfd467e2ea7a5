//! Who has what.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap};

use tracing::error;

use super::{
    describe::{NAMES, OTHER, SERVER_COUNT, SERVERS, TOMBSTONES},
    page::Page,
};
use crate::{service::Service, store::ServerCounts};

pub(super) fn collect(service: &Service, page: &mut Page) {
    let census = match service.store.census() {
        Ok(census) => census,
        // Whoever reads the page sees that these are missing.
        Err(error) => return error!(%error, "the directory cannot be counted"),
    };
    let servers = census.servers.len();
    let names = page.family(&NAMES);
    for (server, ServerCounts { active, reserved }) in largest(census.servers, census.others) {
        let server: Cow<'static, str> = server.into();
        names.add([("server", server.clone()), ("state", "active".into())], active);
        names.add([("server", server), ("state", "reserved".into())], reserved);
    }
    page.say(&SERVER_COUNT, servers);
    page.say(&TOMBSTONES, census.tombstones);
}

/// The largest, and the sum of all others, `others` among them.
fn largest(servers: BTreeMap<Vec<u8>, ServerCounts>, others: ServerCounts) -> BTreeMap<String, ServerCounts> {
    let mut all: Vec<_> = servers.into_iter().collect();
    all.sort_by_key(|(_, counts)| Reverse(counts.active + counts.reserved));
    let mut told = BTreeMap::<String, ServerCounts>::new();
    if others != ServerCounts::default() {
        told.insert(OTHER.to_owned(), others);
    }
    for (at, (server, counts)) in all.into_iter().enumerate() {
        // Names that are no text, and one that is the word itself, may fall together.
        let label =
            if at < SERVERS { String::from_utf8_lossy(&server).into_owned() } else { OTHER.to_owned() };
        let sum = told.entry(label).or_default();
        sum.active += counts.active;
        sum.reserved += counts.reserved;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_are_told_together() {
        let server = |number: u64| {
            (format!("be{number:03}").into_bytes(), ServerCounts { active: number, reserved: 1 })
        };
        let told =
            largest((0..SERVERS as u64 + 3).map(server).collect(), ServerCounts { active: 1, reserved: 0 });
        assert_eq!(told.len(), SERVERS + 1);
        assert_eq!(told[OTHER], ServerCounts { active: 4, reserved: 3 });
        assert!(told.contains_key("be003") && !told.contains_key("be002"));
        let odd =
            [&b"\xff"[..], b"\xfe"].map(|name| (name.to_vec(), ServerCounts { active: 1, reserved: 0 }));
        assert_eq!(
            largest(odd.into(), ServerCounts::default())
                .values()
                .map(|counts| counts.active)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
