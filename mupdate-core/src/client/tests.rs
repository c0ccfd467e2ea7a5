//! The client against what servers say, Cyrus's own included.

use bytes::{Bytes, BytesMut};
use mupdate_proto::{Limits, MailboxName, Status, Verb};

use super::*;

const BANNER: &str =
    "* AUTH \"PLAIN\"\r\n* PARTIAL-UPDATE\r\n* OK MUPDATE \"h\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";

fn connected() -> ClientSession {
    let mut session = ClientSession::new(Limits::default());
    session.receive(BANNER.as_bytes());
    assert!(matches!(session.poll(), Output::Event(Event::Banner(_))));
    session
}

fn find(session: &mut ClientSession) -> Tag {
    session.send(Verb::Find { mailbox: MailboxName::new("user.a").unwrap() }, &mut BytesMut::new())
}

#[test]
fn an_exchange_with_cyrus() {
    let mut session = connected();
    let mut out = BytesMut::new();
    let verb = Verb::Authenticate { mechanism: Bytes::from_static(b"PLAIN"), initial: None };
    let tag = session.send(verb, &mut out);
    assert_eq!(&out[..], b"C1 AUTHENTICATE \"PLAIN\"\r\n");
    session.receive(b"\r\n");
    assert_eq!(session.poll(), Output::Event(Event::Challenge(Vec::new())));
    session.receive(b"C1 OK \"Authenticated\"\r\n");
    let text = Bytes::from_static(b"Authenticated");
    assert_eq!(session.poll(), Output::Event(Event::Completed { tag, status: Status::Ok, text }));
    let tag = find(&mut session);
    session
        .receive(b"C2 MAILBOX {6+}\r\nuser.a {3+}\r\ns!p {4+}\r\nx\tl\t\r\nC2 OK \"Search completed\"\r\n");
    let Output::Event(Event::Data(Response::Mailbox { name, .. })) = session.poll() else {
        panic!("no data")
    };
    assert_eq!(&name[..], b"user.a");
    assert!(matches!(session.poll(), Output::Event(Event::Completed { tag: t, .. }) if t == tag));
    assert_eq!(session.poll(), Output::Blocked);
    assert_eq!(session.unanswered(), 0);
}

#[test]
fn a_stream_goes_on_after_its_ok() {
    let mut session = connected();
    session.send(Verb::Update { servers: Vec::new() }, &mut BytesMut::new());
    session.receive(b"C1 OK \"streaming starts\"\r\nC1 DELETE \"user.a\"\r\n");
    assert!(matches!(session.poll(), Output::Event(Event::Completed { .. })));
    assert!(matches!(session.poll(), Output::Event(Event::Data(Response::Delete { .. }))));
}

#[test]
fn mailboxes_can_be_counted_where_they_lie() {
    let mut session = connected();
    let mut mailboxes = 0;
    assert_eq!(session.poll_counting(&mut mailboxes), Output::Blocked, "nobody has asked");
    session.send(Verb::List { prefix: None }, &mut BytesMut::new());
    find(&mut session);
    session.receive(
        b"C1 MAILBOX \"a\" \"s!p\" \"\"\r\nC1 RESERVE \"b\" \"s!p\"\r\nC1 MAILBOX {1+}\r\nc \"s\" \"\"\r\n",
    );
    assert!(matches!(
        session.poll_counting(&mut mailboxes),
        Output::Event(Event::Data(Response::Reserve { .. }))
    ));
    session.receive(b"C1 OK \"list complete\"\r\nC2 MAILBOX \"a\" \"s!p\" \"\"\r\n");
    assert!(matches!(session.poll_counting(&mut mailboxes), Output::Event(Event::Completed { .. })));
    assert_eq!(mailboxes, 2);
    assert_eq!(session.poll_counting(&mut mailboxes), Output::Blocked);
    assert_eq!(mailboxes, 3, "it is the next command's turn");
}

#[test]
fn answers_out_of_turn_end_the_session() {
    let mut session = connected();
    find(&mut session);
    let second = find(&mut session);
    session.receive(b"C2 OK \"Search completed\"\r\n");
    assert_eq!(session.poll(), Output::Closed(Reason::Violation(Violation::UnaskedAnswer(second))));
}

#[test]
fn a_tagged_bye_answers_nothing_but_logout() {
    let mut session = connected();
    let tag = session.send(Verb::Logout, &mut BytesMut::new());
    session.receive(b"C1 BYE \"bye-bye\"\r\n");
    let text = Bytes::from_static(b"bye-bye");
    assert_eq!(session.poll(), Output::Event(Event::Completed { tag, status: Status::Bye, text }));
    let tag = find(&mut session);
    session.receive(b"C2 BYE \"bye-bye\"\r\n");
    assert_eq!(session.poll(), Output::Closed(Reason::Violation(Violation::UnaskedAnswer(tag))));
}

#[test]
fn data_that_nobody_asked_for_ends_the_session() {
    let mut session = connected();
    find(&mut session);
    session.receive(b"C1 DELETE \"user.a\"\r\n");
    assert!(matches!(session.poll(), Output::Closed(Reason::Violation(Violation::UnaskedData(_)))));
}

#[test]
fn a_refused_connection_says_why() {
    let mut session = ClientSession::new(Limits::default());
    session.receive(b"* BYE \"too many connections\"\r\n");
    let text = Bytes::from_static(b"too many connections");
    assert_eq!(session.poll(), Output::Event(Event::Untagged { status: Status::Bye, text }));
    session.receive_eof();
    assert_eq!(session.poll(), Output::Closed(Reason::EndOfInput));
}

/// A client in the middle of an AUTHENTICATE.
fn logging_in() -> ClientSession {
    let mut session = connected();
    let verb = Verb::Authenticate { mechanism: Bytes::from_static(b"PLAIN"), initial: None };
    session.send(verb, &mut BytesMut::new());
    session
}

/// What a session makes of a server's words: the last output, after all events.
fn end(mut session: ClientSession, words: &[u8]) -> Output {
    session.receive(words);
    loop {
        match session.poll() {
            Output::Event(_) => {}
            end => return end,
        }
    }
}

#[test]
fn commands_are_numbered_and_counted_until_they_are_answered() {
    let mut session = connected();
    assert_eq!((find(&mut session).as_bytes(), find(&mut session).as_bytes()), (&b"C1"[..], &b"C2"[..]));
    assert_eq!(session.unanswered(), 2);
    session.receive(b"C1 OK \"Search completed\"\r\n");
    assert!(matches!(session.poll(), Output::Event(Event::Completed { .. })));
    assert_eq!(session.unanswered(), 1);
}

#[test]
fn challenges_are_answered_in_base64_or_not_at_all() {
    let mut session = logging_in();
    session.receive(b"Zm9v\r\n");
    assert_eq!(session.poll(), Output::Event(Event::Challenge(b"foo".to_vec())));
    let mut out = BytesMut::new();
    session.respond(&SaslLine::Data(b"foobar".to_vec()), &mut out);
    session.respond(&SaslLine::Cancel, &mut out);
    assert_eq!(&out[..], b"Zm9vYmFy\r\n*\r\n");
}

#[test]
fn what_no_server_says_ends_the_session() {
    let long = [b"C1 OK \"", &[b'x'; 70_000][..], b"\"\r\n"].concat();
    for words in
        [&b"C1 MAILBOX {1}\r\n"[..], b"C1 OK {99999999999+}\r\n", b"C1 FROBNICATED\r\n", b"\r\n", &long]
    {
        let mut session = connected();
        find(&mut session);
        let end = end(session, words);
        assert!(matches!(end, Output::Closed(Reason::Violation(Violation::Unreadable(_)))), "{end:?}");
    }
    for challenge in [&b"*\r\n"[..], b"Zm9\r\n"] {
        let end = end(logging_in(), challenge);
        assert!(matches!(end, Output::Closed(Reason::Violation(Violation::Unreadable(_)))), "{end:?}");
    }
    let end = end(ClientSession::new(Limits::default()), b"* OK \"IMAP4rev1\"\r\n");
    assert!(matches!(end, Output::Closed(Reason::Violation(Violation::Unreadable(_)))), "{end:?}");
}

#[test]
fn a_session_that_has_ended_takes_nothing_more() {
    let mut session = connected();
    session.receive_eof();
    assert_eq!(session.poll(), Output::Closed(Reason::EndOfInput));
    session.receive(b"* BYE \"late\"\r\n");
    assert_eq!(session.poll(), Output::Closed(Reason::EndOfInput));
}

#[test]
fn untagged_words_and_leave_for_a_literal_may_come_at_any_time() {
    let mut session = connected();
    session.receive(b"* BAD \"Need command\"\r\n+ go ahead\r\n* BYE \"restart\"\r\n");
    let text = Bytes::from_static(b"Need command");
    assert_eq!(session.poll(), Output::Event(Event::Untagged { status: Status::Bad, text }));
    assert_eq!(session.poll(), Output::Event(Event::GoAhead));
    let text = Bytes::from_static(b"restart");
    assert_eq!(session.poll(), Output::Event(Event::Untagged { status: Status::Bye, text }));
}

#[test]
fn the_banner_comes_again_after_starttls_if_that_was_ok() {
    let mut session = connected();
    session.send(Verb::StartTls, &mut BytesMut::new());
    session.receive(b"C1 OK \"Begin TLS negotiation now\"\r\n");
    assert!(matches!(session.poll(), Output::Event(Event::Completed { .. })));
    session.receive(BANNER.as_bytes());
    assert!(matches!(session.poll(), Output::Event(Event::Banner(_))));

    for (verb, answer) in [(Verb::StartTls, "C1 NO \"no TLS\"\r\n"), (Verb::Noop, "C1 OK \"done\"\r\n")] {
        let mut session = connected();
        session.send(verb, &mut BytesMut::new());
        session.receive(answer.as_bytes());
        assert!(matches!(session.poll(), Output::Event(Event::Completed { .. })));
        session.receive(BANNER.as_bytes());
        assert!(matches!(session.poll(), Output::Closed(Reason::Violation(_))));
    }
}

#[test]
fn data_comes_for_lookups_and_streams_alone() {
    let mailbox = || MailboxName::new("user.a").unwrap();
    let (name, list, update) = ("\"user.a\"", Verb::List { prefix: None }, Verb::Update { servers: vec![] });
    let data = format!("C1 MAILBOX {name} \"s!p\" \"x\"\r\nC1 RESERVE {name} \"s!p\"\r\n");
    let gone = format!("C1 DELETE {name}\r\n");
    let (ok, no) = ("C1 OK \"done\"\r\n", "C1 NO \"busy\"\r\n");
    let find = Verb::Find { mailbox: mailbox() };
    let delete = Verb::Delete { mailbox: mailbox() };
    let answered = [ok, &data].concat();
    let refused = [no, &gone].concat();
    let streaming = [&data, &gone, ok, &data, &gone].concat();
    for (verb, words, legal) in [
        (&find, &data, true),
        (&list, &data, true),
        (&list, &gone, false),
        (&list, &answered, false),
        (&delete, &data, false),
        (&update, &streaming, true),
        (&update, &refused, false),
    ] {
        let mut session = connected();
        session.send(verb.clone(), &mut BytesMut::new());
        let end = end(session, words.as_bytes());
        let violation = Violation::UnaskedData(Tag::new("C1").unwrap());
        let expected = if legal { Output::Blocked } else { Output::Closed(Reason::Violation(violation)) };
        assert_eq!(end, expected, "{verb:?}: {words}");
    }
}

#[test]
fn data_under_another_tag_than_the_open_ones_is_not_asked_for() {
    let mut session = connected();
    find(&mut session);
    let end = end(session, b"C2 RESERVE \"user.a\" \"s!p\"\r\n");
    assert!(matches!(end, Output::Closed(Reason::Violation(Violation::UnaskedData(_)))), "{end:?}");
}

#[test]
fn violations_say_what_the_server_did() {
    let tag = || Tag::new("C7").unwrap();
    for (violation, text) in [
        (Violation::Unreadable("no tag".into()), "the server's answer cannot be read: no tag"),
        (Violation::UnaskedData(tag()), "the server sent data under tag C7, which did not ask for it"),
        (Violation::UnaskedAnswer(tag()), "the server answered C7, which is not the oldest open command"),
    ] {
        assert_eq!(violation.to_string(), text);
    }
}
