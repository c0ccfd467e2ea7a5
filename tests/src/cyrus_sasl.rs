//! The programs of Cyrus SASL, for tests that take what operators have: real databases, a real `saslauthd`.

use std::{
    env,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

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
