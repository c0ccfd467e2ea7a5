//! A page of a real directory, and the table in the documentation.

use std::{collections::BTreeSet, env, fs, sync::mpsc};

use mupdate_core::directory::Filter;

use super::*;
use crate::{
    inbox::Inbox,
    link::{Link, Peer},
    listen::Entrance,
    service::fixture::{Host, LOGIN},
};

impl Host {
    /// What the lines are answered, until the tag `Z` is.
    fn say(&self, lines: &str) -> (Link, String) {
        let peer = Peer::Internet("127.0.0.1:9".parse().expect("an address"));
        let place = self.service.admit(&peer, Entrance::Plain, Vec::new()).expect("a place");
        let (wake, woken) = mpsc::channel();
        let inbox = Inbox::new(Box::new(move || wake.send(()).unwrap_or_default()));
        let mut link = Link::new(&self.service, place, peer, Entrance::Plain, inbox, Instant::now());
        link.received(lines.as_bytes());
        let mut said = String::new();
        loop {
            let wait = link.run(Instant::now());
            said.push_str(&String::from_utf8_lossy(link.output()));
            link.wrote(link.output().len(), Instant::now());
            if !wait.again && said.contains("\r\nZ ") {
                return (link, said);
            }
            if !wait.again {
                woken.recv().expect("something comes");
            }
        }
    }

    fn page(&self) -> String {
        render(&self.service, Format::Text)
    }
}

fn has(page: &str, sample: &str) {
    assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
}

#[test]
fn what_was_said_and_done_is_on_the_page() {
    let host = Host::new("");
    let (_link, said) = host.say(&format!(
        "{LOGIN}B RESERVE \"m\" \"be1!p\"\r\nC ACTIVATE \"m\" \"be1!p\" \"x\"\r\nD ACTIVATE \"m\" \"be1!p\" \"x\"\r\n\
         E ACTIVATE \"m\" \"be2!p\" \"x\"\r\nF RESERVE \"m\" \"be1!p\"\r\nG FIND \"m\"\r\nH WHAT\r\n\
         I RESERVE \"n\" \"be1!q\"\r\nZ NOOP\r\n"
    ));
    assert!(said.contains("\r\nF NO "), "{said}");
    let (stream, _) = host.say(&format!("{LOGIN}Z UPDATE\r\n"));
    let page = host.page();
    for sample in [
        "mupdate_revision 4",
        r#"mupdate_names{server="be2",state="active"} 1"#,
        r#"mupdate_names{server="be1",state="reserved"} 1"#,
        r#"mupdate_commands_total{command="activate",answer="ok"} 3"#,
        r#"mupdate_commands_total{command="reserve",answer="no"} 1"#,
        r#"mupdate_commands_total{command="find",answer="ok"} 1"#,
        r#"mupdate_commands_total{command="update",answer="ok"} 1"#,
        r#"mupdate_commands_total{command="noop",answer="ok"} 1"#,
        r#"mupdate_commands_total{command="malformed",answer="bad"} 1"#,
        r#"mupdate_changes_total{command="activate",outcome="changed"} 2"#,
        r#"mupdate_changes_total{command="activate",outcome="repeated"} 1"#,
        r#"mupdate_changes_total{command="reserve",outcome="refused"} 1"#,
        "mupdate_takeovers_total 1",
        r#"mupdate_streams{client="murder@127.0.0.1",follows="everything"} 1"#,
        r#"mupdate_stream_lag_seconds{client="murder@127.0.0.1"} 0.0"#,
        "mupdate_connections 2",
        "mupdate_connections_logged_in 2",
        r#"mupdate_logins_total{mechanism="PLAIN",outcome="verified"} 1"#,
        r#"mupdate_logins_total{mechanism="PLAIN",outcome="remembered"} 1"#,
        r#"mupdate_role{role="master"} 1"#,
    ] {
        has(&page, sample);
    }
    // The stream is not run any more, so it falls behind.
    let (_link, _) = host.say(&format!("{LOGIN}Z DELETE \"m\"\r\n"));
    let page = host.page();
    has(&page, r#"mupdate_stream_waiting_names{client="murder@127.0.0.1"} 1"#);
    has(&page, r#"mupdate_stream_lag_revisions{client="murder@127.0.0.1"} 1"#);
    assert!(!page.contains("mupdate_stream_lag_seconds{client=\"murder@127.0.0.1\"} 0.0\n"), "{page}");
    drop(stream);
    assert!(!host.page().contains("murder@127.0.0.1"));
}

#[test]
fn a_page_is_in_the_form_that_was_asked_for() {
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
    assert_eq!(Format::accepted(Some("*/*")), Format::Text);
    assert_eq!(Format::accepted(None), Format::Text);
    let host = Host::new("");
    let open = render(&host.service, Format::OpenMetrics);
    assert!(open.ends_with("# EOF\n") && open.contains("\n# TYPE mupdate_takeovers counter\n"), "{open}");
    assert!(!host.page().contains("# EOF"));
}

#[test]
fn every_metric_is_described_and_no_other() {
    let page = Host::new("").page();
    let told: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(told, known);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let suffixes = ["_bucket", "_sum", "_count"];
        let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(known.contains(family), "{line}");
    }
}

/// `UPDATE_DOCS=1 cargo test -p mupdate-host metrics` writes the table anew.
#[test]
fn the_table_in_the_documentation_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let text = fs::read_to_string(path).expect("docs/metrics.md");
    let (start, end) = ("<!-- the table -->\n", "<!-- its end -->\n");
    let (before, rest) = text.split_once(start).expect("the beginning of the table");
    let (found, after) = rest.split_once(end).expect("the end of the table");
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for metric in ALL {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    if found != table && env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, format!("{before}{start}{table}{end}{after}")).expect("the table is written");
        return;
    }
    assert!(
        found == table,
        "the table in docs/metrics.md is not what the code says; run this with UPDATE_DOCS=1"
    );
}

/// Not so much a test of the time, which depends on the machine, as a way to see it: with `--nocapture`.
#[test]
fn a_thousand_streams_and_ten_thousand_connections_are_a_page_soon() {
    let host = Host::new("");
    let service = &host.service;
    let inbox = Inbox::new(Box::new(|| {}));
    let streams: Vec<_> = (0..1000)
        .map(|number| service.feeds.subscribe_as(&format!("fe@{number}"), Filter::All, Arc::clone(&inbox)))
        .collect();
    let peer = Peer::Unix;
    let places: Vec<_> =
        (0..10_000).map_while(|_| service.connections.admit(20_000).map(|place| (place, peer))).collect();
    let begun = Instant::now();
    let page = host.page();
    println!("{} octets for {} streams in {:?}", page.len(), streams.len(), begun.elapsed());
    has(&page, "mupdate_connections 10000");
    assert_eq!(page.matches("mupdate_stream_lag_seconds{").count(), 1000);
    drop(places);
}
