//! What peers have chosen, at no more length than fits into a line: an event is to have a bound.

use crate::{
    admin::api::{Client, Entry, Pair, Text, What},
    shorten,
};

/// Octets of a name that are told.
const LONGEST: usize = 256;

/// Names of a pair, servers of a stream.
const SOME: usize = 5;

pub(super) fn text(text: Text) -> Text {
    shorten::octets(text.as_bytes(), LONGEST).into_owned().into()
}

pub(super) fn string(string: String) -> String {
    shorten::text(&string, LONGEST).into_owned()
}

/// A time of day, to the second: what is found by subtracting differs by moments each time.
pub(super) fn second(ms: u64) -> u64 {
    ms / 1000 * 1000
}

pub(super) fn entry(entry: Entry) -> Entry {
    let what = |what: What| What { acl: None, location: what.location.map(text), ..what };
    Entry {
        user: string(entry.user),
        peer: string(entry.peer),
        mailbox: text(entry.mailbox),
        before: what(entry.before),
        after: what(entry.after),
        ..entry
    }
}

pub(super) fn pair(mut pair: Pair) -> Pair {
    pair.server = text(pair.server);
    pair.waiting = pair.waiting.into_iter().take(SOME).map(text).collect();
    pair.silent.truncate(SOME);
    pair.lead_changed_ms = pair.lead_changed_ms.map(second);
    for speaker in &mut pair.speakers {
        speaker.user = string(std::mem::take(&mut speaker.user));
        speaker.last_ms = second(speaker.last_ms);
    }
    pair
}

pub(super) fn client(mut client: Client) -> Client {
    client.user = client.user.map(string);
    if let Some(stream) = &mut client.stream {
        stream.servers = std::mem::take(&mut stream.servers).into_iter().take(SOME).map(text).collect();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{Deed, MailboxState};

    #[test]
    fn of_an_entry_there_is_no_acl_and_of_a_name_the_beginning() {
        let what = |acl: Option<Text>| What { state: MailboxState::Active, location: None, acl };
        let entry = entry(Entry {
            revision: 1,
            at_ms: 1,
            user: "u".into(),
            peer: "p".repeat(LONGEST + 1),
            deed: Deed::Activate,
            mailbox: "m".repeat(LONGEST + 1).as_str().into(),
            before: what(Some("a".into())),
            after: what(Some("b".into())),
            takeover: true,
            cut: false,
        });
        assert_eq!((entry.before, entry.after), (what(None), what(None)));
        assert_eq!(entry.peer, format!("{}…", "p".repeat(LONGEST)));
        assert_eq!(entry.mailbox, Text::from(format!("{}…", "m".repeat(LONGEST)).as_str()));
    }
}
