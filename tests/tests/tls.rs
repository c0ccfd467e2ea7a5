//! TLS over real sockets: listeners that begin with it, sessions that are resumed, files that change, clients with
//! certificates.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, ClientError, Row, activate},
    daemon::{Daemon, Kind, Signal},
    on_both_daemons,
    tls::{self, Authority, Dialler, SETTINGS, TlsStream},
};

on_both_daemons!(
    a_listener_begins_with_tls,
    sessions_are_resumed,
    files_change_under_open_connections,
    clients_show_their_certificates,
    plaintext_is_no_handshake,
    half_a_command_is_acknowledged_at_once
);

/// A daemon with a listener of either kind, and who vouches for it.
fn served(kind: Kind, more: &str) -> (Daemon, Authority) {
    let authority = Authority::new("authority");
    let toml = format!("listen_tls = ['127.0.0.1:0']\n{SETTINGS}{more}");
    let daemon = Daemon::start_on(kind, &toml, |data| {
        tls::install(&authority.server(90), &authority, folder(data)).expect("the folder is ours");
    });
    (daemon, authority)
}

/// Where the configuration is, and its files.
fn folder(data: &Path) -> &Path {
    data.parent().expect("the data has a folder")
}

fn dial(daemon: &Daemon, dialler: &Dialler) -> TlsStream<TcpStream> {
    TlsStream::connect(dialler, daemon.connect_tls()).expect("hands are shaken")
}

fn a_listener_begins_with_tls(kind: Kind) {
    let (daemon, authority) = served(kind, "");
    let mut client = Client::login(dial(&daemon, &Dialler::both(&authority))).expect("it serves");
    // Many records, of which none fits into what is written at once.
    for number in 0..2000 {
        client.send(activate(&format!("user.m{number:04}"), "be1!a", &"x".repeat(500)));
    }
    for _ in 0..2000 {
        client.answer().expect("it is a change");
    }
    let listed = client.list(None).expect("it serves");
    assert_eq!((listed.len(), listed[1999].name()), (2000, "user.m1999"));
    client.logout().expect("it serves");
    assert_eq!(client.end().expect("an end in good order"), None);
    assert!(client.stream().closed(), "close_notify comes before the end");
    let mut plain = daemon.login();
    assert_eq!(
        plain.find("user.m0000").expect("it serves"),
        Some(Row::mailbox("user.m0000", "be1!a", &"x".repeat(500)))
    );
}

/// Every operation of a Cyrus backend is a connection of its own.
fn sessions_are_resumed(kind: Kind) {
    let (daemon, authority) = served(kind, "");
    let dialler = Dialler::both(&authority);
    for number in 0..5 {
        let mut stream = dial(&daemon, &dialler);
        assert_eq!(stream.caller().resumed(), number > 0, "connection {number}");
        // The tickets come with the banner.
        Client::login(stream).expect("it serves").logout().expect("it serves");
    }
}

fn files_change_under_open_connections(kind: Kind) {
    let (daemon, old) = served(kind, "");
    let mut before = Client::login(dial(&daemon, &Dialler::both(&old))).expect("it serves");
    let new = Authority::new("another authority");
    let data = daemon.data_dir();
    tls::install(&new.server(90), &new, folder(&data)).expect("the folder is ours");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("reloaded");
    Client::login(dial(&daemon, &Dialler::both(&new))).expect("it serves with the new certificate");
    let mistrusted = TlsStream::connect(&Dialler::both(&old), daemon.connect_tls());
    assert!(mistrusted.is_err(), "the old authority does not vouch for it");
    before.activate("user.a", "be1!a", "x").expect("the connection goes on");

    std::fs::write(folder(&data).join("key.pem"), "no key").expect("the folder is ours");
    daemon.signal(Signal::HUP);
    let line = daemon.wait_for_log("nothing was reloaded");
    assert!(line.contains("there is no private key in it"), "{line}");
    Client::login(dial(&daemon, &Dialler::both(&new))).expect("it serves with what it had");
}

fn clients_show_their_certificates(kind: Kind) {
    let (daemon, authority) = served(kind, "client_ca = 'clients.pem'\nclient_certificates = 'required'\n");
    let known = authority.client("be1", &[], 9);
    let login = |dialler: &Dialler| {
        TlsStream::connect(dialler, daemon.connect_tls()).map_err(ClientError::from).and_then(Client::login)
    };
    login(&Dialler::showing(&authority, Some(&known))).expect("a certificate of the authority");
    let expired = authority.client("be1", &[], -1);
    let stranger = Authority::new("stranger").client("be1", &[], 9);
    for shown in [None, Some(&expired), Some(&stranger)] {
        let refused = login(&Dialler::showing(&authority, shown));
        assert!(refused.is_err(), "{:?}", shown.map(|pair| &pair.certificate));
    }
}

fn plaintext_is_no_handshake(kind: Kind) {
    let (daemon, authority) = served(kind, "");
    let mut stream = daemon.connect_tls();
    stream.write_all(b"A LOGOUT\r\n").expect("a socket");
    let mut said = Vec::new();
    // Whether it closes or resets what it has not read.
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"*"), "{}", said.escape_ascii());
    // The other way round, a handshake is answered with a banner.
    assert!(TlsStream::connect(&Dialler::both(&authority), daemon.connect()).is_err());
    Client::login(dial(&daemon, &Dialler::both(&authority))).expect("nobody else is harmed");
}

/// Over TLS, Cyrus writes AUTHENTICATE in two pieces, and the kernel keeps the second until the first is acknowledged.
fn half_a_command_is_acknowledged_at_once(kind: Kind) {
    let (daemon, authority) = served(kind, "");
    let socket = daemon.connect_tls();
    socket.set_nodelay(false).expect("a socket");
    let mut stream = TlsStream::connect(&Dialler::both(&authority), socket).expect("hands are shaken");
    let line = |stream: &mut TlsStream<TcpStream>, end: &[u8]| {
        let (mut said, mut piece) = (Vec::new(), [0; 1024]);
        while !said.windows(end.len()).any(|said| said == end) {
            let length = stream.read(&mut piece).expect("it serves");
            assert_ne!(length, 0, "it closes");
            said.extend_from_slice(&piece[..length]);
        }
    };
    line(&mut stream, b"\"(master)\"\r\n");
    let mut fastest = Duration::MAX;
    // A busy machine may hold up any of them, and 40 ms of a delayed acknowledgement would hold up all.
    for _ in 0..20 {
        let started = Instant::now();
        for half in ["A NO", "OP\r\n"] {
            stream.write_all(half.as_bytes()).expect("it serves");
        }
        line(&mut stream, b"login first\"\r\n");
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < Duration::from_millis(30), "the fastest answer took {fastest:?}");
}
