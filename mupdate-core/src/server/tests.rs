//! What transcripts cannot show: time, back-pressure, stale answers, layers. The dialogue itself is tested by the
//! transcripts of the workspace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mupdate_proto::Role;

use super::*;
use crate::directory::Refusal;

mod pace;
mod time;
mod writes;

const START: &str = "A AUTHENTICATE \"PLAIN\" \"AHUAcA==\"\r\n";

struct Peer {
    session: ServerSession,
    out: BytesMut,
    now: Instant,
}

impl Peer {
    fn new(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::of(ServerSession::new, change)
    }

    fn of(
        session: fn(Arc<ServerConfig>, LayerFacts, Instant) -> ServerSession,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let mut config = ServerConfig { host: "h".into(), ..ServerConfig::default() };
        change(&mut config);
        let facts = LayerFacts { mechanisms: vec!["PLAIN".into()], starttls: true, ..LayerFacts::default() };
        // Instants can only be had from the clock; what the session does depends on their differences alone.
        #[expect(clippy::disallowed_methods)]
        let now = Instant::now();
        Self { session: session(Arc::new(config), facts, now), out: BytesMut::new(), now }
    }

    fn logged_in(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut peer = Self::new(change);
        let _banner = peer.poll();
        peer.take();
        assert_eq!(peer.session.principal(), None);
        let ticket = peer.asked(START);
        peer.session.reply(ticket, Reply::Auth(AuthReply::Accepted { principal: "u".into() }));
        assert_eq!(peer.poll(), Output::Blocked(On::Input));
        assert_eq!(peer.session.principal(), Some("u"));
        peer.take();
        peer
    }

    fn streaming(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut peer = Self::logged_in(change);
        let ticket = peer.asked("U UPDATE\r\n");
        peer.session.reply(ticket, Reply::Subscribed);
        let ticket = peer.request(&Request::Walk(Scope::All));
        peer.session.rows(ticket, &mut peer.out).finish(Finish::End);
        let ticket = peer.request(&Request::Reannounce);
        peer.session.reply(ticket, Reply::Reannounced { revision: 7 });
        peer
    }

    fn poll(&mut self) -> Output {
        self.session.poll(&mut self.out, self.now)
    }

    fn send(&mut self, text: &str) -> Output {
        self.session.receive(text.as_bytes(), self.now);
        self.poll()
    }

    fn asked(&mut self, text: &str) -> Ticket {
        match self.send(text) {
            Output::Request(ticket, _) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn request(&mut self, wanted: &Request) -> Ticket {
        match self.poll() {
            Output::Request(ticket, request) if request == *wanted => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// What was written since last asked, flushed.
    fn take(&mut self) -> String {
        String::from_utf8(self.out.split().to_vec()).unwrap()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }
}

#[test]
fn changes_are_held_back_after_the_ok_of_update() {
    let mut peer = Peer::streaming(|_| ());
    assert!(!peer.session.streaming());
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    assert!(peer.session.streaming());
    assert_eq!(peer.session.poll_timeout(), None, "the hold begins when the OK has left");
    assert!(peer.take().ends_with("U OK \"streaming starts\"\r\n"));
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    assert_eq!(peer.session.poll_timeout(), Some(peer.now + Duration::from_millis(300)));
    peer.session.changed();
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    peer.pass(Duration::from_millis(300));
    let ticket = peer.request(&Request::Drain);
    let mut rows = peer.session.rows(ticket, &mut peer.out);
    rows.row(Row { name: b"a", location: b"s!p", acl: Some(b"x\tl\t") });
    rows.gone(b"b");
    rows.finish(Finish::Drained { position: 2, more: false, revision: 9 });
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    assert_eq!(peer.take(), "U MAILBOX \"a\" \"s!p\" \"x\tl\t\"\r\nU DELETE \"b\"\r\n");
}

#[test]
fn noop_ends_the_hold_and_waits_only_for_what_was_there() {
    let mut peer = Peer::streaming(|_| ());
    let ticket = peer.asked("N1 NOOP\r\n");
    peer.session.reply(ticket, Reply::Barrier { position: 3 });
    let ticket = peer.request(&Request::Drain);
    peer.session.rows(ticket, &mut peer.out).finish(Finish::Drained { position: 2, more: true, revision: 7 });
    let ticket = peer.request(&Request::Drain);
    assert!(!peer.take().contains("N1"), "something that was there has not been given yet");
    peer.session.rows(ticket, &mut peer.out).finish(Finish::Drained { position: 3, more: true, revision: 8 });
    let ticket = peer.request(&Request::Drain);
    assert_eq!(peer.take(), "N1 OK \"Noop done\"\r\n", "answered although the feed is not empty");
    peer.session.rows(ticket, &mut peer.out).finish(Finish::Drained {
        position: 9,
        more: false,
        revision: 9,
    });
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
}

#[test]
fn a_noop_proves_what_the_one_before_it_gave() {
    let mut peer = Peer::streaming(|_| ());
    let noop = |peer: &mut Peer, revision| {
        let mut proven = None;
        let ticket = match peer.send("N NOOP\r\n") {
            Output::Note(Note::Synced(revision)) => {
                proven = Some(revision);
                peer.request(&Request::Barrier)
            }
            Output::Request(ticket, Request::Barrier) => ticket,
            other => panic!("{other:?}"),
        };
        peer.session.reply(ticket, Reply::Barrier { position: 0 });
        let ticket = peer.request(&Request::Drain);
        let how = Finish::Drained { position: 0, more: false, revision };
        peer.session.rows(ticket, &mut peer.out).finish(how);
        assert_eq!(peer.poll(), Output::Blocked(On::Stream));
        proven
    };
    assert_eq!(noop(&mut peer, 8), None, "nothing proves that the dump was read");
    assert_eq!(noop(&mut peer, 9), Some(8));
    assert_eq!(noop(&mut peer, 9), Some(9));
    assert_eq!(noop(&mut peer, 9), None, "nothing new");
}

#[test]
fn a_failed_login_is_answered_late_and_ends_the_session_in_the_end() {
    let mut peer = Peer::new(|config| config.login_failures = 2);
    let ticket = peer.asked(START);
    peer.session.reply(ticket, Reply::Auth(AuthReply::Rejected { text: "no".into(), delay: Duration::ZERO }));
    peer.take();
    assert_eq!(peer.send("X NOOP\r\n"), Output::Blocked(On::Reply));
    assert_eq!(peer.take(), "", "neither the answer nor what is pipelined behind it");
    peer.pass(Duration::from_secs(1));
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "A NO \"no\"\r\nX BAD \"Please login first\"\r\n");
    let ticket = peer.asked(START);
    peer.session
        .reply(ticket, Reply::Auth(AuthReply::Rejected { text: "no".into(), delay: Duration::from_secs(4) }));
    assert_eq!(peer.poll(), Output::Blocked(On::Reply));
    peer.pass(Duration::from_secs(3));
    assert_eq!(peer.poll(), Output::Blocked(On::Reply), "whoever refused it wants it held back for longer");
    peer.pass(Duration::from_secs(1));
    assert_eq!(peer.poll(), Output::Closed(Reason::LoginsFailed));
    assert_eq!(peer.take(), "A NO \"no\"\r\n* BYE \"too many failed logins\"\r\n");
}

#[test]
fn pages_wait_for_their_reader() {
    let mut peer = Peer::logged_in(|config| config.high_water = 100);
    let ticket = peer.asked("L LIST\r\n");
    let mut rows = peer.session.rows(ticket, &mut peer.out);
    while !rows.full() {
        rows.row(Row { name: b"user.a", location: b"s!p", acl: None });
    }
    rows.finish(Finish::More);
    assert_eq!(peer.poll(), Output::Blocked(On::Flush));
    assert_eq!(peer.poll(), Output::Blocked(On::Flush));
    peer.take();
    let ticket = peer.request(&Request::More);
    peer.session.rows(ticket, &mut peer.out).finish(Finish::End);
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "L OK \"list complete\"\r\n");
}

#[test]
fn stale_and_repeated_answers_are_ignored() {
    let mut peer = Peer::logged_in(|_| ());
    let first = peer.asked("X DELETE \"a\"\r\n");
    peer.session.reply(first, Reply::Submitted(Ok(())));
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    let second = peer.asked("Y DELETE \"a\"\r\n");
    peer.session.reply(first, Reply::Submitted(Err(Refusal::DoesNotExist)));
    peer.session.rows(first, &mut peer.out).gone(b"a");
    peer.session.rows(first, &mut peer.out).finish(Finish::End);
    assert_eq!(peer.poll(), Output::Blocked(On::InputOrReply));
    peer.session.reply(second, Reply::Submitted(Ok(())));
    peer.session.reply(second, Reply::Submitted(Ok(())));
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "X OK \"done\"\r\nY OK \"done\"\r\n");
}

#[test]
fn stale_rows_are_not_shown() {
    let mut peer = Peer::logged_in(|_| ());
    let first = peer.asked("X FIND \"a\"\r\n");
    peer.session.rows(first, &mut peer.out).finish(Finish::End);
    let second = peer.asked("Y FIND \"b\"\r\n");
    peer.session.rows(first, &mut peer.out).row(Row { name: b"a", location: b"s!p", acl: None });
    let mut rows = peer.session.rows(second, &mut peer.out);
    rows.row(Row { name: b"b", location: b"s!p", acl: None });
    rows.finish(Finish::End);
    let ok = |tag: &str| format!("{tag} OK \"Search completed\"\r\n");
    assert_eq!(peer.take(), format!("{}Y RESERVE \"b\" \"s!p\"\r\n{}", ok("X"), ok("Y")));
}

#[test]
fn names_and_locations_may_be_as_long_as_the_store_can_keep() {
    let long = |config: &mut ServerConfig| (config.name_limit, config.location_limit) = (3, 5);
    for (command, refusal) in [
        ("RESERVE \"abc\" \"s!pqr\"", None),
        ("RESERVE \"abcd\" \"s!\"", Some("mailbox name is too long")),
        ("RESERVE \"abc\" \"s!pqrs\"", Some("location is too long")),
    ] {
        let mut peer = Peer::logged_in(long);
        let output = peer.send(&format!("X {command}\r\n"));
        assert_eq!(matches!(output, Output::Request(_, Request::Submit(_))), refusal.is_none(), "{output:?}");
        assert_eq!(peer.take(), refusal.map_or(String::new(), |text| format!("X NO \"{text}\"\r\n")));
    }
}

#[test]
fn what_could_not_be_done_is_answered_no() {
    let mut peer = Peer::logged_in(|_| ());
    for command in ["X DELETE \"a\"\r\n", "X FIND \"a\"\r\n", "X LIST\r\n", "X UPDATE\r\n"] {
        let ticket = peer.asked(command);
        peer.session.reply(ticket, Reply::Failed("storage is full".into()));
        assert_eq!(peer.poll(), Output::Blocked(On::Input));
        assert_eq!(peer.take(), "X NO \"storage is full\"\r\n");
    }
    assert!(!peer.session.streaming());
}

#[test]
fn a_layer_comes_after_its_ok_has_left() {
    let mut peer = Peer::logged_in(|_| ());
    assert_eq!(peer.send("Z COMPRESS \"DEFLATE\"\r\n"), Output::Blocked(On::Flush));
    assert!(!peer.session.wants_input());
    assert_eq!(peer.take(), "Z OK \"DEFLATE active\"\r\n");
    assert_eq!(peer.poll(), Output::Upgrade(Layer::Deflate));
    assert!(!peer.session.wants_input());
    peer.session.resume(LayerFacts { compressed: true, ..LayerFacts::default() }, peer.now);
    assert_eq!(peer.send("Z COMPRESS \"DEFLATE\"\r\n"), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "Z BAD \"DEFLATE is already active\"\r\n");
}

#[test]
fn the_banner_comes_again_inside_tls_and_nothing_may_be_injected() {
    let mut peer = Peer::new(|_| ());
    assert_eq!(peer.send("S STARTTLS\r\n"), Output::Blocked(On::Flush));
    assert!(peer.take().contains("* STARTTLS\r\n"));
    assert_eq!(peer.poll(), Output::Upgrade(Layer::Tls));
    peer.pass(Duration::from_secs(50));
    peer.session.resume(LayerFacts { tls: true, starttls: true, ..LayerFacts::default() }, peer.now);
    let login_by = peer.now + Duration::from_secs(60);
    assert_eq!(peer.session.poll_timeout(), Some(login_by), "a handshake takes no time from the login");
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    let banner = peer.take();
    assert!(banner.contains("* OK MUPDATE \"h\"") && !banner.contains("STARTTLS"), "{banner}");

    let mut peer = Peer::new(|_| ());
    assert_eq!(peer.send("S STARTTLS\r\nX NOOP\r\n"), Output::Closed(Reason::Injected(Layer::Tls)));
    assert!(!peer.take().contains('X'));
}

#[test]
fn a_connection_that_begins_with_tls_is_greeted_inside() {
    let mut peer = Peer::of(ServerSession::behind_tls, |_| ());
    assert!(matches!(peer.poll(), Output::Blocked(_)));
    assert_eq!(peer.take(), "");
    peer.session.resume(LayerFacts { tls: true, ..LayerFacts::default() }, peer.now);
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert!(peer.take().contains("* OK MUPDATE \"h\""));
}

#[test]
fn shutdown_waits_for_the_answer_in_flight() {
    let mut peer = Peer::logged_in(|_| ());
    let ticket = peer.asked("X DELETE \"a\"\r\nY DELETE \"b\"\r\n");
    peer.session.shutdown("shutting down");
    assert_eq!(peer.poll(), Output::Blocked(On::Reply));
    peer.session.reply(ticket, Reply::Submitted(Ok(())));
    assert!(matches!(peer.poll(), Output::Closed(Reason::Bye(_))));
    assert_eq!(peer.take(), "X OK \"done\"\r\n* BYE \"shutting down\"\r\n");
    assert!(matches!(peer.send("Z NOOP\r\n"), Output::Closed(Reason::Bye(_))));
    assert_eq!(peer.take(), "");
}

#[test]
fn what_came_before_the_end_of_input_is_carried_out() {
    let mut peer = Peer::logged_in(|_| ());
    peer.session.receive(b"X DELETE \"a\"\r\n", peer.now);
    peer.session.receive_eof();
    let ticket = match peer.poll() {
        Output::Request(ticket, _) => ticket,
        other => panic!("{other:?}"),
    };
    peer.session.reply(ticket, Reply::Submitted(Ok(())));
    assert_eq!(peer.poll(), Output::Closed(Reason::EndOfInput));
    assert_eq!(peer.take(), "X OK \"done\"\r\n");
}

#[test]
fn who_is_gone_gets_its_changes_but_no_lists() {
    let mut peer = Peer::logged_in(|_| ());
    let list = peer.asked("L LIST\r\nX DELETE \"a\"\r\nL LIST\r\nF FIND \"a\"\r\nU UPDATE\r\n");
    peer.session.abandon();
    assert!(!peer.session.wants_input());
    peer.session.rows(list, &mut peer.out).finish(Finish::More);
    let ticket = match peer.poll() {
        Output::Request(ticket, Request::Submit(_)) => ticket,
        other => panic!("{other:?}"),
    };
    peer.session.reply(ticket, Reply::Submitted(Ok(())));
    assert_eq!(peer.poll(), Output::Closed(Reason::EndOfInput));

    let mut peer = Peer::streaming(|_| ());
    peer.session.abandon();
    peer.session.changed();
    assert_eq!(peer.poll(), Output::Closed(Reason::EndOfInput));
}

#[test]
fn reading_stops_while_an_answer_is_awaited_and_much_is_buffered() {
    let mut peer = Peer::logged_in(|_| ());
    let ticket = peer.asked("X DELETE \"a\"\r\n");
    assert!(peer.session.wants_input());
    let ahead = "Y DELETE \"a\"\r\n".repeat(READ_AHEAD / 10);
    let (last_wanted, too_much) = ahead.as_bytes()[..READ_AHEAD].split_at(READ_AHEAD - 1);
    peer.session.receive(last_wanted, peer.now);
    assert!(peer.session.wants_input());
    peer.session.receive(too_much, peer.now);
    assert!(!peer.session.wants_input());
    peer.session.reply(ticket, Reply::Submitted(Ok(())));
    assert!(matches!(peer.poll(), Output::Request(..)));
}

#[test]
fn an_order_is_learned_from_what_is_asked_after_list() {
    let mut peer = Peer::logged_in(|_| ());
    let ticket = peer.asked("L LIST \"s!\"\r\n");
    peer.session.rows(ticket, &mut peer.out).finish(Finish::End);
    for name in ["a-b", "a.b"] {
        let ticket = peer.asked(&format!("F FIND \"{name}\"\r\n"));
        peer.session.rows(ticket, &mut peer.out).finish(Finish::End);
    }
    let output = peer.send("Q LOGOUT\r\n");
    let server = mupdate_proto::ServerName::new("s").unwrap();
    assert_eq!(output, Output::Note(Note::Learned { server, order: crate::directory::Order::Octet }));
    assert_eq!(peer.poll(), Output::Closed(Reason::Logout));
}

#[test]
fn a_stream_that_cannot_go_on_says_so() {
    let mut peer = Peer::streaming(|_| ());
    let ticket = peer.asked("N NOOP\r\n");
    peer.take();
    peer.session.reply(ticket, Reply::Failed("storage is broken".into()));
    // The NOOP has ended the hold: what waits in the feed goes out unasked.
    let ticket = peer.request(&Request::Drain);
    assert_eq!(peer.take(), "N NO \"storage is broken\"\r\n");
    peer.session.reply(ticket, Reply::Failed("storage is broken".into()));
    assert_eq!(peer.poll(), Output::Closed(Reason::Bye("storage is broken".into())));
    assert_eq!(peer.take(), "* BYE \"storage is broken\"\r\n");
}

#[test]
fn a_layer_that_was_not_asked_for_changes_nothing() {
    let mut peer = Peer::logged_in(|_| ());
    peer.session.resume(LayerFacts { compressed: true, ..LayerFacts::default() }, peer.now);
    assert_eq!(peer.send("Z COMPRESS \"DEFLATE\"\r\n"), Output::Blocked(On::Flush));
    assert_eq!(peer.take(), "Z OK \"DEFLATE active\"\r\n");
}

#[test]
fn nothing_is_waited_for_after_the_end() {
    let mut peer = Peer::new(|_| ());
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.session.poll_timeout(), Some(peer.now + Duration::from_secs(60)));
    assert_eq!(peer.send("Q LOGOUT\r\n"), Output::Closed(Reason::Logout));
    assert_eq!(peer.session.poll_timeout(), None);
    assert!(!peer.session.wants_input());
}

#[test]
fn a_replica_takes_no_changes() {
    let mut peer = Peer::logged_in(|config| config.role = Role::Replica("mupdate://master.test".into()));
    for command in
        ["RESERVE \"a\" \"s!\"", "ACTIVATE \"a\" \"s!\" \"\"", "DEACTIVATE \"a\" \"s!\"", "DELETE \"a\""]
    {
        assert_eq!(peer.send(&format!("X {command}\r\n")), Output::Blocked(On::Input));
        assert_eq!(peer.take(), "X BAD \"read-only session\"\r\n");
    }
    assert!(matches!(peer.send("X FIND \"a\"\r\n"), Output::Request(_, Request::Find(_))));
}

#[test]
fn a_replica_that_is_promoted_takes_changes_on_open_connections() {
    let replica = Role::Replica("mupdate://master.test".into());
    let mut peer = Peer::logged_in(|config| config.role = replica.clone());
    peer.session.set_role(&Role::Master);
    assert!(matches!(peer.send("X DELETE \"a\"\r\n"), Output::Request(_, Request::Submit(_))));
    let mut peer = Peer::logged_in(|_| ());
    peer.session.set_role(&replica);
    assert_eq!(peer.send("X DELETE \"a\"\r\n"), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "X BAD \"read-only session\"\r\n");
}

/// The runtime's fault, and loud in a debug build. The peer's command is answered nevertheless.
#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "is no answer to"))]
fn an_answer_to_another_question_is_noticed() {
    let mut peer = Peer::logged_in(|_| ());
    let ticket = peer.asked("X DELETE \"a\"\r\n");
    peer.session.reply(ticket, Reply::Subscribed);
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "X NO \"internal error\"\r\n");
}

/// As above.
#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "does not end"))]
fn rows_for_a_question_without_rows_are_noticed() {
    let mut peer = Peer::logged_in(|_| ());
    let ticket = peer.asked("U UPDATE\r\n");
    peer.session.rows(ticket, &mut peer.out).finish(Finish::End);
    assert_eq!(peer.take(), "U NO \"internal error\"\r\n");
}
