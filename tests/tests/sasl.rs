//! Logins over real sockets, on both daemons: SCRAM with every hash, bound to TLS and not, and certificates.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
};

use mupdate_host::{
    auth::harness::{Identity, scram_client},
    scram::Hash,
    users::{NewKeys, add, add_without_password},
};
use mupdate_proto::{decode_base64, encode_base64};
use mupdate_tests::{
    daemon::{Daemon, Kind},
    on_both_daemons,
    tls::{self, Authority, Dialler, SETTINGS, TlsStream},
};

on_both_daemons!(
    every_hash_over_a_socket,
    strangers_look_alike_after_a_restart,
    scram_is_bound_to_tls,
    certificates_name_users
);

const SCRAM: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];
const QUICK: &str = "limits.login_delay_ms = 0\nlimits.login_failures = 100\n";

/// A connection on which lines are spoken.
struct Talk<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Talk<S> {
    /// Reads the banner; and the mechanisms in it.
    fn begin(stream: S) -> (Self, Vec<String>) {
        let mut talk = Self(BufReader::new(stream));
        let mut offered = Vec::new();
        loop {
            let line = talk.line();
            if let Some(names) = line.strip_prefix("* AUTH ") {
                offered = names.split(' ').map(|name| name.trim_matches('"').to_owned()).collect();
            }
            if line.starts_with("* OK MUPDATE") {
                return (talk, offered);
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it serves");
        assert!(line.ends_with("\r\n"), "it ends: {line}");
        line.trim_end().to_owned()
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("it serves");
    }

    /// Logs in by SCRAM; what the server says to it at last.
    fn scram(&mut self, mechanism: &str, identity: Identity) -> String {
        let mut client = scram_client(mechanism, identity);
        let first = encode_base64(&client.step(None).expect("a first message"));
        self.say(&format!("A AUTHENTICATE \"{mechanism}\" \"{first}\""));
        loop {
            let line = self.line();
            if let Some(answer) = line.strip_prefix("A ") {
                return answer.to_owned();
            }
            let challenge = decode_base64(line.as_bytes()).expect("base64");
            let response = client.step(Some(&challenge)).expect("the server knows the user");
            self.say(&encode_base64(&response));
        }
    }
}

const WELCOME: &str = "OK \"Authenticated\"";
const FAILED: &str = "NO \"authentication failed\"";

fn murder(password: &str) -> Identity {
    Identity { user: "murder".into(), password: password.to_owned().into(), ..Identity::default() }
}

/// Gives the user keys of every hash.
fn give_keys(daemon: &Daemon) {
    let new = NewKeys { hashes: Hash::ALL.to_vec(), iterations: 4096 };
    add(&daemon.data_dir(), "murder", b"secret", &new).expect("the folder is ours");
    daemon.reload();
}

fn served(kind: Kind, auth: &str, tls: &str) -> (Daemon, Authority) {
    let authority = Authority::new("authority");
    let toml = format!("listen_tls = ['127.0.0.1:0']\n{QUICK}{auth}{SETTINGS}{tls}");
    let daemon = Daemon::start_on(kind, &toml, |data: &Path| {
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    give_keys(&daemon);
    (daemon, authority)
}

fn every_hash_over_a_socket(kind: Kind) {
    let daemon = Daemon::start(kind, &format!("log = 'debug'\n{QUICK}"));
    give_keys(&daemon);
    for mechanism in SCRAM {
        let (mut talk, offered) = Talk::begin(daemon.connect());
        assert_eq!(offered[..3], SCRAM);
        assert_eq!(talk.scram(mechanism, murder("wrong")), FAILED);
        assert_eq!(talk.scram(mechanism, murder("secret")), WELCOME);
        daemon.wait_for_log(&format!("mechanism=\"{mechanism}\""));
        talk.say("B FIND {6+}\r\nuser.a");
        assert_eq!(talk.line(), "B OK \"Search completed\"");
    }
    assert!(!daemon.log().contains("secret"), "{}", daemon.log());
}

/// Salt and iterations that a stranger is told.
fn told(daemon: &Daemon, user: &str) -> String {
    let (mut talk, _) = Talk::begin(daemon.connect());
    talk.say(&format!(
        "A AUTHENTICATE \"SCRAM-SHA-256\" \"{}\"",
        encode_base64(format!("n,,n={user},r=x").as_bytes())
    ));
    let said = String::from_utf8(decode_base64(talk.line().as_bytes()).expect("base64")).expect("text");
    said.split_once(",s=").expect("a salt").1.to_owned()
}

fn strangers_look_alike_after_a_restart(kind: Kind) {
    let mut daemon = Daemon::start(kind, QUICK);
    let before = ["murder", "nobody", "another"].map(|user| told(&daemon, user));
    assert_eq!(before.each_ref().map(String::len), [before[0].len(); 3]);
    assert!(before[0] != before[1] && before[1] != before[2]);
    daemon.kill();
    daemon.start_again();
    assert_eq!(["murder", "nobody", "another"].map(|user| told(&daemon, user)), before);
}

fn scram_is_bound_to_tls(kind: Kind) {
    let (daemon, authority) = served(kind, "auth.channel_binding = true\n", "");
    let (_, plain) = Talk::begin(daemon.connect());
    assert!(!plain.iter().any(|name| name.ends_with("-PLUS")), "{plain:?}");
    for mechanism in SCRAM.map(|name| format!("{name}-PLUS")) {
        let mut stream =
            TlsStream::connect(&Dialler::both(&authority), daemon.connect_tls()).expect("hands are shaken");
        let bindings = [
            ("tls-exporter", stream.caller().exporter().to_vec()),
            ("tls-server-end-point", stream.caller().server_end_point()),
        ];
        let (mut talk, offered) = Talk::begin(stream);
        assert!(offered.contains(&mechanism), "{offered:?}");
        let with = |name: &str, data: &[u8]| Identity {
            binding: Some((name.into(), data.to_vec())),
            ..murder("secret")
        };
        assert_eq!(talk.scram(&mechanism, with("tls-exporter", &[0; 32])), FAILED, "of another connection");
        assert_eq!(
            talk.scram(&mechanism, with("tls-server-end-point", &[0; 32])),
            FAILED,
            "of another server"
        );
        for (name, data) in &bindings {
            // A connection logs in once, so the other binding has one of its own.
            let mut stream =
                TlsStream::connect(&Dialler::both(&authority), daemon.connect_tls()).expect("it serves");
            let own =
                if *name == "tls-exporter" { stream.caller().exporter().to_vec() } else { data.clone() };
            assert_eq!(Talk::begin(stream).0.scram(&mechanism, with(name, &own)), WELCOME, "{name}");
        }
    }
}

fn certificates_name_users(kind: Kind) {
    let (daemon, authority) = served(
        kind,
        "auth.external = 'common_name'\nauth.proxies = ['be1']\n",
        "client_ca = 'clients.pem'\nclient_certificates = 'optional'\n",
    );
    add_without_password(&daemon.data_dir(), "be1").expect("the folder is ours");
    daemon.reload();
    let shown = [Some(authority.client("be1", &[], 9)), Some(authority.client("stranger", &[], 9)), None];
    let [mut known, mut stranger, mut nobody] = shown.map(|pair| {
        let dialler = Dialler::showing(&authority, pair.as_ref());
        Talk::begin(TlsStream::connect(&dialler, daemon.connect_tls()).expect("hands are shaken"))
    });
    assert!(known.1.contains(&"EXTERNAL".to_owned()), "{:?}", known.1);
    for other in [&mut stranger, &mut nobody] {
        assert!(!other.1.contains(&"EXTERNAL".to_owned()), "{:?}", other.1);
        other.0.say("A AUTHENTICATE \"EXTERNAL\" \"=\"");
        assert_eq!(other.0.line(), "A NO \"mechanism not available\"");
    }
    let nobody_else = encode_base64(b"somebody");
    known.0.say(&format!("A AUTHENTICATE \"EXTERNAL\" \"{nobody_else}\""));
    assert_eq!(known.0.line(), "A NO \"acting as another user is not allowed\"");
    known.0.say(&format!("A AUTHENTICATE \"EXTERNAL\" \"{}\"", encode_base64(b"murder")));
    assert_eq!(known.0.line(), format!("A {WELCOME}"));
}
