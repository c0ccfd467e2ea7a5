//! What can be wrong with a `saslauthd`, on real sockets. That a real one is understood is shown with the daemons.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mupdate_core::server::AuthStep;
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::super::{Authenticator, BUSY, FAILED, LoginCounts, LoginStep, NOT_NOW, Transport, rejected};
use super::*;
use crate::config::{Config, SaslauthdUsers};
use crate::users::{NewKeys, Users};

const LATER: Duration = Duration::from_secs(30);

/// Where a `saslauthd` could be.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(self.folder.path().join("mux")).unwrap()
    }

    /// One thread that asks here about "alice" and "bob", and has half a second.
    fn config(&self) -> Config {
        let mut config = Config::default();
        config.limits.login_delay = Duration::ZERO;
        config.limits.login_refuse_after = Some(3);
        config.saslauthd = SaslauthdSettings {
            socket: Some(self.folder.path().join("mux")),
            users: SaslauthdUsers::Named(BTreeSet::from(["alice".into(), "bob".into(), "murder".into()])),
            realm: "realm".into(),
            timeout: Duration::from_millis(500),
            at_once: 1,
            ..SaslauthdSettings::default()
        };
        config
    }

    fn authenticator(&self) -> Arc<Authenticator> {
        Authenticator::new(murder(), Zeroizing::new([7; 32]), &self.config()).unwrap()
    }
}

/// The users file has "murder".
fn murder() -> Users {
    Users::parse(&format!("murder:{}\n", NewKeys::default().of(b"secret").unwrap())).unwrap()
}

fn check(authenticator: &Arc<Authenticator>, user: &str, password: &str) -> Receiver<AuthReply> {
    let transport = Transport { loopback: true, network: None, tls: None };
    let initial = Some(format!("\0{user}\0{password}").into_bytes());
    let step = AuthStep::Start { mechanism: "PLAIN".into(), initial };
    let LoginStep::Verify(credentials) = authenticator.login(transport, "test").step(step) else {
        panic!("PLAIN needs one step")
    };
    let (done, reply) = channel();
    authenticator.check(credentials, Box::new(move |outcome| drop(done.send(outcome))));
    reply
}

fn login(authenticator: &Arc<Authenticator>, user: &str, password: &str) -> AuthReply {
    check(authenticator, user, password).recv_timeout(LATER).unwrap()
}

fn accepted(user: &str) -> AuthReply {
    AuthReply::Accepted { principal: user.into() }
}

fn is_refused(reply: &AuthReply) -> bool {
    matches!(reply, AuthReply::Rejected { text, .. } if text == FAILED)
}

/// Takes a question: user, password, service, realm.
fn question(stream: &mut UnixStream) -> [String; 4] {
    [(); 4].map(|()| {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut text = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    })
}

/// Answers so many questions, each with what `say` makes of it, in two pieces; and gives back what was asked.
fn answers(
    listener: UnixListener,
    count: usize,
    say: impl Fn(&[String; 4]) -> &'static str + Send + 'static,
) -> Receiver<[String; 4]> {
    let (tell, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().take(count) {
            let mut stream = stream.unwrap();
            let question = question(&mut stream);
            let answer = say(&question);
            // Not every test wants to know.
            let _ = tell.send(question);
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&length[..1]).unwrap();
            stream.write_all(&[&length[1..], answer.as_bytes()].concat()).unwrap();
        }
    });
    asked
}

#[test]
fn a_password_is_asked_for_once() {
    let place = Place::new();
    let asked =
        answers(
            place.listen(),
            4,
            |[user, password, ..]| {
                if user == "alice" && password == "right" { "OK success" } else { "NO " }
            },
        );
    let authenticator = place.authenticator();
    assert_eq!(login(&authenticator, "alice", "right"), accepted("alice"));
    assert_eq!(asked.recv().unwrap(), ["alice", "right", "mupdate", "realm"]);
    assert_eq!(login(&authenticator, "alice", "right"), accepted("alice"));
    // The text is the same, whoever says so; and whoever is told so has guessed.
    for (user, password) in [("alice", "wrong"), ("bob", "right"), ("murder", "right"), ("nobody", "right")] {
        assert!(is_refused(&login(&authenticator, user, password)), "{user}");
    }
    assert_eq!(login(&authenticator, "murder", "secret"), accepted("murder"));
    assert_eq!(login(&authenticator, "alice", "right"), accepted("alice"));
    let counts = LoginCounts { remembered: 2, verified: 2, failed: 4, ..LoginCounts::default() };
    assert_eq!(authenticator.counts(), counts);
    let users: Vec<String> = asked.try_iter().map(|[user, ..]| user).collect();
    assert_eq!(users, ["alice", "bob"], "who has a record, or is not named, is none of its business");
}

#[test]
fn guesses_count() {
    let place = Place::new();
    let asked = answers(place.listen(), 100, |_| "NO");
    let authenticator = place.authenticator();
    for guess in 0..6 {
        assert!(!matches!(login(&authenticator, "alice", &guess.to_string()), AuthReply::Accepted { .. }));
    }
    assert_eq!((authenticator.counts().failed, authenticator.counts().unseen), (3, 3));
    assert_eq!(asked.try_iter().count(), 3);
}

#[test]
fn what_cannot_be_a_password_is_not_asked_for() {
    let place = Place::new();
    let mux = Mux::new(&place.folder.path().join("mux"), &place.config().saslauthd);
    for password in [&[b'x'; 257][..], b"secret\0\xFF"] {
        assert!(!mux.ask("alice", password, Instant::now()).unwrap());
    }
}

#[test]
fn trouble_is_no_guess_and_passes() {
    let place = Place::new();
    let authenticator = place.authenticator();
    for _ in 0..5 {
        assert_eq!(login(&authenticator, "alice", "right"), rejected(NOT_NOW));
    }
    let listener = place.listen();
    let closing = thread::spawn(move || {
        for answer in [&b""[..], b"\0", b"\0\0", b"\0\x02", b"\0\x02O", b"\0\x03YES", b"\xff\xff "] {
            let (mut stream, _) = listener.accept().unwrap();
            question(&mut stream);
            stream.write_all(answer).unwrap();
        }
        listener
    });
    for _ in 0..7 {
        assert_eq!(login(&authenticator, "alice", "right"), rejected(NOT_NOW));
    }
    assert_eq!(authenticator.counts(), LoginCounts { unavailable: 12, ..LoginCounts::default() });
    answers(closing.join().unwrap(), 1, |_| "OK");
    assert_eq!(login(&authenticator, "alice", "right"), accepted("alice"));
}

#[test]
fn one_that_is_silent_holds_up_nobody_else() {
    let place = Place::new();
    let listener = place.listen();
    let authenticator = place.authenticator();
    let started = Instant::now();
    let first = check(&authenticator, "alice", "right");
    // The one thread has come to it, and waits.
    let silent = listener.accept().unwrap();
    let waiting: Vec<_> = (0..WAITING).map(|_| check(&authenticator, "bob", "right")).collect();
    assert_eq!(check(&authenticator, "bob", "right").try_recv(), Ok(rejected(BUSY)));
    assert_eq!(login(&authenticator, "murder", "secret"), accepted("murder"));
    assert!(is_refused(&login(&authenticator, "nobody", "secret")));
    assert!(first.try_recv().is_err(), "it has its time");
    for reply in [first].iter().chain(&waiting) {
        assert_eq!(reply.recv_timeout(LATER), Ok(rejected(NOT_NOW)));
    }
    let counts = authenticator.counts();
    assert_eq!((counts.unavailable, counts.busy), (1 + WAITING as u64, 1));
    // All of them had one and the same time, as they came at once; one after the other they would have taken 17.
    let timeout = authenticator.shared.elsewhere.load().as_ref().unwrap().settings().timeout;
    assert!((timeout..timeout * 10).contains(&started.elapsed()));
    drop(silent);
}

#[test]
fn one_that_takes_no_connection_is_not_waited_for_longer() {
    let place = Place::new();
    let path = place.folder.path().join("mux");
    let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    full.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    full.listen(0).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let mux = Mux::new(&path, &place.config().saslauthd);
    let error = mux.ask("alice", b"right", Instant::now() + Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
}

#[test]
fn who_is_refused_elsewhere_is_kept_waiting_for_as_long() {
    let place = Place::new();
    answers(place.listen(), 1, |_| "NO");
    let authenticator = place.authenticator();
    let delay = |user| match login(&authenticator, user, "wrong") {
        AuthReply::Rejected { delay, .. } => delay,
        reply => panic!("{reply:?}"),
    };
    assert_eq!([delay("murder"), delay("alice")], [Duration::ZERO; 2]);
    let takes = authenticator.shared.elsewhere.load().as_ref().unwrap().refusal_takes();
    assert_eq!([delay("murder"), delay("nobody")], [takes; 2]);
    assert_ne!(takes, Duration::ZERO);
}

#[test]
fn a_reload_says_whom_it_is_asked_about() {
    let place = Place::new();
    let asked = answers(place.listen(), 100, |_| "OK");
    let authenticator = place.authenticator();
    assert_eq!(login(&authenticator, "alice", "right"), accepted("alice"));
    let mut config = place.config();
    config.saslauthd.users = SaslauthdUsers::All;
    authenticator.reload(murder(), &config);
    assert_eq!(login(&authenticator, "carol", "right"), accepted("carol"));
    assert!(is_refused(&login(&authenticator, "murder", "right")));
    config.saslauthd = SaslauthdSettings::default();
    authenticator.reload(murder(), &config);
    for user in ["alice", "carol"] {
        assert!(is_refused(&login(&authenticator, user, "right")), "{user}");
    }
    assert_eq!(asked.try_iter().map(|[user, ..]| user).collect::<Vec<_>>(), ["alice", "carol"]);
}

#[test]
fn a_socket_that_is_not_there_is_told() {
    let place = Place::new();
    let settings = place.config().saslauthd;
    assert!(warning(&settings).is_some_and(|text| text.contains("there is no ") && text.contains("/mux")));
    fs::write(place.folder.path().join("mux"), "").unwrap();
    assert!(warning(&settings).is_some_and(|text| text.ends_with("mux is no socket")));
    fs::remove_file(place.folder.path().join("mux")).unwrap();
    let _listener = place.listen();
    assert_eq!(warning(&settings), None);
    assert_eq!(warning(&SaslauthdSettings::default()), None);
}
