//! Changes that are under way together.

use super::*;

/// Submits what is sent until something else is wanted; the tickets, and what is waited for then.
fn submitted(peer: &mut Peer, text: &str) -> (Vec<Ticket>, Output) {
    let (mut tickets, mut output) = (Vec::new(), peer.send(text));
    while let Output::Request(ticket, Request::Submit(_)) = output {
        tickets.push(ticket);
        output = peer.poll();
    }
    (tickets, output)
}

#[test]
fn changes_are_under_way_together_and_answered_in_their_order() {
    let mut peer = Peer::logged_in(|_| ());
    let (tickets, waits) = submitted(&mut peer, "A DELETE \"a\"\r\nB DELETE \"b\"\r\nC DELETE \"c\"\r\n");
    assert_eq!((tickets.len(), waits), (3, Output::Blocked(On::InputOrReply)));
    peer.session.reply(tickets[2], Reply::Submitted(Ok(())));
    peer.session.reply(tickets[1], Reply::Failed("full".into()));
    assert_eq!(peer.poll(), Output::Blocked(On::InputOrReply));
    assert_eq!(peer.take(), "", "the first is not answered");
    peer.session.reply(tickets[0], Reply::Submitted(Err(Refusal::DoesNotExist)));
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "A NO \"mailbox doesn't exist\"\r\nB NO \"full\"\r\nC OK \"done\"\r\n");
}

#[test]
fn what_is_no_change_waits_for_the_changes_before_it() {
    for (behind, answer) in [
        ("F NOOP", "F OK \"Noop done\"\r\n"),
        ("F NOPE", "F BAD \"Unrecognized command\"\r\n"),
        ("F DELETE \"too.long\"", "F NO \"mailbox name is too long\"\r\n"),
    ] {
        let mut peer = Peer::logged_in(|config| config.name_limit = 3);
        let (tickets, waits) =
            submitted(&mut peer, &format!("A DELETE \"a\"\r\n{behind}\r\nB DELETE \"b\"\r\n"));
        assert_eq!((tickets.len(), waits), (1, Output::Blocked(On::Reply)), "{behind}");
        assert_eq!(peer.take(), "", "{behind}");
        peer.session.reply(tickets[0], Reply::Submitted(Ok(())));
        let _next = peer.poll();
        assert_eq!(peer.take(), format!("A OK \"done\"\r\n{answer}"));
    }
}

#[test]
fn changes_under_way_are_bounded_by_number_and_octets() {
    let change = |number: usize, acl: usize| {
        format!("X ACTIVATE \"a{number}\" \"s!p\" {{{acl}+}}\r\n{}\r\n", "x".repeat(acl))
    };
    for (acl, bound) in [(0, 64), (30_000, 3)] {
        let mut peer = Peer::logged_in(|_| ());
        let many: String = (0..100).map(|number| change(number, acl)).collect();
        let (tickets, waits) = submitted(&mut peer, &many);
        assert_eq!((tickets.len(), waits), (bound, Output::Blocked(On::Reply)));
        peer.session.reply(tickets[0], Reply::Submitted(Ok(())));
        let next = peer.poll();
        assert!(matches!(next, Output::Request(..)), "{next:?}");
    }
}

#[test]
fn the_end_waits_for_the_changes_under_way() {
    let mut peer = Peer::logged_in(|_| ());
    let (tickets, _) = submitted(&mut peer, "A DELETE \"a\"\r\nB DELETE \"b\"\r\n");
    peer.session.receive_eof();
    assert_eq!(peer.poll(), Output::Blocked(On::Reply));
    tickets.iter().for_each(|ticket| peer.session.reply(*ticket, Reply::Submitted(Ok(()))));
    assert_eq!(peer.poll(), Output::Closed(Reason::EndOfInput));
    assert_eq!(peer.take(), "A OK \"done\"\r\nB OK \"done\"\r\n");

    let mut peer = Peer::logged_in(|_| ());
    let (tickets, _) = submitted(&mut peer, "A DELETE \"a\"\r\nB NOOP\r\n");
    peer.session.shutdown("going");
    assert_eq!(peer.poll(), Output::Blocked(On::Reply));
    peer.session.reply(tickets[0], Reply::Submitted(Ok(())));
    assert_eq!(peer.poll(), Output::Closed(Reason::Bye("going".into())));
    assert_eq!(peer.take(), "A OK \"done\"\r\n* BYE \"going\"\r\n");

    let mut peer = Peer::logged_in(|_| ());
    let (tickets, _) = submitted(&mut peer, "A DELETE \"a\"\r\nB FIND \"a\"\r\nC DELETE \"c\"\r\n");
    peer.session.abandon();
    assert_eq!(peer.poll(), Output::Blocked(On::Reply));
    peer.session.reply(tickets[0], Reply::Submitted(Ok(())));
    let next = peer.poll();
    assert!(matches!(next, Output::Request(_, Request::Submit(_))), "nobody hears the FIND: {next:?}");
}

/// Debug builds stop where a runtime confuses its answers.
#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "is no answer"))]
fn another_answer_to_a_change_is_noticed() {
    let mut peer = Peer::logged_in(|_| ());
    let (tickets, _) = submitted(&mut peer, "A DELETE \"a\"\r\n");
    peer.session.reply(tickets[0], Reply::Subscribed);
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "A NO \"internal error\"\r\n");
}

#[test]
fn a_literal_is_asked_for_when_the_changes_before_it_are_answered() {
    let mut peer = Peer::logged_in(|_| ());
    let (tickets, waits) = submitted(&mut peer, "A DELETE \"a\"\r\nB DELETE {1}\r\n");
    assert_eq!((tickets.len(), waits), (1, Output::Blocked(On::Reply)));
    peer.session.reply(tickets[0], Reply::Submitted(Ok(())));
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert_eq!(peer.take(), "A OK \"done\"\r\n+ go ahead\r\n");
}
