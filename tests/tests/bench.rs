//! `mupdatectl bench` measures a server, and leaves it as it was.

use std::process::Command;

use mupdate_tests::{
    daemon::{Daemon, Kind, tool},
    player::LOGIN,
};
use serde_json::Value;

/// As short as can be: whether there are figures, not which.
const SHORT: [&str; 16] = [
    "--mailboxes",
    "200",
    "--seconds",
    "0.05",
    "--rounds",
    "1",
    "--clients",
    "2",
    "--pipeline",
    "1,3",
    "--subscribers",
    "3",
    "--idle",
    "20",
    "--json",
    "-",
];

#[test]
fn every_case_has_figures_of_both_servers_and_leaves_nothing_behind() {
    let servers = [Kind::Smol, Kind::Sync].map(|kind| Daemon::start(kind, ""));
    let [first, second] = servers.each_ref().map(|daemon| daemon.address().to_string());
    let out = Command::new(tool())
        .args(["bench", &first, "--vs", &second, "--user", LOGIN.0])
        .args(SHORT)
        .env("MUPDATE_PASSWORD", LOGIN.1)
        .output()
        .expect("it can be started");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).expect("nothing but JSON");
    let lines = report["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 2 * (3 * 2 + 10), "{report:#}");
    for line in lines {
        assert!(line["figures"]["operations"].as_u64() > Some(0), "{line:#}");
        assert!(line["figures"]["p50_us"].as_f64() <= line["figures"]["max_us"].as_f64(), "{line:#}");
        assert_eq!(line["first_to_this"].is_number(), line["server"] == second.as_str(), "{line:#}");
    }
    for daemon in &servers {
        let mut client = daemon.login();
        assert_eq!(client.list(None).expect("it serves"), []);
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let run = |arguments: &[&str], password: Option<&str>| {
        let mut command = Command::new(tool());
        command.arg("bench").args(arguments).env_remove("MUPDATE_PASSWORD");
        if let Some(password) = password {
            command.env("MUPDATE_PASSWORD", password);
        }
        let out = command.output().expect("it can be started");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, text) = run(&["127.0.0.1:1"], None);
    assert!(code == Some(64) && text.contains("--password-file"), "{text}");
    let (code, text) = run(&["127.0.0.1:1", "--only", "fnid"], Some("secret"));
    assert!(code == Some(64) && text.contains("there is no case \"fnid\"; there are create, "), "{text}");
    let (code, text) = run(&["127.0.0.1:1"], Some("secret"));
    assert!(code == Some(69) && text.contains("127.0.0.1:1: ") && text.contains("refused"), "{text}");
    let daemon = Daemon::start(Kind::Smol, "");
    let (code, text) = run(&[&daemon.address().to_string(), "--user", LOGIN.0], Some("wrong"));
    assert!(code == Some(69) && text.contains("authentication failed"), "{text}");
}
