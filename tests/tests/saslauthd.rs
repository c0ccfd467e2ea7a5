//! Passwords that a real `saslauthd` knows, and one that is silent.

use std::{
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use mupdate_proto::Status;
use mupdate_tests::{
    client::{Client, ClientError},
    cyrus_sasl::{KNOWN, Saslauthd},
    daemon::{Daemon, Kind, add_user, binary},
    on_both_daemons,
    player::LOGIN,
};

on_both_daemons!(passwords_of_the_host, one_that_is_silent, check_config_looks_for_it);

fn settings(socket: &Path, more: &str) -> String {
    let socket = socket.display();
    format!(
        "[limits]\nlogin_delay_ms = 0\nlogin_failures = 20\n[auth]\nsaslauthd = '{socket}'\n\
         saslauthd_users = ['{}']\n{more}",
        KNOWN.0
    )
}

/// What the login is answered: `None` for OK.
fn login(daemon: &Daemon, user: &str, password: &str) -> Option<String> {
    let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
    match client.authenticate(user, password) {
        Ok(()) => None,
        Err(ClientError::Refused { status: Status::No, text, .. }) => Some(text.to_string()),
        Err(error) => panic!("{user}: {error}"),
    }
}

fn passwords_of_the_host(kind: Kind) {
    for mechanism in ["shadow", "pam"] {
        let Some(saslauthd) = Saslauthd::start(mechanism) else { return };
        let daemon = Daemon::start(kind, &settings(&saslauthd.socket(), ""));
        let refused = Some("authentication failed".to_owned());
        assert_eq!(login(&daemon, KNOWN.0, "wrong"), refused);
        assert_eq!(login(&daemon, KNOWN.0, KNOWN.1), None, "{mechanism}");
        assert_eq!(login(&daemon, "nobody", KNOWN.1), refused);
        assert_eq!(login(&daemon, LOGIN.0, KNOWN.1), refused);
        assert_eq!(login(&daemon, LOGIN.0, LOGIN.1), None);
        drop(saslauthd);
        assert_eq!(login(&daemon, KNOWN.0, KNOWN.1), None, "it is remembered");
        let now = login(&daemon, KNOWN.0, "another").expect("nobody can know");
        assert_eq!(now, "authentication is not available just now");
        daemon.wait_for_log("saslauthd cannot be asked");
    }
}

/// It is not waited for beyond its time, and nobody waits with it.
fn one_that_is_silent(kind: Kind) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let listener = UnixListener::bind(folder.path().join("mux")).expect("the folder is ours");
    let daemon = Daemon::start(kind, &settings(&folder.path().join("mux"), "saslauthd_seconds = 2\n"));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let waiting = [(); 6].map(|()| scope.spawn(|| login(&daemon, KNOWN.0, KNOWN.1)));
        let asked = [(); 4].map(|()| listener.accept().expect("it asks"));
        assert_eq!(login(&daemon, LOGIN.0, LOGIN.1), None);
        assert!(waiting.iter().all(|login| !login.is_finished()), "they have their time");
        for login in waiting {
            let text = login.join().expect("no panic");
            assert_eq!(text.as_deref(), Some("authentication is not available just now"));
        }
        drop(asked);
    });
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(daemon.log().matches("saslauthd cannot be asked").count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains(KNOWN.1));
}

fn check_config_looks_for_it(kind: Kind) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (socket, file) = (folder.path().join("mux"), folder.path().join("m.toml"));
    std::fs::write(&file, settings(&socket, "")).expect("the folder is ours");
    let check = || {
        let said = Command::new(binary(kind)).arg("check-config").arg("--config").arg(&file).output();
        let said = said.expect("the daemon was built");
        assert!(said.status.success());
        String::from_utf8(said.stdout).expect("it says text")
    };
    let warning = format!("# Warning: auth.saslauthd: there is no {}: does saslauthd run", socket.display());
    assert!(check().contains(&warning));
    let _listener = UnixListener::bind(&socket).expect("the folder is ours");
    assert!(!check().contains("auth.saslauthd: "));
    let data = folder.path().join("data");
    add_user(kind, &data, "other", "secret");
    let line = format!("data_dir = '{}'\n{}", data.display(), settings(&socket, ""));
    std::fs::write(&file, line).expect("the folder is ours");
    assert!(check().contains("need force_sasl_client_mech: PLAIN"), "{}", check());
}
