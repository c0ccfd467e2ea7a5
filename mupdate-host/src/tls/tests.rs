use std::{fs, path::Path};

use bytes::BytesMut;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};

use super::{
    harness::{Authority, Caller, Dialler, Pair},
    *,
};

/// A directory with a server's files, and the authority behind them.
struct Place {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory"), authority: Authority::new("a") };
        place.authority.server(90).write(place.dir.path()).expect("written");
        fs::write(place.path("clients.pem"), place.authority.pem()).expect("written");
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self, more: &str) -> Config {
        let path = self.path("m.toml");
        let text = format!("[tls]\ncertificate = 'certificate.pem'\nkey = 'key.pem'\n{more}");
        fs::write(&path, text).expect("written");
        Config::load(Some(&path)).expect("a configuration")
    }

    fn load(&self, more: &str) -> Result<Arc<Tls>, Fatal> {
        Tls::load(&self.config(more), None).map(|tls| tls.expect("a certificate"))
    }

    fn wrong(&self, more: &str) -> (Code, String) {
        let fatal = self.load(more).expect_err("something is wrong");
        let dir = format!("{}/", self.dir.path().display());
        (fatal.code, fatal.message.replace(&dir, ""))
    }
}

/// Both ends, after the handshake. What `client` sends comes in pieces of `size`.
fn shaken(tls: &Arc<Tls>, dialler: &Dialler, size: usize) -> (Channel, Caller) {
    let (mut server, mut client) = (tls.accept().expect("a server"), dialler.dial());
    while client.handshaking() || server.handshaking() {
        let mut wire = BytesMut::new();
        for piece in client.due().chunks(size) {
            server.push(piece);
            server.shake(&mut wire).expect("a handshake");
        }
        client.open(&wire).expect("a handshake");
    }
    (server, client)
}

fn all(server: &mut Channel) -> Vec<u8> {
    let (mut plain, mut wire) = (Vec::new(), BytesMut::new());
    let mut piece = [0; 1000];
    while server.ready() {
        let length = server.step(&mut piece, &mut wire).expect("TLS");
        plain.extend_from_slice(&piece[..length]);
    }
    assert!(wire.is_empty());
    plain
}

#[test]
fn octets_go_both_ways_in_any_pieces() {
    let place = Place::new();
    let tls = place.load("").expect("files");
    for size in [1, 7, 100_000] {
        let (mut server, mut client) = shaken(&tls, &Dialler::both(&place.authority), size);
        let text: Vec<u8> = (0..70_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        for piece in client.seal(&text[..20_000]).chunks(size) {
            server.push(piece);
        }
        assert_eq!(all(&mut server), text[..20_000]);
        let mut wire = BytesMut::new();
        server.seal(&text, &mut wire).expect("sealed");
        assert_eq!(client.open(&wire).expect("opened"), text);
        wire.clear();
        server.close(&mut wire);
        client.open(&wire).expect("an end");
        assert!(client.ended() && !server.ended());
        server.push(&client.close());
        assert!(all(&mut server).is_empty() && server.ended());
    }
}

#[test]
fn sessions_are_resumed() {
    let place = Place::new();
    let tls = place.load("").expect("files");
    for version in [&TLS12, &TLS13] {
        let dialler = Dialler::new(&place.authority, None, &[version]);
        let (server, mut client) = shaken(&tls, &dialler, 99);
        assert!(!server.resumed());
        // The tickets of TLS 1.3 come behind the handshake.
        drop((client.due(), server));
        let (server, client) = shaken(&tls, &dialler, 99);
        assert!(server.resumed() && client.resumed());
    }
}

#[test]
fn a_login_can_rest_on_the_bindings() {
    let place = Place::new();
    let tls = place.load("").expect("files");
    let (server, client) = shaken(&tls, &Dialler::both(&place.authority), 9999);
    let facts = server.facts();
    assert_eq!(facts.suite, "TLSv1_3 TLS13_AES_256_GCM_SHA384");
    assert_eq!(facts.exporter, Some(client.exporter()));
    // rcgen's keys are P-256, and its signatures ECDSA with SHA-256.
    let pem = fs::read(place.path("certificate.pem")).expect("a file");
    let der =
        <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem);
    assert_eq!(facts.server_end_point, Some(Sha256::digest(der.expect("PEM")).to_vec()));
    assert_eq!(facts.client, None);
    let old = Dialler::new(&place.authority, None, &[&TLS12]);
    assert_eq!(shaken(&tls, &old, 9999).0.facts().exporter, None);
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let place = Place::new();
    let tls = place.load("client_ca = 'clients.pem'\nclient_certificates = 'required'").expect("files");
    let pair = place.authority.client("be1", &["be1.example.org", "ops@example.org", "b.example.org"], 9);
    for version in [&TLS12, &TLS13] {
        let dialler = Dialler::new(&place.authority, Some(&pair), &[version]);
        for _ in 0..2 {
            let client = shaken(&tls, &dialler, 9999).0.facts().client.expect("a certificate");
            assert_eq!(client.common_name.as_deref(), Some("be1"));
            assert_eq!(client.dns_names, ["be1.example.org", "b.example.org"]);
            assert_eq!(client.mail_addresses, ["ops@example.org"]);
        }
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let place = Place::new();
    let write = |name: &str, text: &str| fs::write(place.path(name), text).expect("written");
    let restore = || place.authority.server(90).write(place.dir.path()).expect("written");
    let ca = "client_ca = 'clients.pem'\nclient_certificates = 'optional'";

    fs::remove_file(place.path("certificate.pem")).expect("removed");
    let (code, text) = place.wrong("");
    assert_eq!(code, Code::NoInput);
    assert!(
        text.starts_with("cannot read certificate.pem: ") && text.ends_with("; tls.certificate names it"),
        "{text}"
    );

    write("certificate.pem", "nothing");
    assert_eq!(place.wrong("").0, Code::Data);
    assert!(place.wrong("").1.starts_with("certificate.pem: there is no certificate in it; "));
    write("certificate.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(place.wrong("").1.starts_with("certificate.pem: the first certificate in it is damaged: "));
    write("certificate.pem", "-----BEGIN CERTIFICATE-----\n!!\n");
    assert!(place.wrong("").1.ends_with("it has to be PEM"));

    restore();
    let other = place.authority.server(90);
    write("key.pem", &other.key);
    assert!(
        place
            .wrong("")
            .1
            .starts_with("the key in key.pem does not belong to the certificate in certificate.pem; ")
    );
    write("key.pem", &other.certificate);
    assert!(place.wrong("").1.starts_with("key.pem: there is no private key in it; "));
    write("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    assert!(place.wrong("").1.starts_with("key.pem: the key in it has a password; "));
    write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(place.wrong("").1.starts_with("key.pem: the key cannot be used: "));

    restore();
    write("clients.pem", "");
    assert!(place.wrong(ca).1.starts_with("clients.pem: there is no certificate in it; "));
    write("clients.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(place.wrong(ca).1.ends_with("; it has to be the certificate of a CA"));

    let nothing = Config { listen_tls: vec!["[::1]:1".parse().expect("an address")], ..Config::default() };
    assert_eq!(Tls::load(&nothing, None).expect_err("no certificate").code, Code::Config);
}

#[test]
fn what_will_not_do_for_long_is_remarked() {
    let place = Place::new();
    let remarks = |days| {
        let Pair { certificate, key } = place.authority.server(days);
        fs::write(place.path("certificate.pem"), certificate).expect("written");
        fs::write(place.path("key.pem"), key).expect("written");
        place.load("").expect("files").remarks().to_vec()
    };
    assert_eq!(remarks(90), []);
    assert!(matches!(&remarks(13)[..], [Remark::Warning(text)] if text.contains("expires soon, ")));
    assert!(matches!(&remarks(-1)[..], [Remark::Refused(text)] if text.contains("has expired, ")));
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(place.path("key.pem"), fs::Permissions::from_mode(0o644)).expect("permissions");
    assert!(matches!(&remarks(90)[..], [Remark::Warning(text)] if text.contains("; chmod o= ")));
}

#[test]
fn the_same_files_are_the_same_tls() {
    let place = Place::new();
    let config = place.config("");
    let first = Tls::load(&config, None).expect("files").expect("TLS");
    let again = Tls::load(&config, Some(&first)).expect("files").expect("TLS");
    assert!(Arc::ptr_eq(&first, &again), "and the tickets stay good");
    place.authority.server(90).write(place.dir.path()).expect("written");
    let renewed = Tls::load(&config, Some(&first)).expect("files").expect("TLS");
    assert!(!Arc::ptr_eq(&first, &renewed));
    assert!(Path::new(&config.tls.key.clone().expect("a key")).exists());
}
