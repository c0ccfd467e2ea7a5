use mupdate_core::directory::{Action, Batch, MemoryView, Policy, Speaker};
use proptest::prelude::*;

use super::*;
use crate::fixture::{activate, delete, name, reserve};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory, and what the table makes of what it is told.
struct Murder {
    view: MemoryView,
    table: Table,
    now: Instant,
    news: Vec<News>,
}

impl Murder {
    fn new() -> Self {
        let (view, table) = (MemoryView::new(), Table::new(PATIENCE));
        Self { view, table, now: Instant::now(), news: Vec::new() }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.table.look(self.now);
    }

    /// Somebody says something. True: it changed something.
    fn say(&mut self, address: &str, action: &Action) -> bool {
        let mut batch = Batch::new(self.view.revision());
        let Ok(()) = batch.stage(&mut self.view, action, Speaker::TRUSTED, Policy::Standard, ());
        let sealed = batch.seal();
        let revision = sealed.revision();
        let done = sealed.durable(revision);
        let peer = format!("{address}:1234");
        if done.verdicts[0].1.is_ok() {
            let said = Said { user: "murder", peer: &peer, action, event: done.events.first() };
            self.table.look(self.now);
            self.news.extend(self.table.hear(said, self.now));
        }
        !done.events.is_empty()
    }

    fn create(&mut self, who: &str, name: &str) {
        self.say(who, &reserve(name, PLACE));
        self.say(who, &activate(name, PLACE, "x"));
    }

    fn pair() -> Self {
        let mut murder = Self::new();
        murder.create("a", "first");
        murder.create("b", "first");
        murder
    }

    fn server(&self) -> &Server {
        self.table.servers.get(&b"be"[..]).expect("it was spoken for")
    }

    fn leader(&self) -> &str {
        let server = self.server();
        &server.speakers[server.leader.expect("somebody changed something")].address
    }

    fn missing(&self) -> u64 {
        super::super::missing_of(self.server())
    }

    fn check(&self) {
        let Table { opens, order, octets, servers, .. } = &self.table;
        assert_eq!(opens.len(), order.len());
        assert_eq!(*octets, opens.keys().map(|name| name.as_bytes().len()).sum::<usize>());
        for server in servers.values() {
            let voices = server.speakers.iter();
            assert!(voices.clone().flat_map(|voice| &voice.missing).all(|number| order.contains_key(number)));
            assert!(server.speakers.len() <= SPEAKERS);
            assert!(voices.clone().all(|voice| voice.missing.len() as u64 <= voice.open));
        }
        let open: u64 = servers.values().flat_map(|server| &server.speakers).map(|voice| voice.open).sum();
        assert_eq!(open, opens.len() as u64);
    }
}

/// Where all of them are.
const PLACE: &str = "be!p";

#[test]
fn a_pair_in_step_misses_nothing() {
    let mut murder = Murder::pair();
    for number in 0..20 {
        let mailbox = format!("m{number}");
        murder.create("a", &mailbox);
        murder.pass(2 * SECOND);
        murder.create("b", &mailbox);
        murder.say("a", &delete(&mailbox));
        murder.pass(3 * SECOND);
        assert_eq!(murder.table.open_changes(), 1);
        assert!(!murder.say("b", &delete(&mailbox)), "that is an echo");
        murder.check();
        assert_eq!(murder.table.open_changes(), 0);
    }
    murder.pass(PATIENCE);
    let server = murder.server();
    assert_eq!((murder.missing(), murder.leader(), server.lead_changed), (0, "a", None));
    assert_eq!((server.lags.count(), server.lags.longest()), (60, 3 * SECOND));
    assert_eq!((server.speakers[0].changes, server.speakers[1].echoes), (62, 62));
    assert_eq!(murder.news, []);
}

#[test]
fn a_single_speaker_has_nothing_to_wait_for() {
    let mut murder = Murder::new();
    for number in 0..100 {
        murder.create("a", &format!("m{number}"));
    }
    assert_eq!(murder.table.open_changes(), 0);
    // The same backend at another address is no pair yet.
    murder.create("c", "m");
    murder.create("c", "n");
    assert_eq!((murder.table.open_changes(), murder.leader()), (0, "c"));
}

#[test]
fn a_declared_member_that_is_silent_is_waited_for() {
    let mut murder = Murder::new();
    let declare = |members: &[&str]| -> BTreeMap<Bytes, BTreeSet<String>> {
        [("be".into(), members.iter().map(|&member| member.to_owned()).collect())].into()
    };
    murder.table.declare(PATIENCE, declare(&["a", "b"]));
    murder.create("a", "m");
    murder.pass(PATIENCE);
    assert_eq!((murder.missing(), murder.table.waiting_names(b"be", 9)), (1, vec![name("m")]));
    murder.create("b", "m");
    assert_eq!((murder.missing(), murder.table.open_changes(), murder.leader()), (0, 0, "a"));
    murder.check();

    // With one login for both behind one address there is nobody else to wait for.
    let mut murder = Murder::new();
    murder.table.declare(PATIENCE, declare(&["murder"]));
    murder.create("a", "m");
    murder.create("a", "m");
    assert_eq!(murder.table.open_changes(), 0);
}

#[test]
fn echoes_that_do_not_come_are_missing_until_they_do() {
    let mut murder = Murder::pair();
    murder.create("a", "m");
    murder.create("a", "n");
    murder.pass(PATIENCE - SECOND);
    assert_eq!(murder.missing(), 0);
    murder.pass(SECOND);
    assert_eq!(murder.missing(), 2);
    assert_eq!(murder.table.waiting_names(b"be", 1), [name("m")]);
    assert_eq!(murder.table.oldest_missing(&murder.server().speakers[0]), Some(murder.now - PATIENCE));
    murder.say("b", &reserve("m", PLACE));
    assert_eq!(murder.missing(), 1, "the rest of it is waited for anew");
    murder.pass(PATIENCE);
    assert_eq!(murder.missing(), 2);
    murder.say("b", &activate("m", PLACE, "x"));
    murder.say("b", &activate("n", PLACE, "x"));
    assert_eq!((murder.missing(), murder.table.open_changes()), (0, 0));
    murder.check();
}

#[test]
fn a_failover_moves_the_lead_and_tells_what_may_be_lost() {
    let mut murder = Murder::pair();
    murder.create("a", "lost");
    murder.pass(5 * SECOND);
    murder.say("b", &reserve("new", PLACE));
    assert_eq!(murder.leader(), "a", "one change is a chance");
    murder.say("b", &activate("new", PLACE, "x"));
    assert_eq!((murder.leader(), murder.server().lead_changed), ("b", Some(murder.now)));
    let who = |address: &str| ("murder".to_owned(), address.to_owned());
    let lead = News::Lead { server: "be".into(), now: who("b"), before: who("a"), open: 1 };
    assert_eq!(murder.news, [lead]);
    assert_eq!(murder.table.waiting_names(b"be", 9), [name("lost")], "what is left is named at once");
    murder.pass(PATIENCE);
    assert_eq!(murder.missing(), 1, "a is gone, and the new leader has no echo");
    assert_eq!(super::super::left_of(murder.server()), 1);
    // a comes back, as the replica.
    murder.create("a", "new");
    assert_eq!((murder.leader(), murder.missing()), ("b", 0));
    murder.say("b", &delete("lost"));
    murder.say("a", &delete("lost"));
    assert_eq!(murder.table.open_changes(), 0);
    murder.check();
}

#[test]
fn late_echoes_are_no_lead() {
    let mut murder = Murder::pair();
    murder.say("a", &activate("first", PLACE, "1"));
    murder.say("a", &activate("first", PLACE, "2"));
    murder.say("a", &delete("first"));
    murder.create("a", "first");
    murder.pass(SECOND);
    assert!(murder.say("b", &activate("first", PLACE, "1")));
    assert!(murder.say("b", &activate("first", PLACE, "2")));
    assert!(murder.say("b", &delete("first")));
    assert!(murder.say("b", &reserve("first", PLACE)));
    assert_eq!(murder.table.open_changes(), 1);
    assert!(murder.say("b", &activate("first", PLACE, "x")));
    assert_eq!((murder.table.open_changes(), murder.leader()), (0, "a"));
    assert_eq!(murder.server().late_deletions, 1, "the new one was gone for a moment");
    murder.check();
}

#[test]
fn deletions_in_time_are_not_late() {
    let mut murder = Murder::pair();
    murder.say("a", &delete("first"));
    assert!(!murder.say("b", &delete("first")));
    murder.create("a", "first");
    murder.create("b", "first");
    // This one is the other member's own.
    assert!(murder.say("b", &delete("first")));
    assert_eq!(murder.server().late_deletions, 0);
}

#[test]
fn an_echo_by_the_leader_is_proof() {
    let mut murder = Murder::pair();
    murder.say("b", &activate("first", PLACE, "y"));
    assert_eq!(murder.leader(), "a");
    murder.say("a", &activate("first", PLACE, "y"));
    assert_eq!(murder.leader(), "b");
}

#[test]
fn strangers_are_told_and_do_not_count() {
    let mut murder = Murder::pair();
    let members = ["a".to_owned(), "b".to_owned()].into();
    murder.table.declare(PATIENCE, [("be".into(), members)].into());
    murder.create("c", "theirs");
    murder.create("c", "more");
    assert_eq!((murder.leader(), murder.table.open_changes()), ("a", 0));
    let speaker = ("murder".to_owned(), "c".to_owned());
    assert_eq!(murder.news, [News::Stranger { server: "be".into(), speaker }]);
    assert!(murder.server().speakers[2].stranger);
    murder.table.declare(PATIENCE, BTreeMap::new());
    assert!(!murder.server().speakers[2].stranger);
}

#[test]
fn memory_is_bounded_and_old_things_are_given_up() {
    let mut murder = Murder::pair();
    for number in 0..OPEN + 10 {
        murder.say("a", &activate(&format!("m{number}"), PLACE, "x"));
    }
    assert_eq!(murder.table.open_changes(), OPEN);
    assert_eq!(murder.missing(), 10);
    murder.check();
    for number in 0..SPEAKERS + 5 {
        murder.create(&format!("192.0.2.{number}"), "first");
        murder.pass(SECOND);
    }
    assert_eq!((murder.server().speakers.len(), murder.leader()), (SPEAKERS, "a"));
    murder.pass(GIVEN_UP);
    assert_eq!(murder.table.open_changes(), 0);
    assert!(murder.server().speakers.len() < SPEAKERS, "the silent are forgotten");
    for number in 0..2 * SERVERS {
        murder.say("a", &reserve(&format!("s{number}"), &format!("be{number}!")));
    }
    assert_eq!(murder.table.servers.len(), SERVERS);
    murder.check();
}

proptest! {
    /// Whatever is said by whom, a replica that catches up leaves nothing open.
    #[test]
    fn who_has_said_everything_misses_nothing(
        steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..40_u64), 1..60),
        wild in prop::collection::vec((0..4_u8, 0..5_u8, 0..3_u8), 0..60),
    ) {
        const NAMES: [&str; 3] = ["m", "n", "o"];
        let act = |kind: u8, mailbox: &str| match kind {
            0 => reserve(mailbox, PLACE),
            1 => activate(mailbox, PLACE, "1"),
            2 => activate(mailbox, PLACE, "2"),
            _ => delete(mailbox),
        };
        let mut murder = Murder::pair();
        let mut said = std::collections::VecDeque::new();
        for (kind, mailbox, lag) in steps {
            let action = act(kind, NAMES[usize::from(mailbox)]);
            murder.say("a", &action);
            said.push_back(action);
            // The replica says the same in the same sequence, now and then.
            if lag < 20 {
                while let Some(action) = said.pop_front() {
                    murder.say("b", &action);
                }
            }
            murder.pass(Duration::from_secs(lag));
            murder.check();
        }
        for (kind, who, mailbox) in wild {
            murder.say(["a", "b", "c", "d", "e"][usize::from(who)], &act(kind, NAMES[usize::from(mailbox)]));
            murder.pass(SECOND);
            murder.check();
        }
        murder.pass(2 * GIVEN_UP);
        prop_assert_eq!(murder.table.open_changes(), 0);
        murder.check();
    }
}

#[test]
fn nobody_is_followed_whose_name_is_too_long() {
    let mut murder = Murder::new();
    for number in 0..3 {
        let place = format!("{}{number}!p", "s".repeat(1 << 16));
        assert!(murder.say("a", &reserve(&format!("m{number}"), &place)));
    }
    assert_eq!(murder.table.servers().count(), 0);
    murder.create("a", "m");
    assert_eq!(murder.table.servers().count(), 1);
}
