//! Cyrus's backends, frontends and tools by every mechanism that both sides have.

use mupdate_host::{
    scram::Hash,
    users::{NewKeys, add},
};
use mupdate_tests::{daemon::Kind, tls::Authority};

use super::{murder::Murder, sandbox::REMOTE, tls};

/// SCRAM goes without TLS, the others after STARTTLS.
const MECHANISMS: [&str; 5] = ["SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1", "PLAIN", "LOGIN"];

/// A backend makes a mailbox, a frontend takes the list, and `ctl_mboxlist -m` compares it.
pub fn by_every_mechanism(kind: Kind) {
    let authority = Authority::new("authority");
    let murder = Murder::encrypted(kind, &authority);
    let keys = NewKeys { hashes: Hash::ALL.to_vec(), ..NewKeys::default() };
    add(&murder.daemon.data_dir(), "murder", b"secret", &keys).expect("the folder is ours");
    murder.daemon.reload();
    let file = tls::authority_file(&murder, &authority);
    let (mut backend, mut frontend) = (murder.make_backend("backend1"), murder.make_frontend("frontend1"));
    for cyrus in [&mut backend, &mut frontend] {
        tls::point(cyrus, &format!("{REMOTE}:3905"), &file);
    }
    let logged = |mechanism: &str| {
        let log = murder.daemon.log();
        log.lines()
            .filter(|line| line.contains("logged in") && line.contains(&format!("\"{mechanism}\"")))
            .count()
    };
    for (number, mechanism) in MECHANISMS.into_iter().enumerate() {
        for cyrus in [&mut backend, &mut frontend] {
            cyrus.kill();
            cyrus.option("mupdate-remote_mechs", mechanism);
        }
        let before = logged(mechanism);
        backend.start();
        murder.start_and_sync(&mut frontend);
        let with_frontend = logged(mechanism);
        assert!(with_frontend > before, "{mechanism}: the frontend");
        backend.imap("cyrus").ok(format!("CREATE user/m{number}"));
        let with_backend = logged(mechanism);
        assert!(with_backend > with_frontend, "{mechanism}: the backend");
        murder.same_on(&frontend);
        backend.must("ctl_mboxlist", &["-m"]);
        assert!(logged(mechanism) > with_backend, "{mechanism}: ctl_mboxlist");
    }
}
