//! One installation of Cyrus: its configuration, its master process, its tools.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Output, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};

use super::{
    imap::Imap,
    murder::eventually,
    release::{Release, Site},
};

/// Users that every installation knows, and their passwords.
pub const USERS: [(&str, &str); 6] = [
    ("cyrus", "admin-password"),
    ("mailproxy", "proxy-password"),
    ("replication", "replication-password"),
    ("alice", "alice-password"),
    ("bob", "bob-password"),
    // As whom everybody logs in to a MUPDATE server, and our daemons to Cyrus's.
    ("murder", "secret"),
];

const PROGRAMS: &str = "/usr/lib/cyrus/bin";

/// The password of a user.
pub fn password(user: &str) -> &'static str {
    USERS.iter().find(|(name, _)| *name == user).expect("a user of ours").1
}

/// A service of the master process: what is run, on which port, and whether it is run from the start.
struct Service {
    name: &'static str,
    command: &'static str,
    port: u16,
    prefork: u8,
}

const IMAP: Service = Service { name: "imap", command: "imapd", port: 143, prefork: 0 };
const SYNC: Service = Service { name: "sync", command: "sync_server", port: 2005, prefork: 0 };
const MUPDATE: Service = Service { name: "mupdate", command: "mupdate", port: 3905, prefork: 1 };
const MASTER: Service = Service { name: "mupdate", command: "mupdate -m", port: 3905, prefork: 1 };

/// An installation; its processes are killed when it is dropped.
pub struct Cyrus {
    /// What it is called in the log.
    pub name: &'static str,
    release: &'static Release,
    folder: PathBuf,
    server_name: String,
    /// Where it listens; the first is its own.
    addresses: Vec<String>,
    services: Vec<Service>,
    options: Vec<(String, String)>,
    master: Option<Child>,
}

impl Cyrus {
    /// A backend: CREATE, RENAME, DELETE and SETACL go to the MUPDATE server.
    pub fn backend(site: &Site, name: &'static str, server_name: &str, address: &str) -> Self {
        let mut backend = Self::new(site, name, server_name, address);
        backend.services = vec![IMAP, SYNC];
        backend.option("proxyservers", "mailproxy");
        backend
    }

    /// A frontend: its mailbox list follows the MUPDATE server, and its imapd passes on to backends.
    pub fn frontend(site: &Site, name: &'static str, server_name: &str, address: &str) -> Self {
        let mut frontend = Self::new(site, name, server_name, address);
        frontend.services = vec![MUPDATE, IMAP];
        // With 1 it divides by zero.
        frontend.option("mupdate_retry_delay", "2");
        frontend
    }

    /// A MUPDATE master, Cyrus's own.
    pub fn mupdate_master(site: &Site, name: &'static str, address: &str) -> Self {
        let mut master = Self::new(site, name, "mupdate.test", address);
        master.services = vec![MASTER];
        master.option("admins", "cyrus murder");
        master
    }

    fn new(site: &Site, name: &'static str, server_name: &str, address: &str) -> Self {
        let folder = site.folder().join(name);
        let mut cyrus = Self {
            name,
            release: site.release,
            server_name: server_name.into(),
            addresses: vec![address.into()],
            services: Vec::new(),
            options: Vec::new(),
            master: None,
            folder,
        };
        for (option, value) in [
            ("servername", server_name),
            ("syslog_prefix", name),
            ("defaultpartition", "default"),
            ("unixhierarchysep", "yes"),
            ("altnamespace", "no"),
            ("virtdomains", "off"),
            ("allowplaintext", "yes"),
            ("allowusermoves", "yes"),
            ("admins", "cyrus mailproxy replication"),
            ("sasl_mech_list", "PLAIN"),
            ("sasl_pwcheck_method", "auxprop"),
            ("sasl_auxprop_plugin", "sasldb"),
            ("proxy_authname", "mailproxy"),
            ("proxy_password", password("mailproxy")),
            ("mupdate_server", "mupdate.test"),
            ("mupdate_username", "murder"),
            ("mupdate_authname", "murder"),
            ("mupdate_password", "secret"),
        ] {
            cyrus.option(option, value);
        }
        for (option, place) in
            [("configdirectory", "conf"), ("partition-default", "spool"), ("sasl_sasldb_path", "sasldb")]
        {
            let place = cyrus.folder.join(place).display().to_string();
            cyrus.option(option, &place);
        }
        cyrus.make_folders();
        cyrus
    }

    /// Sets an option of `imapd.conf`, until the next start.
    pub fn option(&mut self, option: &str, value: &str) {
        self.options.retain(|(known, _)| known != option);
        self.options.push((option.into(), value.into()));
    }

    /// From the next start on it listens at this address, too.
    pub fn also_at(&mut self, address: &str) {
        self.addresses.push(address.into());
    }

    /// From the next start on it no longer listens at this address.
    pub fn not_at(&mut self, address: &str) {
        self.addresses.retain(|known| known != address);
    }

    fn make_folders(&self) {
        for place in
            ["spool", "conf/db", "conf/proc", "conf/socket", "conf/lock", "conf/msg", "conf/log", "conf/sync"]
        {
            fs::create_dir_all(self.folder.join(place)).expect("the folder is ours");
        }
        for (user, password) in USERS {
            let mut child = self
                .release
                .command("saslpasswd2")
                .args(["-p", "-c", "-u", &self.server_name, "-f"])
                .arg(self.folder.join("sasldb"))
                .arg(user)
                .stdin(Stdio::piped())
                .spawn()
                .expect("saslpasswd2 is there");
            child.stdin.take().expect("piped").write_all(password.as_bytes()).expect("it is read");
            assert!(child.wait().expect("a child").success(), "saslpasswd2 failed");
        }
        let owned = self.release.command("chown").args(["-R", "cyrus:mail"]).arg(&self.folder).status();
        assert!(owned.expect("chown is there").success());
    }

    /// Starts it and waits until all its services accept connections.
    pub fn start(&mut self) {
        self.write_configuration();
        let mut master = self.release.command(&format!("{PROGRAMS}/master"));
        master.arg("-D").arg("-C").arg(self.configuration());
        master.arg("-M").arg(self.folder.join("cyrus.conf"));
        master.arg("-p").arg(self.folder.join("master.pid"));
        let output = fs::File::create(self.folder.join("output")).expect("the folder is ours");
        master
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .process_group(0);
        self.master = Some(master.spawn().expect("master is there"));
        for service in &self.services {
            for address in &self.addresses {
                eventually(&format!("{}'s {}", self.name, service.name), || {
                    TcpStream::connect((address.as_str(), service.port)).is_ok()
                });
            }
        }
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut master) = self.master.take() {
            kill_group(&mut master);
        }
    }

    /// Starts rolling replication to the other member of its pair: it goes on until it is dropped.
    pub fn roll(&self) -> Rolling {
        let mut command = self.release.command(&format!("{PROGRAMS}/sync_client"));
        command.arg("-C").arg(self.configuration()).args(["-r", "-d", "-v"]);
        let output = fs::File::create(self.folder.join("rolling")).expect("the folder is ours");
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .process_group(0);
        Rolling(command.spawn().expect("sync_client is there"))
    }

    /// Gives it a list of mailboxes, in place of its own, while it does not run.
    pub fn load(&self, list: &str) {
        self.write_configuration();
        let mut child = self
            .release
            .command(&format!("{PROGRAMS}/ctl_mboxlist"))
            .arg("-C")
            .arg(self.configuration())
            .arg("-u")
            .stdin(Stdio::piped())
            .spawn()
            .expect("the tool is there");
        child.stdin.take().expect("piped").write_all(list.as_bytes()).expect("it is read");
        assert!(child.wait().expect("a child").success(), "{} does not take the list", self.name);
    }

    /// Runs one of Cyrus's tools on it.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Output {
        self.release
            .command(&format!("{PROGRAMS}/{program}"))
            .arg("-C")
            .arg(self.configuration())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the tool is there")
    }

    /// Runs one of Cyrus's tools, which has to work.
    #[track_caller]
    pub fn must(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.tool(program, arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?} on {}: {}\n{said}",
            self.name,
            output.status
        );
        said
    }

    /// Its list of mailboxes, as `ctl_mboxlist -d` has it.
    #[track_caller]
    pub fn list(&self) -> Vec<u8> {
        let Output { status, stdout, stderr } = self.tool("ctl_mboxlist", &["-d"]);
        assert!(status.success(), "{} has no list: {}", self.name, String::from_utf8_lossy(&stderr));
        stdout
    }

    /// A connection of a user.
    pub fn imap(&self, user: &str) -> Imap {
        Imap::login(&self.addresses[0], user, password(user))
    }

    /// Puts its list of mailboxes away, or back.
    pub fn hide_mailboxes(&self, hide: bool) {
        let [here, away] = ["mailboxes.db", "mailboxes.away"].map(|name| self.folder.join("conf").join(name));
        let (from, to) = if hide { (here, away) } else { (away, here) };
        fs::rename(from, to).expect("it is there");
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("imapd.conf")
    }

    fn write_configuration(&self) {
        let mut options = String::new();
        for (option, value) in &self.options {
            let _ = writeln!(options, "{option}: {value}");
        }
        fs::write(self.configuration(), options).expect("the folder is ours");
        let configuration = self.configuration();
        let configuration = configuration.display();
        let mut services =
            format!("START {{\n  recover cmd=\"ctl_cyrusdb -C {configuration} -r\"\n}}\nSERVICES {{\n");
        for Service { name, command, port, prefork } in &self.services {
            let (program, arguments) = command
                .split_once(' ')
                .map_or((*command, String::new()), |(program, rest)| (program, format!(" {rest}")));
            for (number, address) in self.addresses.iter().enumerate() {
                let _ = writeln!(
                    services,
                    "  {name}{number} cmd=\"{program} -C {configuration}{arguments}\" listen=\"{address}:{port}\" prefork={prefork}"
                );
            }
        }
        services.push_str("}\nEVENTS {\n}\n");
        fs::write(self.folder.join("cyrus.conf"), services).expect("the folder is ours");
    }
}

/// A `sync_client` that replicates whatever changes.
pub struct Rolling(Child);

impl Drop for Rolling {
    fn drop(&mut self) {
        kill_group(&mut self.0);
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a child and all that it has started, and waits until nobody is left who could hold a port.
fn kill_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a number");
    // It may be gone already.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
    // This process is the first of its namespace, so whoever has lost his parent is its child.
    while waitpgid(group, WaitOptions::empty()).is_ok() {}
}
