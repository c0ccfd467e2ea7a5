//! Of a real directory.

use mupdate_core::{
    directory::{Action, Refusal, Verdict},
    server::Reply,
};
use mupdate_proto::ServerName;

use super::*;
use crate::{
    fixture::{activate, reserve},
    inbox::Inbox,
    pairs::PairSettings,
    service::fixture::Host,
    writer::{Job, Origin},
};

/// The board of a service.
struct Stand {
    admin: Admin,
    _host: Host,
}

impl Stand {
    fn new() -> Self {
        let host = Host::new("");
        let (service, data_dir) = (Arc::clone(&host.service), host.data_dir().into());
        let started = SystemTime::now();
        let admin = Admin { service, program: "mupdated", data_dir, started, board: Board::default() };
        Self { admin, _host: host }
    }

    /// Ask the writer, as this user, and wait for what it says.
    fn ask(&self, user: &str, action: Action) -> Verdict {
        let (said, heard) = std::sync::mpsc::channel();
        let inbox = Inbox::new(Box::new(move || said.send(()).unwrap_or_default()));
        let origin = Origin { principal: user.into(), peer: "192.0.2.1:9".into() };
        self.admin.service.writer.submit(Job::Action {
            action,
            origin,
            ticket: 0.into(),
            inbox: Arc::clone(&inbox),
        });
        heard.recv_timeout(Duration::from_secs(60)).expect("an answer");
        match inbox.take().replies.into_iter().next() {
            Some((_, Reply::Submitted(verdict))) => verdict,
            other => panic!("{other:?}"),
        }
    }

    fn activate(&self, user: &str, mailbox: &str, location: &str) -> Verdict {
        self.ask(user, activate(mailbox, location, "x"))
    }

    fn reserve(&self, user: &str, mailbox: &str, location: &str) -> Verdict {
        self.ask(user, reserve(mailbox, location))
    }

    /// As if a second had gone.
    fn state(&self) -> (Made, State) {
        lock(&self.admin.board.making).due = None;
        let made = self.admin.board.state(&self.admin).expect("readable");
        let state = serde_json::from_slice(&made.json).expect("what was written is read");
        (made, state)
    }
}

#[test]
fn it_says_what_was_done() {
    let stand = Stand::new();
    for number in 0..3 {
        stand.activate("be1", &format!("user.{number}"), "be1!p").expect("nobody has it");
    }
    stand.activate("be2", "user.0", "be2!p").expect("taken");
    let refused = stand.reserve("be3", "user.0", "be3!p");
    assert!(matches!(refused, Err(Refusal::AlreadyExists { .. })), "{refused:?}");
    let (_, state) = stand.state();
    let hosts: Vec<_> = state.hosts.iter().map(|host| (host.server.to_display(), host.active)).collect();
    assert_eq!(hosts, [("be1".into(), 2), ("be2".into(), 1)]);
    assert!(state.hosts.iter().all(|host| host.heard_ms.is_some_and(|at| at <= state.now_ms)));
    assert_eq!((state.minutes.changes, state.minutes.refused), (vec![4], vec![1]));
    let [takeover] = &state.takeovers[..] else { panic!("{:?}", state.takeovers) };
    assert_eq!((takeover.mailbox.to_display().as_ref(), takeover.after.acl.as_ref()), ("user.0", None));
    let [refused] = &state.refusals[..] else { panic!("{:?}", state.refusals) };
    assert_eq!(refused.reason, "mailbox already exists, held by be2!p");
    assert_eq!((refused.user.as_str(), refused.mailbox.as_ref()), ("be3", Some(&Text::from("user.0"))));
    assert_eq!((state.status.active, state.status.writer.takeovers), (3, 1));
}

#[test]
fn what_has_not_changed_has_the_same_number() {
    let stand = Stand::new();
    let (first, _) = stand.state();
    let shared = stand.admin.board.state(&stand.admin).expect("readable");
    assert!(Arc::ptr_eq(&first.json, &shared.json), "made for both");
    stand.activate("be1", "user.a", "be1!p").expect("nobody has it");
    let (second, _) = stand.state();
    assert_ne!(first.number, second.number);
    stand.activate("be2", "user.a", "be2!p").expect("taken");
    let (_, third) = stand.state();
    stand.activate("be1", "user.a", "be1!p").expect("taken back");
    let (_, fourth) = stand.state();
    let of = |state: &State| state.takeovers.iter().map(|entry| entry.revision).collect::<Vec<_>>();
    assert_eq!((of(&third), of(&fourth)), (vec![2], vec![3, 2]), "each is read once");
}

#[test]
fn pairs_that_want_looking_at_come_first() {
    let stand = Stand::new();
    for (user, mailbox) in [("be1", "user.a"), ("be2", "user.a"), ("be1", "user.b"), ("be2", "user.b")] {
        stand.activate(user, mailbox, "quiet!p").expect("theirs");
    }
    // Who speaks is heard after the answer, but before the next change.
    stand.reserve("be1", "user.a", "other!p").expect_err("it is taken");
    let (_, state) = stand.state();
    let [pair] = &state.pairs[..] else { panic!("{:?}", state.pairs) };
    assert_eq!((pair.server.to_display().as_ref(), pair.speakers[0].user.as_str()), ("quiet", "be1"));
    assert!(pair.speakers[0].leads && pair.missing == 0 && pair.lag.is_some(), "{pair:?}");
    let name = |number: usize| ServerName::new(format!("silent{number:03}")).expect("legal");
    let members = (0..PAIRS + 2).map(|number| (name(number), ["x".to_owned(), "y".to_owned()].into()));
    let settings = PairSettings { members: members.collect(), ..PairSettings::default() };
    stand.admin.service.pairs.declare(&settings);
    let (_, state) = stand.state();
    assert_eq!((state.pairs.len(), state.pairs_left_out), (PAIRS, 3));
    assert!(state.pairs.iter().all(|pair| pair.silent == ["x", "y"]), "the one that is well is left out");
}

#[test]
fn it_has_a_bound() {
    let stand = Stand::new();
    let name = |number: usize| format!("be{number:04}{}", "x".repeat(400));
    for number in 0..HOSTS + 7 {
        let mailbox = format!("user.{number}");
        stand.activate("be", &mailbox, &format!("{}!p", name(number))).expect("nobody has it");
        stand.activate("be", &mailbox, &format!("{}!q", name(number))).expect("moved");
    }
    stand.activate("be", "user.more", &format!("{}!p", name(150))).expect("nobody has it");
    let (made, state) = stand.state();
    assert_eq!((state.hosts.len(), state.hosts_left_out), (HOSTS, 7));
    assert!(state.hosts[0].server.to_display().starts_with("be0150"), "who has most comes first");
    assert!(made.json.len() < 200_000, "{} octets", made.json.len());
}
