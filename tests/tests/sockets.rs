//! Sockets that the service manager has made and passes: which is for what, and that nobody who connects to them is
//! refused while the daemon is started anew.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::Arc,
};

use mupdate_tests::{
    client::Client,
    daemon::{DEADLINE, Daemon, Kind, Launch},
    on_both_daemons,
    tls::{self, Authority, Dialler, TlsStream},
};

on_both_daemons!(
    who_connects_during_a_restart_is_served,
    tls_and_the_admin_interface_can_be_passed,
    a_unix_socket_stays_where_it_is,
    without_a_name_it_is_what_is_configured_there,
    what_is_passed_for_something_else_is_refused,
    check_config_tells_what_will_be_listened_on,
);

fn listener() -> (Arc<OwnedFd>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (Arc::new(listener.into()), address)
}

fn passing(sockets: &[(&str, &Arc<OwnedFd>)]) -> Launch {
    let passed = sockets.iter().map(|(name, socket)| ((*name).to_owned(), Arc::clone(socket))).collect();
    Launch { passed, ..Launch::default() }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream
}

fn who_connects_during_a_restart_is_served(kind: Kind) {
    let (socket, address) = listener();
    let mut daemon = Daemon::start_as(kind, "", passing(&[("plain", &socket)]), |_| {});
    // The first of all that are listened on; those of the command line come after it.
    assert_eq!(daemon.address(), address);
    let mut before = Client::login(connect(address)).expect("it serves");
    before.activate("user.a", "be1!x", "").expect("it writes");
    for _ in 0..3 {
        assert!(daemon.terminate().success());
        // There is no daemon, and nobody notices.
        let meanwhile: Vec<_> = (0..20).map(|_| connect(address)).collect();
        daemon.start_again();
        for stream in meanwhile {
            let found = Client::login(stream).expect("it is served now").find("user.a").expect("it is");
            assert!(found.is_some());
        }
    }
}

fn tls_and_the_admin_interface_can_be_passed(kind: Kind) {
    let ((plain, _), (admin, at)) = (listener(), listener());
    let (tls, encrypted) = listener();
    drop(plain);
    let authority = Authority::new("authority");
    let toml = "tls.certificate = 'certificate.pem'\ntls.key = 'key.pem'\nroles.murder = 'admin'\n";
    let names = [("tls", &tls), ("admin", &admin)];
    let daemon = Daemon::start_as(kind, toml, passing(&names), |data| {
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    let stream =
        TlsStream::connect(&Dialler::both(&authority), connect(encrypted)).expect("it begins with TLS");
    Client::login(stream).expect("it serves");
    let streams: [Box<dyn Stream>; 2] = [Box::new(connect(at)), Box::new(daemon.connect_admin())];
    for mut stream in streams {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn a_unix_socket_stays_where_it_is(kind: Kind) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("mupdate.sock");
    let socket = Arc::new(OwnedFd::from(UnixListener::bind(&path).expect("the folder is ours")));
    let toml = format!("listen_tls = []\nadmin.listen = ['{}/admin.sock']\n", folder.path().display());
    let admin = folder.path().join("admin.sock");
    let second = Arc::new(OwnedFd::from(UnixListener::bind(&admin).expect("the folder is ours")));
    let names = [("plain", &socket), ("mupdated-admin.socket", &second)];
    let mut daemon = Daemon::start_as(kind, &toml, passing(&names), |_| {});
    Client::login(UnixStream::connect(&path).expect("it listens")).expect("it serves");
    assert!(daemon.log().contains("(admin)"), "the configuration has the admin interface there");
    assert!(daemon.terminate().success());
    // They are the manager's, who will start another.
    assert!(fs::exists(&path).expect("a folder") && fs::exists(&admin).expect("a folder"));
}

fn without_a_name_it_is_what_is_configured_there(kind: Kind) {
    let (socket, address) = listener();
    let authority = Authority::new("authority");
    let toml =
        format!("listen_tls = ['{address}']\ntls.certificate = 'certificate.pem'\ntls.key = 'key.pem'\n");
    let daemon = Daemon::start_as(kind, &toml, passing(&[("unknown", &socket)]), |data| {
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    assert_eq!(daemon.tls_address(), address);
    let stream =
        TlsStream::connect(&Dialler::both(&authority), connect(address)).expect("it begins with TLS");
    Client::login(stream).expect("it serves");
}

fn what_is_passed_for_something_else_is_refused(kind: Kind) {
    let (socket, address) = listener();
    let mut daemon = Daemon::start(kind, "");
    assert!(daemon.terminate().success());
    let cases = [
        (
            "admin".to_owned(),
            format!("listen_tls = ['{address}']\n"),
            "passed as admin, and configured as tls",
        ),
        ("http".to_owned(), String::new(), "called http"),
        ("tls".to_owned(), String::new(), "name a certificate in [tls]"),
    ];
    for (name, toml, words) in cases {
        let toml =
            if toml.is_empty() { toml } else { format!("{toml}[tls]\ncertificate = 'c'\nkey = 'k'\n") };
        fs::write(daemon.config_file(), toml).expect("the file is ours");
        *daemon.launch() = passing(&[(&name, &socket)]);
        let refusal = daemon.try_start_again().expect_err("it is refused");
        assert_eq!(refusal.status.code(), Some(78), "{refusal}");
        assert!(refusal.said.contains(words), "{refusal}");
    }
    // What does not listen is refused too.
    let stream = Arc::new(OwnedFd::from(UnixStream::pair().expect("a pair").0));
    fs::write(daemon.config_file(), "").expect("the file is ours");
    *daemon.launch() = passing(&[("plain", &stream)]);
    let refusal = daemon.try_start_again().expect_err("it is refused");
    assert!(refusal.status.code() == Some(78) && refusal.said.contains("ListenStream="), "{refusal}");
}

fn check_config_tells_what_will_be_listened_on(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let config = daemon.config_file();
    fs::write(&config, "listen = ['127.0.0.1:3999', '/run/m.sock']\n").expect("the file is ours");
    let (code, said) = daemon.tell(&["check-config", "--config", &config.display().to_string()]);
    assert_eq!(code, Some(0), "{said}");
    let admin = daemon.data_dir().join("admin.sock");
    for line in [
        "# Listens on 127.0.0.1:3999 (plain)",
        "# Listens on /run/m.sock (plain)",
        &format!("# Listens on {} (admin)", admin.display()),
    ] {
        assert!(said.lines().any(|said| said == line), "no {line} in {said}");
    }
}
