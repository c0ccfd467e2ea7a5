//! How long a session waits for its peer.

use super::*;

#[test]
fn nobody_may_stay_without_a_login_or_silent() {
    let mut peer = Peer::new(|_| ());
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    peer.take();
    peer.pass(Duration::from_secs(60));
    assert!(matches!(peer.poll(), Output::Closed(Reason::TimedOut(_))));
    assert_eq!(peer.take(), "* BYE \"no login within the time allowed\"\r\n");

    let mut peer = Peer::logged_in(|config| config.idle = Some(Duration::from_secs(10)));
    peer.pass(Duration::from_secs(9));
    let before = peer.session.commands();
    assert_eq!(peer.send("X NOOP\r\n"), Output::Blocked(On::Input));
    assert_eq!(peer.session.commands(), before + 1);
    peer.pass(Duration::from_secs(9));
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    peer.pass(Duration::from_secs(1));
    assert!(matches!(peer.poll(), Output::Closed(Reason::TimedOut(_))));
}

/// A deadline in the past would have the daemons come back at once, for as long as the password is being hashed.
#[test]
fn a_login_that_comes_too_late_is_waited_for_without_a_deadline() {
    let mut peer = Peer::new(|_| ());
    let _banner = peer.poll();
    peer.take();
    let ticket = peer.asked(START);
    peer.pass(Duration::from_secs(60));
    assert_eq!(peer.poll(), Output::Blocked(On::Reply));
    assert_eq!(peer.session.poll_timeout(), None);
    peer.session.reply(ticket, Reply::Auth(AuthReply::Accepted { principal: "u".into() }));
    assert!(matches!(peer.poll(), Output::Closed(Reason::TimedOut(_))));
    assert_eq!(peer.take(), "A OK \"Authenticated\"\r\n* BYE \"no login within the time allowed\"\r\n");
}

#[test]
fn a_stream_may_be_silent_for_ever() {
    let mut peer = Peer::streaming(|config| config.idle = Some(Duration::from_secs(10)));
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    peer.take();
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    peer.pass(Duration::from_secs(1));
    let ticket = peer.request(&Request::Drain);
    peer.session.rows(ticket, &mut peer.out).finish(Finish::Drained {
        position: 0,
        more: false,
        revision: 7,
    });
    peer.pass(Duration::from_secs(100_000));
    assert_eq!(peer.poll(), Output::Blocked(On::Stream));
    assert_eq!(peer.session.poll_timeout(), None);
}

#[test]
fn the_time_for_the_first_command_ends_with_any_command_and_begins_anew_with_tls() {
    let short = |config: &mut ServerConfig| config.first_command_within = Duration::from_secs(5);
    let mut peer = Peer::new(short);
    let _banner = peer.poll();
    assert_eq!(peer.session.poll_timeout(), Some(peer.now + Duration::from_secs(5)));
    assert_eq!(peer.send("S STARTTLS\r\n"), Output::Blocked(On::Flush));
    let login = peer.session.poll_timeout();
    assert_eq!(login, Some(peer.now + Duration::from_secs(60)), "the time for a login is left");
    peer.take();
    assert_eq!(peer.poll(), Output::Upgrade(Layer::Tls));
    peer.session.resume(LayerFacts { tls: true, ..LayerFacts::default() }, peer.now);
    assert_eq!(peer.poll(), Output::Blocked(On::Input));
    peer.take();
    peer.pass(Duration::from_secs(5));
    let told = Reason::TimedOut("no command within the time allowed");
    assert_eq!(peer.poll(), Output::Closed(told));
    assert_eq!(peer.take(), "* BYE \"no command within the time allowed\"\r\n");
}
