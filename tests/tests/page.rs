//! The status page of both daemons, without a browser: what it is made of, who may see it, and what open pages cost.
//! `just page` looks at it with Chromium.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use mupdate_tests::{
    daemon::{DEADLINE, Daemon, Kind},
    http::Http,
    on_both_daemons,
    player::LOGIN,
};
use serde_json::{Value, json};

on_both_daemons!(
    the_page_is_one_answer_that_allows_nothing_else,
    events_tell_what_has_changed,
    open_pages_leave_room_for_everybody_else,
    it_is_for_administrators,
    other_sites_are_told_nothing,
);

/// A page hears something that often, whatever happens.
const SILENT: Duration = Duration::from_secs(10);

/// An open page.
struct Events {
    http: Http<UnixStream>,
    come: String,
}

impl Events {
    fn open(daemon: &Daemon) -> Self {
        let mut http = daemon.admin();
        http.ask("GET", "/v1/events");
        let head = http.head();
        assert_eq!((head.status, head.field("Content-Type")), (200, Some("text/event-stream")), "{head:?}");
        let mut events = Self { http, come: String::new() };
        assert_eq!(events.part().as_deref(), Some("retry: 2000"));
        events
    }

    /// What comes until the next empty line; `None` is the end.
    fn part(&mut self) -> Option<String> {
        loop {
            if let Some((part, rest)) = self.come.split_once("\n\n") {
                let (part, rest) = (part.to_owned(), rest.to_owned());
                self.come = rest;
                return Some(part);
            }
            self.come.push_str(str::from_utf8(&self.http.chunk()?).expect("names in it are text"));
        }
    }

    fn state(&mut self) -> Value {
        let part = self.part().expect("an event");
        let data = part.strip_prefix("event: state\ndata: ").unwrap_or_else(|| panic!("{part}"));
        serde_json::from_str(data).expect("one line of JSON")
    }

    /// The first state of which this is true.
    fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let state = self.state();
            if is(&state) {
                return state;
            }
            assert!(started.elapsed() < DEADLINE, "{state}");
        }
    }
}

fn the_page_is_one_answer_that_allows_nothing_else(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let page = daemon.admin().get("/");
    assert_eq!((page.status, page.field("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().starts_with("<!doctype html>") && page.text().ends_with("</html>\n"));
    let policy = page.field("Content-Security-Policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'sha256-", "frame-ancestors 'none'", "form-action 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(page.field("Cache-Control"), Some("no-store"));
    assert_eq!(page.field("Connection"), Some("close"), "browsers keep what they are given");
    assert_eq!(daemon.admin().get("/?x=y").status, 400);
    assert_eq!(daemon.admin().post("/", "").status, 405);
    assert_eq!(daemon.admin().post("/v1/events", "").status, 405);
}

fn events_tell_what_has_changed(kind: Kind) {
    let settings = "roles.be1 = { role = 'backend', servers = ['be1'] }\nroles.fe1 = 'frontend'\n\
                    roles.murder = 'admin'\npairs.be1 = ['be1', 'x']";
    let mut daemon = Daemon::start(kind, settings);
    let mut client = daemon.login();
    client.activate("user.a", "be1!p", "x").expect("nobody has it");
    let mut page = Events::open(&daemon);
    let state = page.until(|state| state["minutes"]["changes"] == json!([1]));
    assert_eq!(state["status"]["program"], kind.program());
    assert_eq!((&state["hosts"][0]["server"], &state["hosts"][0]["active"]), (&json!("be1"), &json!(1)));
    assert_eq!(
        (&state["pairs"][0]["declared"], &state["pairs"][0]["silent"]),
        (&json!(true), &json!(["be1", "x"]))
    );
    assert_eq!(
        (&state["streams"], &state["takeovers"], &state["refusals"]),
        (&json!([]), &json!([]), &json!([]))
    );

    let mut frontend = daemon.login_as("fe1");
    frontend.update(&[]).expect("it may read");
    let mut other = daemon.login_as("fe1");
    other.reserve("user.b", "be1!p").expect_err("a frontend");
    client.activate("user.a", "be2!q", "y").expect("an administrator");
    let state = page.until(|state| !state["takeovers"].as_array().is_none_or(Vec::is_empty));
    let takeover = &state["takeovers"][0];
    assert_eq!((&takeover["mailbox"], &takeover["before"]["location"]), (&json!("user.a"), &json!("be1!p")));
    assert!(takeover["after"].get("acl").is_none(), "{takeover}");
    let state = page.until(|state| !state["refusals"].as_array().is_none_or(Vec::is_empty));
    let refused = &state["refusals"][0];
    assert_eq!(
        (&refused["user"], &refused["deed"], &refused["mailbox"]),
        (&json!("fe1"), &json!("reserve"), &json!("user.b"))
    );
    assert_eq!(refused["reason"], "principal fe1 is a frontend and changes nothing");
    let state = page.until(|state| !state["streams"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(
        (&state["streams"][0]["user"], &state["streams"][0]["stream"]["behind"]),
        (&json!("fe1"), &json!(0))
    );
    assert_eq!(state["minutes"]["refused"], json!([1]));

    // Another page has the same; and one that is not read holds nobody up.
    let mut second = Events::open(&daemon);
    assert_eq!(second.state()["takeovers"], state["takeovers"]);
    let started = Instant::now();
    let before = second.state()["now_ms"].as_u64();
    assert!(started.elapsed() < SILENT + DEADLINE && second.state()["now_ms"].as_u64() > before);
    assert!(daemon.terminate().success());
    while page.part().is_some() {}
}

fn open_pages_leave_room_for_everybody_else(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut pages: Vec<_> = (0..4).map(|_| Events::open(&daemon)).collect();
    let refused = daemon.admin().get("/v1/events");
    assert_eq!((refused.status, refused.field("Retry-After")), (503, Some("1")), "{refused:?}");
    assert!(refused.text().contains("too many status pages are open"));
    let mut watches: Vec<_> = (0..5).map(|_| daemon.admin()).collect();
    for watch in &mut watches {
        watch.ask("GET", "/v1/watch");
        assert_eq!(watch.head().status, 200, "other streams have places of their own");
    }
    let mut short = daemon.admin();
    assert_eq!(["/livez", "/v1/status", "/"].map(|path| short.get(path).status), [200; 3]);
    daemon.login().activate("user.a", "be1!p", "x").expect("mail goes on");
    let first = &mut pages[0];
    first.until(|state| state["status"]["active"] == 1);
    // Whoever closes one makes room.
    pages.pop();
    let started = Instant::now();
    while !has_a_place(&daemon) {
        assert!(started.elapsed() < DEADLINE, "the place is not given back");
        std::thread::yield_now();
    }
}

/// Whether one more page can be opened. Whoever is turned away may be so before it has asked.
fn has_a_place(daemon: &Daemon) -> bool {
    let (mut stream, mut status) = (daemon.connect_admin(), [0; 12]);
    let asked = stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut status)).is_ok() && &status == b"HTTP/1.1 200"
}

fn it_is_for_administrators(kind: Kind) {
    let settings =
        format!("admin.listen = '127.0.0.1:0'\nroles.{} = 'admin'\nroles.fe1 = 'frontend'\n", LOGIN.0);
    let daemon = Daemon::start(kind, &settings);
    let line = daemon.wait_for_log("the admin interface is there");
    let address: SocketAddr = line.split(['"', ' ']).find_map(|word| word.parse().ok()).expect("an address");
    let http = || Http::new(TcpStream::connect(address).expect("it listens"));
    for path in ["/", "/v1/events"] {
        let refused = http().get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(
            refused.field("WWW-Authenticate").is_some_and(|field| field.starts_with("Basic ")),
            "browsers ask"
        );
        assert_eq!(http().login("fe1", LOGIN.1).get(path).status, 403, "{path}");
    }
    assert_eq!(http().login(LOGIN.0, LOGIN.1).get("/").status, 200);
    let mut events = http().login(LOGIN.0, LOGIN.1);
    events.ask("GET", "/v1/events");
    assert_eq!(events.head().status, 200);
}

fn other_sites_are_told_nothing(kind: Kind) {
    let daemon = Daemon::start(kind, "server_name = 'mupdate.example.org'");
    let status = |line: &str, fields: &str| {
        let mut http = daemon.admin();
        http.send(&format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n"));
        http.answer().status
    };
    for own in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "mupdate.example.org"] {
        assert_eq!(status("GET /v1/status", &format!("Host: {own}")), 200, "{own}");
    }
    // A name that somebody else has made to mean this host, for a browser that looks through a tunnel.
    assert_eq!(status("GET /v1/status", "Host: rebound.example.com:8080"), 421);
    let foreign = "Host: localhost:8080\r\nOrigin: https://example.com\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(status("POST /v1/demote", foreign), 403);
}
