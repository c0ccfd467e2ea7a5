//! A murder around one of our daemons, and what can be seen of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, Row},
    daemon::{DEADLINE, Daemon, Kind},
    http::Http,
    tls::{self, Authority},
};

use super::{
    cyrus::Cyrus,
    release::{OWN, Release, Site},
    sandbox::{HOSTS, REMOTE},
    syslog::Syslog,
};

/// As whom backends and frontends log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logins {
    /// All as one, who may do everything.
    Alike,
    /// Each by its own name, with a role of its own.
    Roles,
}

/// Every installation's, and the test's own.
const ROLES: &str = "[roles]
murder = \"admin\"
backend1 = { role = \"backend\", servers = [\"backend1.test\"] }
backend2 = { role = \"backend\", servers = [\"backend2.test\"] }
member-a = { role = \"backend\", servers = [\"backenda\"] }
member-b = { role = \"backend\", servers = [\"backenda\"] }
frontend1 = \"frontend\"
frontend2 = \"frontend\"
";

/// Takeovers that the fuse lets through.
pub const TAKEOVERS: usize = 1;

/// Percent of a server's names that the fuse lets be deleted.
pub const DELETED: usize = 50;

/// A murder.
pub struct Murder {
    /// The MUPDATE server.
    pub daemon: Daemon,
    /// What Cyrus logs.
    pub syslog: Arc<Syslog>,
    /// As whom they log in.
    pub logins: Logins,
    site: Site,
}

impl Murder {
    /// A murder of nobody yet.
    pub fn new(kind: Kind, logins: Logins) -> Self {
        let roles = match logins {
            Logins::Alike => "",
            Logins::Roles => ROLES,
        };
        // Nothing that backends do in good order takes a mailbox from another, or deletes half of what they have.
        let fuse = format!(
            "fuse.takeovers = {TAKEOVERS}\nfuse.deletion_share = {DELETED}\npairs.echo_seconds = 2\n"
        );
        let toml = format!("compress = \"both\"\n{fuse}{roles}");
        Self::around(logins, &OWN, || {
            Daemon::start_at(kind, &toml, &format!("{}:3905", address("mupdate.test")))
        })
    }

    /// A murder of nobody yet, whose MUPDATE server takes passwords over TLS only: its address is not of this host.
    pub fn encrypted(kind: Kind, authority: &Authority) -> Self {
        Self::encrypted_as(kind, authority, "")
    }

    /// The same, and clients have to show certificates of the same authority.
    pub fn encrypted_asking(kind: Kind, authority: &Authority) -> Self {
        Self::encrypted_as(kind, authority, "client_ca = 'clients.pem'\nclient_certificates = 'required'\n")
    }

    fn encrypted_as(kind: Kind, authority: &Authority, more: &str) -> Self {
        let address = address(REMOTE);
        let toml = format!(
            "listen_tls = ['{address}:3906']\ncompress = 'both'\nlog = 'debug'\n{}{more}",
            tls::SETTINGS
        );
        Self::around(Logins::Alike, &OWN, || {
            Daemon::start_at_on(kind, &toml, &format!("{address}:3905"), |data| {
                let folder = data.parent().expect("the data has a folder");
                tls::install(&authority.server(90), authority, folder).expect("the folder is ours");
            })
        })
    }

    /// A murder of this release, whose MUPDATE server, at an address of no host, is the replica of the one at `mupdate.test`.
    pub fn replica(kind: Kind, release: &'static Release) -> Self {
        // Nobody tells a replica what the order of a backend is.
        let order = if release.old { "[orders]\n\"backend1.test\" = \"octet\"\n" } else { "" };
        let toml = format!(
            "authority = \"upstream\"\nallow_plaintext = true\n{order}[upstream]\nhost = \"{}:3905\"\nuser = \"murder\"\n\
             password_file = \"password\"\nretry_max_ms = 1000\n",
            address("mupdate.test")
        );
        Self::around(Logins::Alike, release, || {
            Daemon::start_at_on(kind, &toml, &format!("{}:3905", address(REMOTE)), |data| {
                let folder = data.parent().expect("the data has a folder");
                std::fs::write(folder.join("password"), "secret\n").expect("the folder is ours");
            })
        })
    }

    fn around(logins: Logins, release: &'static Release, daemon: impl FnOnce() -> Daemon) -> Self {
        static SYSLOG: OnceLock<Arc<Syslog>> = OnceLock::new();
        let site = Site::new(release);
        Self { logins, daemon: daemon(), syslog: Arc::clone(SYSLOG.get_or_init(Syslog::listen)), site }
    }

    /// Where installations live.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Where they do on the disk.
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// A running backend.
    pub fn backend(&self, name: &'static str) -> Cyrus {
        let mut backend = self.make_backend(name);
        backend.start();
        backend
    }

    /// A backend to be started.
    pub fn make_backend(&self, name: &'static str) -> Cyrus {
        let host = format!("{name}.test");
        self.make_member(name, &host, address(&host))
    }

    /// A backend to be started, which presents a server name that is not its own.
    pub fn make_member(&self, name: &'static str, server: &str, address: &str) -> Cyrus {
        let mut backend = Cyrus::backend(&self.site, name, server, address);
        self.give_login(&mut backend);
        backend
    }

    fn give_login(&self, cyrus: &mut Cyrus) {
        if self.logins == Logins::Roles {
            for option in ["mupdate_username", "mupdate_authname"] {
                cyrus.option(option, cyrus.name);
            }
        }
    }

    /// A running frontend, in sync.
    pub fn frontend(&self, name: &'static str) -> Cyrus {
        let mut frontend = self.make_frontend(name);
        self.start_and_sync(&mut frontend);
        frontend
    }

    /// A frontend to be started.
    pub fn make_frontend(&self, name: &'static str) -> Cyrus {
        let host = format!("{name}.test");
        let mut frontend = Cyrus::frontend(&self.site, name, &host, address(&host));
        self.give_login(&mut frontend);
        frontend
    }

    /// Starts a frontend and waits until it has the whole list.
    pub fn start_and_sync(&self, frontend: &mut Cyrus) {
        let before = self.syncs(frontend);
        frontend.start();
        self.wait_for_sync(frontend, before);
    }

    /// How often a frontend has taken the whole list.
    pub fn syncs(&self, frontend: &Cyrus) -> usize {
        self.syslog.count(frontend.name, SYNCED)
    }

    /// Waits until a frontend has taken the whole list more than `before` times.
    pub fn wait_for_sync(&self, frontend: &Cyrus, before: usize) {
        self.syslog.wait(frontend.name, SYNCED, before);
    }

    /// A connection to the MUPDATE server, which takes passwords in the clear through its Unix socket in any case.
    pub fn client(&self) -> Client<UnixStream> {
        Client::login(self.daemon.connect_unix()).expect("the daemon serves")
    }

    /// A connection to its admin interface.
    pub fn admin(&self) -> Http<UnixStream> {
        Http::new(self.daemon.connect_admin())
    }

    /// All that the MUPDATE server knows.
    pub fn entries(&self) -> BTreeMap<String, Row> {
        let rows = self.client().list(None).expect("LIST works");
        rows.into_iter().map(|row| (row.name().to_owned(), row)).collect()
    }

    /// The names of the mailboxes that the MUPDATE server shows to frontends.
    pub fn active(&self) -> BTreeSet<String> {
        let active = |(name, row)| matches!(row, Row::Mailbox { .. }).then_some(name);
        self.entries().into_iter().filter_map(active).collect()
    }

    /// Where a mailbox is, and its ACL.
    #[track_caller]
    pub fn entry(&self, name: &str) -> (String, String) {
        match self.client().find(name).expect("FIND works") {
            Some(Row::Mailbox { location, acl, .. }) => (location, acl),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Waits until a frontend shows what the server has.
    #[track_caller]
    pub fn same_on(&self, frontend: &Cyrus) {
        let mut imap = frontend.imap("cyrus");
        let mut seen = (BTreeSet::new(), BTreeSet::new());
        let same = within(DEADLINE, || {
            seen = (imap.names(), self.active());
            seen.0 == seen.1
        });
        let (frontend, server) = &seen;
        assert!(same, "the frontend has {frontend:?}, the server {server:?}\n{}", self.syslog.tail());
    }
}

impl Drop for Murder {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what Cyrus logged last:\n{}", self.syslog.tail());
        }
    }
}

const SYNCED: &str = "mailbox list synchronization complete";

/// The address of a host.
pub fn address(host: &str) -> &'static str {
    HOSTS.iter().find(|(name, _)| *name == host).expect("a host of ours").1
}

/// Waits for what Cyrus does in its own time, and tells nobody of.
///
/// # Panics
/// It does not happen.
#[track_caller]
pub fn eventually(what: &str, happened: impl FnMut() -> bool) {
    assert!(within(DEADLINE, happened), "never happens: {what}");
}

fn within(time: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !happened() {
        if started.elapsed() > time {
            return false;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    true
}
