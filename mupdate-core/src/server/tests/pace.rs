//! Commands that are taken one at a time.

use mupdate_proto::MailboxName;

use super::*;

#[test]
fn each_command_takes_a_permit() {
    let mut peer = Peer::logged_in(|config| config.idle = Some(Duration::from_secs(10)));
    peer.session.hold_commands();
    assert_eq!(peer.poll(), Output::Blocked(On::Input), "nothing has come");
    assert_eq!(peer.send("A NOOP\r\nB NOOP\r\nC NOOP\r\n"), Output::Blocked(On::Pace));
    // It is not the peer that is silent.
    peer.pass(Duration::from_secs(20));
    assert_eq!((peer.poll(), peer.take().as_str()), (Output::Blocked(On::Pace), ""));
    for tag in ["A", "B"] {
        peer.session.permit();
        peer.session.permit();
        assert_eq!(peer.poll(), Output::Blocked(On::Pace), "one permit is as good as two");
        assert!(peer.take().starts_with(&format!("{tag} OK")));
    }
    peer.session.hold_commands();
    peer.session.permit();
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert!(peer.take().starts_with("C OK"));
    peer.session.shutdown("the end");
    assert!(matches!(peer.send("D NOOP\r\n"), Output::Closed(_)), "a farewell waits for no permit");
}

#[test]
fn a_literal_takes_no_permit_of_its_own() {
    let mut peer = Peer::logged_in(|_| ());
    peer.session.hold_commands();
    assert_eq!(peer.send("A FIND {6}\r\n"), Output::Blocked(On::Pace));
    peer.session.permit();
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    assert!(peer.take().starts_with("+ "));
    peer.session.receive(b"user.a\r\n", peer.now);
    let ticket = peer.request(&Request::Find(MailboxName::new("user.a").expect("legal")));
    peer.session.rows(ticket, &mut peer.out).finish(Finish::End);
    assert_eq!(peer.send("B NOOP\r\n"), Output::Blocked(On::Pace));
}

#[test]
fn changes_go_out_on_a_stream_whose_commands_are_held() {
    let mut peer = Peer::streaming(|config| config.hold = Duration::ZERO);
    peer.session.hold_commands();
    assert_eq!(peer.poll(), Output::Blocked(On::Stream), "its OK is not flushed");
    peer.take();
    let ticket = peer.request(&Request::Drain);
    peer.session.rows(ticket, &mut peer.out).finish(Finish::Drained {
        position: 0,
        more: false,
        revision: 7,
    });
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    peer.take();
    assert_eq!(peer.send("N NOOP\r\n"), Output::Blocked(On::Pace));
    peer.session.changed();
    peer.request(&Request::Drain);
}

#[test]
fn a_change_that_is_under_way_is_answered_while_the_next_command_is_held() {
    let mut peer = Peer::logged_in(|_| ());
    peer.session.hold_commands();
    assert_eq!(peer.send("A DELETE \"user.a\"\r\nB NOOP\r\nC NOOP\r\n"), Output::Blocked(On::Pace));
    peer.session.permit();
    let Output::Request(ticket, Request::Submit(_)) = peer.poll() else { panic!("no change") };
    peer.session.permit();
    assert_eq!(peer.poll(), Output::Blocked(On::Reply), "what is no change waits behind it, with its permit");
    peer.session.reply(ticket, Reply::Failed("no".into()));
    assert_eq!(peer.poll(), Output::Blocked(On::Pace));
    assert_eq!(peer.take().matches("\r\n").count(), 2);
}
