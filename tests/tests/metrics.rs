//! What both daemons tell Prometheus: the same, all of it in the documentation, and as promtool likes it.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    process::{Command, Stdio},
};

use mupdate_tests::{
    daemon::{Daemon, Kind},
    on_both_daemons,
};

on_both_daemons!(
    a_page_is_as_promtool_likes_it_and_as_the_documentation_says,
    what_a_backend_does_is_on_the_page,
    whoever_asks_for_openmetrics_is_given_that,
);

fn page(daemon: &Daemon) -> String {
    let answer = daemon.admin().get("/metrics");
    assert_eq!(
        (answer.status, answer.field("Content-Type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    answer.text()
}

/// `just dashboards` says where promtool is; elsewhere it is asked if it is there.
fn promtool(page: &str) {
    let program = env::var_os("PROMTOOL");
    let mut command = Command::new(program.as_deref().unwrap_or("promtool".as_ref()));
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if program.is_some() => panic!("promtool: {error}"),
        Err(_) => return eprintln!("there is no promtool here, so it is not asked"),
    };
    let mut input = child.stdin.take().expect("piped");
    input.write_all(page.as_bytes()).expect("it is read");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

fn a_page_is_as_promtool_likes_it_and_as_the_documentation_says(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    client.activate("user.a", "be1!p", "x").expect("nobody has it");
    let page = page(&daemon);
    promtool(&page);
    let documentation = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let documentation = fs::read_to_string(documentation).expect("docs/metrics.md");
    let known: BTreeSet<&str> = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect();
    let told: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(told, known);
    assert!(page.contains(&format!("mupdate_build_info{{program=\"{}\"", kind.program())), "{page}");
}

fn what_a_backend_does_is_on_the_page(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    client.activate("user.a", "be1!p", "x").expect("nobody has it");
    client.activate("user.a", "be1!p", "x").expect("it has it already");
    let page = page(&daemon);
    for sample in [
        r#"mupdate_names{server="be1",state="active"} 1"#,
        r#"mupdate_changes_total{command="activate",outcome="changed"} 1"#,
        r#"mupdate_changes_total{command="activate",outcome="repeated"} 1"#,
        "mupdate_writer_commit_seconds_count 1",
        "mupdate_connections 1",
        "mupdate_ready 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
}

fn whoever_asks_for_openmetrics_is_given_that(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut http = daemon.admin();
    http.send("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n\r\n");
    let answer = http.answer();
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.field("Content-Type")), (200, Some(form)));
    assert!(answer.text().ends_with("\n# EOF\n"), "{}", answer.text());
}
