use std::net::IpAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use mupdate_core::server::AuthStep;
use zeroize::Zeroizing;

use super::*;
use crate::users::NewKeys;

mod external;
mod scram;

const HERE: Transport = Transport { loopback: true, network: None, tls: None };
const AWAY: Transport = Transport { loopback: false, network: None, tls: None };
const LATER: Duration = Duration::from_secs(30);

fn users(passwords: &[(&str, &str)]) -> Users {
    let line = |(name, password): &(&str, &str)| {
        format!("{name}:{}\n", NewKeys::default().of(password.as_bytes()).unwrap())
    };
    Users::parse(&passwords.iter().map(line).collect::<String>()).unwrap()
}

/// Settings under which a wrong password is told at once.
fn undelayed() -> Config {
    let mut config = Config::default();
    config.limits.login_delay = Duration::ZERO;
    config
}

fn authenticator() -> Arc<Authenticator> {
    for_users(users(&[("murder", "secret")]), &undelayed())
}

fn for_users(users: Users, config: &Config) -> Arc<Authenticator> {
    Authenticator::with_pool(users, secret(), config, 2, 16).unwrap()
}

fn secret() -> LoginSecret {
    Zeroizing::new([7; 32])
}

fn start(mechanism: &str, initial: Option<&[u8]>) -> AuthStep {
    AuthStep::Start { mechanism: mechanism.into(), initial: initial.map(<[u8]>::to_vec) }
}

/// Checks in a way that tells whether the answer came at once.
fn check(authenticator: &Authenticator, credentials: Credentials) -> Receiver<AuthReply> {
    let (done, reply) = channel();
    authenticator.check(credentials, Box::new(move |outcome| done.send(outcome).unwrap()));
    reply
}

/// The outcome of a PLAIN login with this response.
fn plain(authenticator: &Arc<Authenticator>, response: &[u8]) -> AuthReply {
    match authenticator.login(HERE, "test").step(start("PLAIN", Some(response))) {
        LoginStep::Reply(reply) => reply,
        LoginStep::Verify(credentials) => check(authenticator, credentials).recv_timeout(LATER).unwrap(),
        LoginStep::Cancelled => panic!("nothing was cancelled"),
    }
}

fn credentials(login: &mut Login, step: AuthStep) -> Credentials {
    match login.step(step) {
        LoginStep::Verify(credentials) => credentials,
        step => panic!("{step:?}"),
    }
}

fn reply(login: &mut Login, step: AuthStep) -> AuthReply {
    match login.step(step) {
        LoginStep::Reply(reply) => reply,
        step => panic!("{step:?}"),
    }
}

fn accepted() -> AuthReply {
    AuthReply::Accepted { principal: "murder".into() }
}

#[test]
fn plain_with_the_right_password() {
    let authenticator = authenticator();
    for response in [&b"\0murder\0secret"[..], b"murder\0murder\0secret"] {
        assert_eq!(plain(&authenticator, response), accepted());
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let authenticator = authenticator();
    for response in [&b"\0murder\0Secret"[..], b"\0nobody\0secret", b"\0nobody\0nobody", b"\0MURDER\0secret"]
    {
        assert_eq!(plain(&authenticator, response), rejected("authentication failed"));
    }
    assert_eq!(authenticator.counts(), LoginCounts { failed: 4, ..LoginCounts::default() });
}

#[test]
fn nobody_acts_as_another() {
    let authenticator = authenticator();
    assert_eq!(plain(&authenticator, b"root\0murder\0secret"), rejected(OTHER_USER));
}

#[test]
fn malformed_responses_are_refused() {
    let authenticator = authenticator();
    for response in [
        &b""[..],
        b"x",
        b"\0\0\0",
        b"murder\0secret",
        b"\0murder\0secret\0",
        b"\0\0secret",
        b"\0murder\0",
        b"\xFF\0murder\0secret",
        b"\0\xFF\0secret",
        b"\0mur\x07der\0secret",
    ] {
        let reply = plain(&authenticator, response);
        assert_eq!(reply, rejected("malformed SASL response"), "{response:?}");
    }
    assert_eq!(plain(&authenticator, b"\0mur:der\0secret"), rejected(FAILED));
}

#[test]
fn plain_without_an_initial_response_is_asked_for_it() {
    let authenticator = authenticator();
    let mut login = authenticator.login(HERE, "test");
    assert_eq!(reply(&mut login, start("plain", None)), AuthReply::Challenge(Vec::new()));
    let credentials = credentials(&mut login, AuthStep::Continue(b"\0murder\0secret".to_vec()));
    assert_eq!(check(&authenticator, credentials).recv_timeout(LATER), Ok(accepted()));
}

#[test]
fn login_asks_for_name_and_password() {
    let authenticator = authenticator();
    for initial in [None, Some(&b"murder"[..])] {
        let mut login = authenticator.login(HERE, "test");
        let mut asked = reply(&mut login, start("LOGIN", initial));
        if initial.is_none() {
            assert_eq!(asked, AuthReply::Challenge(b"User Name\0".to_vec()));
            asked = reply(&mut login, AuthStep::Continue(b"murder".to_vec()));
        }
        assert_eq!(asked, AuthReply::Challenge(b"Password\0".to_vec()));
        let credentials = credentials(&mut login, AuthStep::Continue(b"secret".to_vec()));
        assert_eq!(credentials.user(), "murder");
        assert_eq!(check(&authenticator, credentials).recv_timeout(LATER), Ok(accepted()));
    }
}

#[test]
fn a_cancelled_exchange_is_forgotten_and_another_can_begin() {
    let authenticator = authenticator();
    let mut login = authenticator.login(HERE, "test");
    let _ = reply(&mut login, start("LOGIN", None));
    assert!(matches!(login.step(AuthStep::Cancel), LoginStep::Cancelled));
    assert_eq!(
        reply(&mut login, AuthStep::Continue(b"murder".to_vec())),
        rejected("no authentication is under way")
    );
    let _ = credentials(&mut login, start("PLAIN", Some(b"\0murder\0secret")));
    assert_eq!(reply(&mut login, AuthStep::Continue(Vec::new())), rejected("no authentication is under way"));
}

#[test]
fn passwords_need_a_safe_way() {
    let authenticator = authenticator();
    let offered = |transport: &Transport| authenticator.mechanisms(transport);
    assert_eq!(offered(&HERE), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    assert_eq!(offered(&AWAY), ["SCRAM-SHA-256"]);
    let encrypted = Transport { loopback: false, network: None, tls: Some(Arc::default()) };
    assert_eq!(offered(&encrypted), offered(&HERE));
    let mut login = authenticator.login(AWAY, "test");
    let text = "PLAIN needs TLS or a loopback connection here (allow_plaintext)";
    assert_eq!(reply(&mut login, start("plain", Some(b"\0murder\0secret"))), rejected(text));
    login.encrypted(Arc::default());
    assert_eq!(login.mechanisms(), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
    let _ = credentials(&mut login, start("PLAIN", Some(b"\0murder\0secret")));
}

#[test]
fn mechanisms_that_do_not_exist_are_refused() {
    let authenticator = authenticator();
    let mut login = authenticator.login(HERE, "test");
    for mechanism in [
        "",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256-PLUS",
        "ANONYMOUS",
        "CRAM-MD5",
        "DIGEST-MD5",
        "PLAINER",
        "PL\u{130}IN",
        &"X".repeat(10_000),
    ] {
        assert_eq!(reply(&mut login, start(mechanism, Some(b"x"))), rejected("mechanism not available"));
    }
}

#[test]
fn a_verified_login_is_answered_at_once_and_a_wrong_one_is_not() {
    let authenticator = authenticator();
    assert_eq!(plain(&authenticator, b"\0murder\0secret"), accepted());
    let again =
        credentials(&mut authenticator.login(HERE, "test"), start("PLAIN", Some(b"\0murder\0secret")));
    assert_eq!(check(&authenticator, again).try_recv(), Ok(accepted()));
    assert_eq!(plain(&authenticator, b"\0murder\0Secret"), rejected(FAILED));
    assert_eq!(
        authenticator.counts(),
        LoginCounts { remembered: 1, verified: 1, failed: 1, ..LoginCounts::default() }
    );
}

#[test]
fn a_reload_takes_over_users_and_forgets_logins() {
    let authenticator = authenticator();
    assert_eq!(plain(&authenticator, b"\0murder\0secret"), accepted());
    let open = Config { allow_plaintext: true, ..undelayed() };
    authenticator.reload(users(&[("murder", "other"), ("new", "secret")]), &open);
    assert_eq!(plain(&authenticator, b"\0murder\0secret"), rejected(FAILED));
    assert_eq!(plain(&authenticator, b"\0new\0secret"), AuthReply::Accepted { principal: "new".into() });
    assert_eq!(authenticator.mechanisms(&AWAY), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
}

#[test]
fn too_many_waiting_are_told_so() {
    let authenticator =
        Authenticator::with_pool(users(&[("murder", "secret")]), secret(), &undelayed(), 1, 1).unwrap();
    let claim = |authenticator: &Arc<Authenticator>| {
        credentials(&mut authenticator.login(HERE, "test"), start("PLAIN", Some(b"\0murder\0wrong")))
    };
    // The one thread is kept busy from within, so that what follows can only queue.
    let (entered, has_entered) = channel();
    let (release, released) = channel::<()>();
    authenticator.check(
        claim(&authenticator),
        Box::new(move |_| {
            entered.send(()).unwrap();
            let _ = released.recv();
        }),
    );
    has_entered.recv_timeout(LATER).unwrap();
    let waiting = check(&authenticator, claim(&authenticator));
    let refused = check(&authenticator, claim(&authenticator));
    assert_eq!(refused.try_recv(), Ok(rejected(BUSY)));
    drop(release);
    assert_eq!(waiting.recv_timeout(LATER), Ok(rejected(FAILED)));
    assert_eq!(authenticator.counts().busy, 1);
}

#[test]
fn names_and_passwords_are_compared_prepared() {
    let authenticator =
        Authenticator::with_pool(users(&[("IX", "IX")]), secret(), &undelayed(), 1, 1).unwrap();
    let mut login = authenticator.login(HERE, "test");
    let _ = reply(&mut login, start("LOGIN", Some("\u{2168}".as_bytes())));
    let claim = credentials(&mut login, AuthStep::Continue("I\u{AD}X".into()));
    assert_eq!(
        check(&authenticator, claim).recv_timeout(LATER),
        Ok(AuthReply::Accepted { principal: "IX".into() })
    );
    assert_eq!(
        plain(&authenticator, "\u{2168}\0IX\0IX".as_bytes()),
        AuthReply::Accepted { principal: "IX".into() }
    );
}

#[test]
fn nothing_shows_a_password() {
    let authenticator = authenticator();
    let mut login = authenticator.login(HERE, "test");
    let claim = credentials(&mut login, start("PLAIN", Some(b"\0murder\0secret")));
    let shown = format!("{claim:?} {login:?} {authenticator:?}");
    assert!(shown.contains("murder") && !shown.contains("secret"), "{shown}");
    assert_eq!(super::shown("a\nb"), "a\\nb");
    assert!(super::shown(&"x".repeat(1000)).len() < 100);
}

/// A PLAIN login as `user` from this address.
fn from(
    authenticator: &Arc<Authenticator>,
    network: Option<IpAddr>,
    user: &str,
    password: &str,
) -> AuthReply {
    let transport = Transport { network, ..HERE };
    let response = format!("\0{user}\0{password}");
    let mut login = authenticator.login(transport, "test");
    let claim = credentials(&mut login, start("PLAIN", Some(response.as_bytes())));
    check(authenticator, claim).recv_timeout(LATER).unwrap()
}

/// How long the answer to a failed login is held back.
fn delay(reply: &AuthReply) -> Duration {
    match reply {
        AuthReply::Rejected { delay, .. } => *delay,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn guessing_is_refused_unseen_whether_the_user_exists_or_not() {
    let [one, other] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
    let told = |user: &str| {
        let authenticator = for_users(users(&[("murder", "secret")]), &Config::default());
        let replies: Vec<AuthReply> =
            (0..25).map(|guess| from(&authenticator, one, user, &guess.to_string())).collect();
        assert!(delay(&replies[0]) < delay(&replies[1]), "{replies:?}");
        assert_eq!(authenticator.counts(), LoginCounts { failed: 20, unseen: 5, ..LoginCounts::default() });
        assert_eq!(from(&authenticator, other, user, "guess"), replies[24], "another address, the same user");
        replies
    };
    assert_eq!(told("murder"), told("nobody"));
}

#[test]
fn guessing_does_not_lock_out_who_is_known_and_what_is_remembered_is_no_oracle() {
    let authenticator = authenticator();
    let [home, elsewhere] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
    assert_eq!(from(&authenticator, home, "murder", "secret"), accepted());
    for guess in 0..25 {
        from(&authenticator, elsewhere, "murder", &guess.to_string());
        from(&authenticator, home, "other", &guess.to_string());
    }
    assert_eq!(from(&authenticator, home, "murder", "secret"), accepted());
    assert_eq!(
        from(&authenticator, elsewhere, "murder", "secret"),
        from(&authenticator, elsewhere, "murder", "x")
    );
    // Somebody at the honest one's own address: what is remembered goes on, and nothing else.
    for guess in 0..25 {
        from(&authenticator, home, "murder", &guess.to_string());
    }
    assert_eq!(from(&authenticator, home, "murder", "secret"), accepted());
    authenticator.shared.cache.clear();
    assert_ne!(from(&authenticator, home, "murder", "secret"), accepted());
}
