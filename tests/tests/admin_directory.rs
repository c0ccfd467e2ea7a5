//! What the admin interface of both daemons says of the directory and of who is connected, and what it does for operators.

use std::{
    fs,
    io::Read,
    net::TcpStream,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mupdate_proto::Verb;
use mupdate_tests::{
    client::{Client, ClientError, Row, activate, find},
    daemon::{DEADLINE, Daemon, Kind},
    http::Http,
    on_both_daemons,
    player::LOGIN,
    tls::{self, Authority, Dialler, SETTINGS, TlsStream},
};
use serde_json::{Value, json};

on_both_daemons!(
    the_directory_is_listed,
    a_long_list_comes_in_pages,
    changes_are_seen_as_they_happen,
    connections_are_shown_and_closed,
    kicked_in_the_midst_of_it,
    a_fuse_is_released,
    a_backup_is_a_directory,
    users_log_in_over_tls,
);

/// A time of this minute or so.
fn is_recent(ms: &Value) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_millis();
    ms.as_u64().map(u128::from).is_some_and(|ms| ms <= now && now - ms < DEADLINE.as_millis())
}

fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["mailbox"].as_str().expect("a name")).collect()
}

fn the_directory_is_listed(kind: Kind) {
    let daemon = Daemon::start(kind, "orders.be2 = 'dot'");
    let mut client = daemon.login();
    for (name, location) in
        [("user.a", "be1!p1"), ("user.a.b", "be1!p2"), ("user.c", "be2!p1"), ("user.d", "be2")]
    {
        client.activate(name, location, "a lrs").expect("nobody has it");
    }
    client.reserve("user.e", "be1!p1").expect("nobody has it");
    let mut http = daemon.admin();
    let mut hosts = http.get("/v1/hosts").json();
    for host in hosts.as_array_mut().into_iter().flatten() {
        let changed = host.as_object_mut().and_then(|host| host.remove("changed_ms"));
        assert!(changed.as_ref().is_some_and(is_recent), "{host}");
    }
    assert_eq!(
        hosts,
        json!([
            {"server": "be1", "active": 2, "reserved": 1, "partitions": [
                {"partition": "p1", "active": 1, "reserved": 1}, {"partition": "p2", "active": 1, "reserved": 0}]},
            {"server": "be2", "active": 2, "reserved": 0, "order": {"order": "dot", "source": "configured"}, "partitions": [
                {"partition": "", "active": 1, "reserved": 0}, {"partition": "p1", "active": 1, "reserved": 0}]},
        ])
    );
    let mut list = |query: &str| -> Vec<String> {
        let answer = http.get(&format!("/v1/mailboxes{query}"));
        assert_eq!(answer.field("Content-Type"), Some("application/jsonl"), "{answer:?}");
        names(&answer.lines()).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(list(""), ["user.a", "user.a.b", "user.c", "user.d", "user.e"]);
    assert_eq!(list("?server=be1"), ["user.a", "user.a.b", "user.e"]);
    assert_eq!(list("?server=be1&state=reserved"), ["user.e"]);
    assert_eq!(list("?glob=user.%3F&after=user.a&limit=2"), ["user.c", "user.d"]);
    assert_eq!(list("?server=be3"), [""; 0]);
    assert_eq!(list("?limit=0"), [""; 0]);
    let wrong = ["state=gone", "limit=-1", "server=a!b", "sever=a"];
    assert!(wrong.iter().all(|query| http.get(&format!("/v1/mailboxes?{query}")).status == 400));
    // What cannot be read ends the connection.
    assert_eq!(daemon.admin().get("/v1/mailboxes?server=%zz").status, 400);
    assert_eq!(
        http.get("/v1/mailbox?name=user.e").json(),
        json!({"mailbox": "user.e", "state": "reserved", "location": "be1!p1", "revision": 5})
    );
    assert_eq!(http.get("/v1/mailbox?name=user.d").json()["acl"], "a lrs");
    assert_eq!((http.get("/v1/mailbox?name=user.x").status, http.get("/v1/mailbox").status), (404, 400));
}

fn a_long_list_comes_in_pages(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    let acl = "anyone lrs ".repeat(200);
    for number in 0..1500 {
        let location = if number % 3 == 0 { "be1!p" } else { "be2!p" };
        client.activate(&format!("user.{number:04}"), location, &acl).expect("nobody has it");
    }
    let mut http = daemon.admin();
    assert_eq!(http.get("/v1/mailboxes").lines().len(), 1500);
    assert_eq!(http.get("/v1/mailboxes?server=be1").lines().len(), 500);
    // One that reads nothing of it holds up nobody, nor does one that goes in its midst.
    let mut unread = daemon.admin();
    unread.ask("GET", "/v1/mailboxes");
    let mut gone = daemon.admin();
    gone.ask("GET", "/v1/mailboxes");
    assert!(gone.chunk_of_answer().is_some());
    drop(gone);
    client.activate("user.new", "be1!p", "x").expect("mail goes on");
    assert_eq!(http.get("/v1/status").json()["active"], 1501);
    let mut old = daemon.admin();
    old.send("GET /v1/mailboxes HTTP/1.0\r\n\r\n");
    assert_eq!(old.answer().lines().len(), 1501, "ended by the connection's end");
    drop(unread);
}

fn changes_are_seen_as_they_happen(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    client.activate("user.before", "be1!p", "x").expect("nobody has it");
    let (mut all, mut one) = (daemon.admin(), daemon.admin());
    all.ask("GET", "/v1/watch");
    one.ask("GET", "/v1/watch?server=be1");
    assert_eq!((all.head().status, one.head().status), (200, 200));
    let line = |http: &mut Http<UnixStream>| -> Value {
        serde_json::from_slice(&http.chunk().expect("a line")).expect("one line")
    };
    client.activate("user.a", "be2!p", "x").expect("nobody has it");
    let there = json!({"mailbox": "user.a", "state": "active", "location": "be2!p", "acl": "x"});
    assert_eq!(line(&mut all), there);
    client.activate("user.before", "be2!p", "x").expect("taken");
    assert_eq!(line(&mut all)["location"], "be2!p");
    assert_eq!(
        line(&mut one),
        json!({"mailbox": "user.before", "state": "deleted"}),
        "it has left this server"
    );
    client.delete("user.a").expect("there");
    assert_eq!(line(&mut all)["state"], "deleted");
    let status = daemon.admin().get("/v1/status").json();
    assert_eq!(status["subscribers"], 2);
    drop(one);
    let started = Instant::now();
    while daemon.admin().get("/v1/status").json()["subscribers"] != 1 {
        assert!(started.elapsed() < DEADLINE, "who has gone is noticed");
        thread::yield_now();
    }
    // They have a bound of their own, and it leaves room for others.
    let mut crowd: Vec<_> = (0..6).map(|_| daemon.admin()).collect();
    crowd.iter_mut().for_each(|http| http.ask("GET", "/v1/watch"));
    let answers: Vec<_> = crowd.iter_mut().map(|http| http.head().status).collect();
    assert!(answers.contains(&200) && answers.contains(&503), "{answers:?}");
    assert_eq!(daemon.admin().get("/readyz").status, 200);
    assert!(daemon.terminate().success());
    assert_eq!(all.chunk(), None, "it ends in good order");
}

fn connections_are_shown_and_closed(kind: Kind) {
    let daemon = Daemon::start(kind, "streams.hold_ms = 60000");
    let mut client = daemon.login();
    let mut stream = Client::login(daemon.connect_unix()).expect("the daemon serves");
    stream.update(&["be1"]).expect("a stream");
    client.activate("user.a", "be1!p", "x").expect("nobody has it");
    // A command that waits behind a change is one nevertheless.
    client.send(activate("user.b", "be1!p", "x"));
    client.send(find("user.b"));
    client.flush().expect("it is read");
    assert_eq!((client.answer().expect("free").len(), client.answer().expect("there").len()), (0, 1));
    let _stranger = daemon.connect();
    let mut http = daemon.admin();
    let (started, mut clients) = (Instant::now(), Value::Null);
    // Who has just connected may not have been seen yet.
    while clients.as_array().is_none_or(|all| all.len() < 3) {
        assert!(started.elapsed() < DEADLINE, "{clients}");
        clients = http.get("/v1/clients").json();
    }
    let all = clients.as_array().expect("a list");
    let of = |doing: &str| all.iter().find(|client| client["doing"] == doing).cloned();
    let (commands, follows) = (of("commands").expect("there"), of("stream").expect("there"));
    assert_eq!((&commands["user"], &commands["commands"]), (&json!(LOGIN.0), &json!(4)));
    assert_eq!((&commands["tls"], &commands["compressed"]), (&json!(false), &json!(false)));
    assert!(commands["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")));
    assert!(of("login").is_some_and(|stranger| stranger["user"].is_null()));
    assert_eq!((&follows["peer"], &follows["stream"]["servers"]), (&json!("unix"), &json!(["be1"])));
    assert_eq!(follows["stream"]["behind"], 2, "it is held back");
    assert!(follows["stream"]["lag_ms"].as_u64().is_some_and(|lag| lag < 60_000), "{follows}");
    assert!(is_recent(&commands["since_ms"]), "{commands}");

    let number = &commands["number"];
    let kicked = http.post(&format!("/v1/clients/{number}/kick"), "{}");
    assert_eq!((kicked.status, kicked.json()), (200, json!({"kicked": number})));
    assert_eq!(client.end().expect("told so"), Some("closed by an administrator".into()));
    daemon.wait_for_log("closed by an administrator");
    assert_eq!(http.post("/v1/clients/999/kick", "").status, 404);
    assert_eq!(http.post("/v1/clients/me/kick", "").status, 400);
    assert_eq!(http.get(&format!("/v1/clients/{number}/kick")).status, 405);
    stream.noop().expect("others go on");
}

fn kicked_in_the_midst_of_it(kind: Kind) {
    let daemon = Daemon::start_on(kind, &format!("listen_tls = ['127.0.0.1:0']\n{SETTINGS}"), |data| {
        let authority = Authority::new("authority");
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    // One that shakes no hands, though it should, and one that reads nothing of what it has asked for.
    let mut silent = daemon.connect_tls();
    let mut client = daemon.login();
    let acl = "anyone lrs ".repeat(2000);
    for number in 0..500 {
        client.activate(&format!("user.{number}"), "be1!p", &acl).expect("nobody has it");
    }
    let mut http = daemon.admin();
    for _ in 0..20 {
        client.send(Verb::List { prefix: None });
    }
    client.flush().expect("it is read");
    let started = Instant::now();
    let mut all = Value::Null;
    while all.as_array().is_none_or(|all| all.len() < 2) {
        assert!(started.elapsed() < DEADLINE, "{all}");
        all = http.get("/v1/clients").json();
    }
    for client in all.as_array().expect("a list") {
        assert_eq!(http.post(&format!("/v1/clients/{}/kick", client["number"]), "").status, 200);
    }
    silent.read_to_end(&mut Vec::new()).expect("it is closed");
    while http.get("/v1/clients").json() != json!([]) {
        assert!(started.elapsed() < DEADLINE, "who takes nothing is not waited for");
        thread::yield_now();
    }
}

fn a_fuse_is_released(kind: Kind) {
    let daemon = Daemon::start(kind, "fuse.takeovers = 1");
    let mut client = daemon.login();
    for name in ["user.a", "user.b"] {
        client.activate(name, "be1!p", "x").expect("nobody has it");
    }
    client.activate("user.a", "be2!p", "x").expect("the first");
    assert!(matches!(client.activate("user.b", "be2!p", "x"), Err(ClientError::Refused { .. })));
    let mut http = daemon.admin();
    let fuses = http.get("/v1/fuses").json();
    assert_eq!((&fuses[0]["user"], &fuses[0]["holds"]), (&json!(LOGIN.0), &json!(["takeovers"])));
    assert!(fuses[0]["since_ms"].is_u64());
    assert_eq!(http.get("/v1/status").json()["fuses_blown"], json!([LOGIN.0]));
    assert_eq!(http.post("/v1/fuses/release", r#"{"user":"nobody"}"#).status, 404);
    assert_eq!(http.post("/v1/fuses/release", r#"{"usr":"nobody"}"#).status, 400);
    assert_eq!(http.post("/v1/fuses/release", &format!(r#"{{"user":"{}"}}"#, LOGIN.0)).status, 200);
    client.activate("user.b", "be2!p", "x").expect("at once");
    assert_eq!(http.get("/v1/fuses").json(), json!([]));
    daemon.wait_for_log("admin: POST /v1/fuses/release");
}

fn a_backup_is_a_directory(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    for number in 0..200 {
        client.activate(&format!("user.{number}"), "be1!p", "x").expect("nobody has it");
    }
    let copy = daemon.admin().post("/v1/backup", "{}");
    assert_eq!((copy.status, copy.field("Content-Type")), (200, Some("application/octet-stream")));
    let mut left =
        fs::read_dir(daemon.data_dir()).expect("ours").map(|entry| entry.expect("ours").file_name());
    assert!(left.all(|name| name != "backup.part"), "nothing is left behind");
    client.activate("user.later", "be1!p", "x").expect("mail goes on");
    let restored =
        Daemon::start_on(kind, "", |data| fs::write(data.join("data.mdb"), &copy.body).expect("ours"));
    let mut client = restored.login();
    assert_eq!(client.list(None).expect("a list").len(), 200);
    assert_eq!(client.find("user.7").expect("an answer"), Some(Row::mailbox("user.7", "be1!p", "x")));
    client.activate("user.new", "be1!p", "x").expect("it can be written");
    assert_eq!(restored.admin().get("/v1/status").json()["revision"], 201);
}

fn users_log_in_over_tls(kind: Kind) {
    let authority = Authority::new("authority");
    let settings = format!("admin.listen = ['127.0.0.1:0']\n{SETTINGS}");
    let daemon = Daemon::start_on(kind, &settings, |data| {
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    let line = daemon.wait_for_log("the admin interface is there");
    let address: std::net::SocketAddr =
        line.split(['"', ' ']).find_map(|word| word.parse().ok()).expect("an address");
    let connect = || {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream
    };
    let dialler = Dialler::both(&authority);
    let mut http = Http::new(TlsStream::connect(&dialler, connect()).expect("hands are shaken"));
    assert_eq!((http.get("/livez").status, http.get("/v1/hosts").status), (200, 401));
    let http = Http::new(TlsStream::connect(&dialler, connect()).expect("hands are shaken"));
    let mut http = http.login(LOGIN.0, LOGIN.1);
    assert_eq!(http.get("/v1/hosts").json(), json!([]));
    http.ask("GET", "/v1/watch");
    assert_eq!(http.head().status, 200);
    daemon.login().activate("user.a", "be1!p", "x").expect("nobody has it");
    assert!(http.chunk().expect("a line").starts_with(br#"{"mailbox":"user.a""#));
    // Half a handshake, and then nothing: the others have seats still.
    let mut silent = connect();
    std::io::Write::write_all(&mut silent, &[22, 3, 1]).expect("it is read");
    assert_eq!(Http::new(connect()).get("/livez").status, 200, "from this host, without TLS");
    let begun = Instant::now();
    silent.read_to_end(&mut Vec::new()).expect("it is closed");
    assert!(begun.elapsed() < Duration::from_secs(30), "in time");
}
