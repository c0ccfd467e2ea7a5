//! The programs of Cyrus SASL, for tests that take what operators have: real databases, a real `saslauthd`.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
};

use tempfile::TempDir;

/// Whether all of these programs are here. If not, it says loudly, past what captures the output of tests, that a test
/// is skipped and what to install.
pub fn has(programs: &[&str], packages: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).chain(["/usr/sbin".into()]).collect();
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| !folders.iter().any(|folder| folder.join(program).exists()))
        .copied()
        .collect();
    if !missing.is_empty() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {} not there; on Debian 12: apt-get install {packages}",
            missing.join(", ")
        );
    }
    missing.is_empty()
}

/// `saslpasswd2`: gives a user of a realm a password in this database.
///
/// # Panics
/// It fails.
pub fn add_user(database: &Path, realm: &str, user: &str, password: &str) {
    let arguments = ["-p", "-c", "-u", realm, "-f"];
    let mut child = command("saslpasswd2")
        .args(arguments)
        .arg(database)
        .arg(user)
        .stdin(Stdio::piped())
        .spawn()
        .expect("saslpasswd2 is there");
    child.stdin.take().expect("it is piped").write_all(password.as_bytes()).expect("it is read");
    assert!(child.wait().expect("a child can be waited for").success(), "saslpasswd2 failed");
}

/// What a program says about a database, which is its last argument.
///
/// # Panics
/// It fails.
pub fn said(program: &str, arguments: &[&str], database: &Path) -> Vec<u8> {
    let Output { status, stdout, stderr } = command(program)
        .args(arguments)
        .arg(database)
        .stdin(Stdio::null())
        .output()
        .expect("the program is there");
    assert!(status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

fn command(program: &str) -> Command {
    let path = env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    // Debian keeps some of them where only root looks.
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

/// A user that [`Saslauthd`] knows, and the password.
pub const KNOWN: (&str, &str) = ("mupdate-test", "a secret of this host");

/// A real `saslauthd`, for which `/etc/shadow` and PAM are its own; killed when dropped.
pub struct Saslauthd {
    child: Child,
    folder: TempDir,
}

/// Puts our files in the place of the host's, for this process alone.
const IN_ITS_PLACE: &str = "cd \"$1\" && for file in passwd shadow pam.d; do mount --bind $file /etc/$file || exit; done \
                            && exec saslauthd -a \"$2\" -m \"$1\" -n 2 -d";

impl Saslauthd {
    /// Starts one that asks as `-a mechanism` says, "pam" or "shadow", and waits until it listens. `None`, loudly, where
    /// it is not installed or may not be run.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(mechanism: &str) -> Option<Self> {
        if !has(&["saslauthd", "openssl", "unshare"], "sasl2-bin openssl util-linux") {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(std::io::stderr(), "SKIPPED: only root can give saslauthd users of its own");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("it is ours");
        let (user, password) = KNOWN;
        let hash = Command::new("openssl").args(["passwd", "-6", password]).output().expect("it is there");
        let hash = String::from_utf8(hash.stdout).expect("a hash is text");
        let of_the_host = |name: &str| fs::read_to_string(name).expect("we are root");
        write("passwd", format!("{}{user}:x:65533:65533::/:/bin/false\n", of_the_host("/etc/passwd")));
        write("shadow", format!("{}{user}:{}:20000:0:99999:7:::\n", of_the_host("/etc/shadow"), hash.trim()));
        fs::create_dir(folder.path().join("pam.d")).expect("it is ours");
        write("pam.d/mupdate", "auth required pam_unix.so nodelay\naccount required pam_unix.so\n".into());
        write("pam.d/other", "auth required pam_deny.so\naccount required pam_deny.so\n".into());
        let mut child = command("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", IN_ITS_PLACE, "sh"])
            .arg(folder.path())
            .arg(mechanism)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is there");
        let mut said =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let listens = said.by_ref().any(|line| line.contains("listening on socket"));
        assert!(listens, "saslauthd does not start");
        // It goes on talking, and would wait for a reader.
        thread::spawn(move || said.for_each(drop));
        Some(Self { child, folder })
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("mux")
    }
}

impl Drop for Saslauthd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
