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
fn answers_out_of_turn_end_the_session() {
    let mut session = connected();
    find(&mut session);
    let second = find(&mut session);
    session.receive(b"C2 OK \"Search completed\"\r\n");
    assert_eq!(session.poll(), Output::Closed(Reason::Violation(Violation::UnaskedAnswer(second))));
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
