//! Namespaces of our own: a network with nothing but a loopback, so that every port is free; names of our own in
//! `/etc/hosts`; a `/dev/log` of our own; and no process that outlives us.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use mupdate_tests::daemon::{Kind, binary};

/// Set inside of the sandbox.
const INSIDE: &str = "MUPDATE_INTEROP_INSIDE";

/// What is needed, and the Debian package that has it.
const FILES: [(&str, &str); 8] = [
    ("/usr/lib/cyrus/bin/master", "cyrus-common"),
    ("/usr/lib/cyrus/bin/imapd", "cyrus-imapd"),
    ("/usr/lib/cyrus/bin/mupdate", "cyrus-murder"),
    ("/usr/lib/cyrus/bin/sync_server", "cyrus-replication"),
    ("/usr/sbin/saslpasswd2", "sasl2-bin"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/sbin/ip", "iproute2"),
    ("/etc/services", "netbase"),
];

/// A MUPDATE server to which nobody is local: its address is no loopback, and so are not those of who connects to it.
pub const REMOTE: &str = "mupdate-remote.test";

/// Every host of a murder and its address.
pub const HOSTS: [(&str, &str); 8] = [
    (REMOTE, "192.0.2.1"),
    ("mupdate.test", "127.0.21.1"),
    ("frontend1.test", "127.0.21.2"),
    ("frontend2.test", "127.0.21.5"),
    ("backend1.test", "127.0.21.3"),
    ("backend2.test", "127.0.21.4"),
    // The address of a pair belongs to the member in service, and the members have their own beside it.
    ("backenda", "127.0.21.10"),
    ("localhost", "127.0.0.1"),
];

/// Ports that Cyrus knows by name.
const SERVICES: &str = "imap 143/tcp\nmupdate 3905/tcp\ncsync 2005/tcp\nlmtp 2003/tcp\n";

/// Makes a private /dev, names hosts, and becomes the test.
const SETUP: &str = r#"
set -e
dir=$1; shift
ip link set lo up
ip address add 192.0.2.1/32 dev lo
mount --bind "$dir/hosts" /etc/hosts
mount --bind "$dir/services" /etc/services
mkdir "$dir/dev"
mount -t tmpfs tmpfs "$dir/dev"
for node in null zero full random urandom tty; do
    touch "$dir/dev/$node"
    mount --bind "/dev/$node" "$dir/dev/$node"
done
ln -s /proc/self/fd "$dir/dev/fd"
mkdir "$dir/dev/shm"
mount --move "$dir/dev" /dev
exec "$@"
"#;

/// Goes into the sandbox: the process that called this waits for the one inside and ends as it ends.
pub fn enter() -> Result<(), ExitCode> {
    if env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    if let Err(text) = requirements() {
        eprintln!("interop: {text}");
        return Err(ExitCode::FAILURE);
    }
    for kind in Kind::ALL {
        binary(kind);
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let hosts: String = HOSTS.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
    fs::write(folder.path().join("hosts"), hosts).expect("the folder is ours");
    fs::write(folder.path().join("services"), SERVICES).expect("the folder is ours");
    let status = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .args(["sh", "-c", SETUP, "sh"])
        .arg(folder.path())
        .arg(env::current_exe().expect("a running program has a path"))
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .process_group(0)
        .status()
        .expect("unshare is there");
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(ExitCode::from(code))
}

/// What is missing, and how to get it.
fn requirements() -> Result<(), String> {
    let missing: Vec<_> = FILES.iter().filter(|(file, _)| !Path::new(file).exists()).collect();
    if !missing.is_empty() {
        let files: Vec<_> = missing.iter().map(|(file, _)| *file).collect();
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        return Err(format!(
            "not there: {}; on Debian 12: apt-get install {} libsasl2-modules cyrus-admin",
            files.join(", "),
            packages.join(" ")
        ));
    }
    if !rustix::process::geteuid().is_root() {
        return Err("must run as root: Cyrus changes its user, and namespaces are needed".into());
    }
    Ok(())
}
