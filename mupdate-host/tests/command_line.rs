//! The command line as an operator meets it: this program runs itself as the daemon, with a daemon that only says what it was
//! told.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use mupdate_host::cli;

const AS_DAEMON: &str = "MUPDATE_TEST_AS_DAEMON";

fn main() -> ExitCode {
    if std::env::var_os(AS_DAEMON).is_some() {
        return cli::main("mupdated", |serve| {
            println!("{}", serve.config);
            Ok(())
        });
    }
    let tests: [(&str, fn()); 8] = [
        ("serving_gets_what_is_in_force", serving_gets_what_is_in_force),
        ("help_and_version_succeed", help_and_version_succeed),
        ("failures_are_one_line_and_a_code", failures_are_one_line_and_a_code),
        ("users_are_added_from_standard_input", users_are_added_from_standard_input),
        ("users_are_removed", users_are_removed),
        ("passwords_that_cannot_be_are_refused", passwords_that_cannot_be_are_refused),
        ("the_configuration_says_where_the_users_are", the_configuration_says_where_the_users_are),
        ("check_config_tells_all", check_config_tells_all),
    ];
    let run = |test: fn()| move || std::panic::catch_unwind(test).map_err(|_| "see above".into());
    let trials = tests.map(|(name, test)| Trial::test(name, run(test)));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the command line in `dir` with this standard input.
fn run(dir: &Path, args: &[&str], input: &str) -> Outcome {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(args)
        .current_dir(dir)
        .env(AS_DAEMON, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may well end without having read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Outcome { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

fn good(dir: &Path, args: &[&str], input: &str) -> String {
    let outcome = run(dir, args, input);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""), "{args:?}");
    outcome.out
}

/// The one line that a failure with this code prints.
fn fails(dir: &Path, args: &[&str], input: &str, code: i32) -> String {
    let outcome = run(dir, args, input);
    assert_eq!(outcome.code, Some(code), "{args:?}: {}", outcome.err);
    assert!(
        outcome.err.starts_with("mupdated: ") && outcome.err.ends_with('\n'),
        "{args:?}: {}",
        outcome.err
    );
    assert_eq!(outcome.err.lines().count(), 1, "{args:?}: {}", outcome.err);
    outcome.err
}

fn serving_gets_what_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.toml"), "software = 'x'\nserver_name = 'file'\n").unwrap();
    let out = good(dir.path(), &["--config", "m.toml", "--server-name", "cli", "--listen", "./sock"], "");
    for line in
        ["software = \"x\"", "server_name = \"cli\"", "listen = [\"./sock\"]", "data_dir = \"mupdate-data\""]
    {
        assert!(out.lines().any(|said| said == line), "{line} is not in {out}");
    }
    let open = run(dir.path(), &["--listen", "0.0.0.0:3905", "--log", "json"], "");
    assert_eq!(open.code, Some(0));
    assert!(
        open.err.starts_with('{') && open.err.contains("only who speaks SCRAM can log in"),
        "{}",
        open.err
    );
    assert!(run(dir.path(), &["--listen", "0.0.0.0:3905", "--log", "error"], "").err.is_empty());
}

fn help_and_version_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let help = good(dir.path(), &["--help"], "");
    for word in
        ["--config", "--data-dir", "--listen", "--server-name", "--log", "user", "check-config", "SIGHUP"]
    {
        assert!(help.contains(word), "{word} is not in {help}");
    }
    assert!(help.contains("Usage: mupdated "), "{help}");
    let version = good(dir.path(), &["--version"], "");
    assert_eq!(version, format!("mupdated {}\n", env!("CARGO_PKG_VERSION")));
    assert!(good(dir.path(), &["user", "add", "--help"], "").contains("standard input"));
}

fn failures_are_one_line_and_a_code() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.toml"), "\nlisen = 1\n[limits]\nlime = 1\n").unwrap();
    let usage = fails(dir.path(), &["--lisen", "x"], "", 64);
    assert!(usage.contains("'--listen'"), "{usage}");
    fails(dir.path(), &["--listen", "/s", "user", "list"], "", 64);
    fails(dir.path(), &["user"], "", 64);
    let config = fails(dir.path(), &["--config", "bad.toml"], "", 78);
    assert!(
        config.contains("bad.toml: unknown key `lisen` in line 2; did you mean `listen`? (and 1 more"),
        "{config}"
    );
    fails(dir.path(), &["--config", "none.toml"], "", 66);
    fails(dir.path(), &["user", "list"], "", 66);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was made on disk");
}

fn users_are_added_from_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let said = good(dir.path(), &["user", "add", "murder", "--data-dir", "d"], "secret\n");
    assert_eq!(said, "murder added in d/users; a running mupdated takes it over on SIGHUP\n");
    let said = good(dir.path(), &["user", "add", "murder", "--data-dir", "d"], "other");
    assert!(said.starts_with("murder has a new password in d/users; "), "{said}");
    good(dir.path(), &["--data-dir", "d", "user", "add", "admin"], "x");
    fs::write(dir.path().join("m.toml"), "data_dir = \"d\"\nroles.admin = \"admin\"\n").unwrap();
    let said = good(dir.path(), &["--config", "m.toml", "user", "add", "admin"], "x");
    assert!(!said.contains("role"), "{said}");
    let said = good(dir.path(), &["--config", "m.toml", "user", "add", "other"], "x");
    assert!(said.ends_with("other has no role in [roles] yet, and may do nothing\n"), "{said}");
    good(dir.path(), &["--data-dir", "d", "user", "remove", "other"], "");
    assert_eq!(good(dir.path(), &["user", "list", "--data-dir", "d"], ""), "admin\nmurder\n");
    let kept = fs::read_to_string(dir.path().join("d/users")).unwrap();
    assert!(kept.starts_with("murder:SCRAM-SHA-256$10000:") && !kept.contains("other"), "{kept}");
}

fn users_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    good(dir.path(), &["user", "add", "one"], "x");
    good(dir.path(), &["user", "add", "two"], "x");
    let said = good(dir.path(), &["user", "remove", "one"], "");
    assert_eq!(said, "one removed from mupdate-data/users; a running mupdated takes it over on SIGHUP\n");
    assert_eq!(good(dir.path(), &["user", "list"], ""), "two\n");
    let said = fails(dir.path(), &["user", "remove", "one"], "", 65);
    assert!(said.contains("no user one in mupdate-data/users; `mupdated user list` shows who is"), "{said}");
}

fn passwords_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for input in ["", "\n", "one\ntwo\n", "\u{7}", &"x".repeat(10_000)] {
        fails(dir.path(), &["user", "add", "x"], input, 65);
    }
    fails(dir.path(), &["user", "add", "a:b"], "secret", 64);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was made on disk");
}

fn the_configuration_says_where_the_users_are() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.toml"), "data_dir = 'there'\n").unwrap();
    good(dir.path(), &["--config", "m.toml", "user", "add", "x"], "secret");
    assert!(dir.path().join("there/users").is_file());
}

fn check_config_tells_all() {
    let dir = tempfile::tempdir().unwrap();
    let said = good(dir.path(), &["check-config"], "");
    assert!(said.contains("policy = \"standard\"") && said.contains("# No users yet"), "{said}");
    fs::write(dir.path().join("bad.toml"), "lisen = 1\n[limits]\nlime = 1\n").unwrap();
    let outcome = run(dir.path(), &["check-config", "--config", "bad.toml"], "");
    assert_eq!((outcome.code, outcome.out.lines().count()), (Some(78), 2), "{}", outcome.out);
    assert_eq!(outcome.err, "mupdated: 2 problem(s) in bad.toml; correct them and check again\n");
}
