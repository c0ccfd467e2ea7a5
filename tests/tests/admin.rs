//! The admin interface of both daemons: who may ask, and that nobody who asks disturbs mail or others.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use mupdate_tests::{
    daemon::{DEADLINE, Daemon, Kind},
    http::Http,
    on_both_daemons,
    player::LOGIN,
};

on_both_daemons!(
    it_says_how_it_is,
    it_can_be_turned_off,
    users_of_the_network_log_in,
    slow_and_hostile_peers_cost_nobody_anything,
    what_is_pipelined_is_answered_in_sequence,
);

/// As long as a request may take.
const TIME: Duration = Duration::from_secs(10);

/// Where it listens on the network.
fn address(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_for_log("the admin interface is there");
    line.split(['"', ' ']).find_map(|word| word.parse().ok()).expect("an address")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream
}

fn it_says_how_it_is(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    client.activate("user.a", "be1!p", "x").expect("nobody has it");
    let mut http = daemon.admin();
    assert_eq!((http.get("/livez").text(), http.get("/readyz").text()), ("ok\n".into(), "ok\n".into()));
    let status = http.get("/v1/status").json();
    assert_eq!(status["program"], kind.program());
    assert_eq!(
        (&status["active"], &status["servers"], &status["connections"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(status["not_ready"], serde_json::json!([]));
    assert!(status["disk_free"].as_u64().is_some_and(|free| free > 0), "{status}");
    http.ask("HEAD", "/v1/status");
    assert!(http.head().field("Content-Length").is_some());
    assert_eq!(http.get("/v1/status?verbose=true").status, 400);
    let refused = http.get("/nothing");
    assert_eq!((refused.status, refused.json()["error"].is_string()), (404, true));
    assert!(daemon.terminate().success());
    assert!(!daemon.data_dir().join("admin.sock").exists(), "removed at the end");
}

fn it_can_be_turned_off(kind: Kind) {
    let daemon = Daemon::start(kind, "admin.listen = []");
    assert!(!daemon.data_dir().join("admin.sock").exists());
    assert!(!daemon.log().contains("admin interface"));
}

fn users_of_the_network_log_in(kind: Kind) {
    let settings =
        format!("admin.listen = '127.0.0.1:0'\nroles.{} = 'admin'\nroles.fe1 = 'frontend'\n", LOGIN.0);
    let daemon = Daemon::start(kind, &settings);
    let address = address(&daemon);
    let http = || Http::new(connect(address));
    assert_eq!(http().get("/livez").text(), "ok\n");
    let refused = http().get("/v1/status");
    assert_eq!((refused.status, refused.field("WWW-Authenticate").is_some()), (401, true));
    assert_eq!(http().get("/nothing").status, 401, "nor is it told what is there");
    let mut good = http().login(LOGIN.0, LOGIN.1);
    assert_eq!(good.get("/v1/status").status, 200);
    assert_eq!(good.get("/v1/status").status, 200, "on the same connection");
    assert_eq!(http().login("fe1", LOGIN.1).get("/v1/status").status, 403);
    let begun = Instant::now();
    assert_eq!(http().login(LOGIN.0, "wrong").get("/v1/status").status, 401);
    assert!(begun.elapsed() >= Duration::from_secs(1), "guesses are slowed down");
    let mut page = http();
    page.send("GET /livez HTTP/1.1\r\nHost: x\r\nOrigin: http://example.org\r\n\r\n");
    assert_eq!(page.answer().status, 403, "a browser's page");
    daemon.wait_for_log("refused at the admin interface: the role is not admin");
}

fn slow_and_hostile_peers_cost_nobody_anything(kind: Kind) {
    let daemon = Daemon::start(kind, "admin.listen = ['./admin.sock', '127.0.0.1:0']");
    let mut client = daemon.login();
    let begun = Instant::now();
    // More than there are seats, each with half of a request.
    let mut crowd: Vec<_> = (0..100).map(|_| daemon.connect_admin()).collect();
    for peer in &mut crowd {
        // Who was turned away may be gone already.
        let _ = peer.write_all(b"GET /livez HT");
    }
    client.activate("user.a", "be1!p", "x").expect("mail goes on");
    let busy =
        crowd.iter_mut().rev().map(|peer| Http::new(peer).answer()).find(|answer| answer.status == 503);
    assert!(busy.is_some_and(|answer| answer.field("Retry-After").is_some()));
    let network = Http::new(connect(address(&daemon))).get("/livez");
    assert_eq!(network.status, 200, "peers of the other kind have seats of their own");
    // Those in the seats are told that they were too slow; then there is room again.
    let mut first = Http::new(crowd.swap_remove(0));
    assert_eq!(first.answer().status, 408);
    assert!(begun.elapsed() >= TIME, "{:?}", begun.elapsed());
    client.activate("user.b", "be1!p", "x").expect("mail goes on");
    drop(crowd);
    let started = Instant::now();
    while http_status(&daemon) != Some(200) {
        assert!(started.elapsed() < DEADLINE, "nobody leaves");
        std::thread::yield_now();
    }

    let mut long = daemon.admin();
    long.send(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(20 << 10)));
    assert_eq!(long.answer().status, 431);
    let mut large = daemon.admin();
    large.send("POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(large.answer().status, 405);
    let mut large = daemon.admin();
    large.send("GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(large.answer().status, 413);
    assert!(large.rest().is_empty(), "and closed");
    let mut gone = daemon.connect_admin();
    gone.write_all(b"GET /v1/status HTTP/1.1\r\nHo").expect("it is read");
    drop(gone);
    let mut noise = daemon.admin();
    noise.send("\u{16}\u{3}\u{1}garbage\r\n\r\n");
    assert_eq!(noise.answer().status, 400);
    client.activate("user.c", "be1!p", "x").expect("mail goes on");
    assert_eq!(daemon.admin().get("/v1/status").json()["active"], 3);
}

/// Whether it is live; nothing if there is no whole answer.
fn http_status(daemon: &Daemon) -> Option<u16> {
    let mut stream = daemon.connect_admin();
    stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split(' ').nth(1)?.parse().ok()
}

fn what_is_pipelined_is_answered_in_sequence(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut http = daemon.admin();
    let requests =
        ["/livez", "/nothing", "/v1/status"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    http.send(&requests.concat().repeat(20));
    for _ in 0..20 {
        assert_eq!([(); 3].map(|()| http.answer().status), [200, 404, 200]);
    }
    http.send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(http.answer().field("Connection"), Some("close"));
    assert!(http.rest().is_empty());
}
