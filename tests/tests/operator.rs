//! What an operator sees of pairs and does about mistakes, on both daemons.

use std::{net::TcpStream, os::unix::net::UnixStream};

use mupdate_tests::{
    client::{Client, ClientError, Row},
    daemon::{Daemon, Kind},
    http::Http,
    on_both_daemons,
    player::LOGIN,
};
use serde_json::{Value, json};

on_both_daemons!(
    a_pair_is_seen_before_and_after_a_failover,
    a_wrong_mass_deletion_is_undone,
    a_server_is_drained,
    a_reservation_is_released,
    the_doctor_finds_what_is_odd,
);

/// Two members of a pair, with a user each.
const PAIR: &str = "[pairs]\necho_seconds = 1\nbackenda = [\"one\", \"two\"]\n[roles]\nmurder = \"admin\"\n\
    one = { role = \"backend\", servers = [\"backenda\"] }\ntwo = { role = \"backend\", servers = [\"backenda\"] }\n";

fn admin(daemon: &Daemon) -> Http<UnixStream> {
    Http::new(daemon.connect_admin())
}

fn login(daemon: &Daemon, user: &str) -> Client<TcpStream> {
    let (mut client, _) = Client::greet(daemon.connect()).expect("the daemon serves");
    client.authenticate(user, LOGIN.1).expect("the user is known");
    client
}

fn post(daemon: &Daemon, target: &str, body: &Value) -> (u16, Value) {
    let answer = admin(daemon).post(target, &body.to_string());
    (answer.status, answer.json())
}

fn a_pair_is_seen_before_and_after_a_failover(kind: Kind) {
    let daemon = Daemon::start(kind, PAIR);
    let (mut one, mut two) = (login(&daemon, "one"), login(&daemon, "two"));
    assert_eq!(admin(&daemon).get("/v1/pairs").json()[0]["silent"], json!(["one", "two"]));
    one.activate("user.first", "backenda!p", "a\tlrs\t").expect("it may");
    let pair = &admin(&daemon).get("/v1/pairs").json()[0];
    assert_eq!((&pair["silent"], &pair["blind"]), (&json!(["two"]), &Value::Null), "{pair}");
    two.activate("user.first", "backenda!p", "a\tlrs\t").expect("it may");
    for name in ["user.a", "user.b"] {
        for member in [&mut one, &mut two] {
            member.reserve(name, "backenda!p").expect("it may");
            member.activate(name, "backenda!p", "a\tlrs\t").expect("it may");
        }
    }
    one.activate("user.late", "backenda!p", "a\tlrs\t").expect("it may");
    let seen = admin(&daemon).get("/v1/pairs").json();
    let pair = &seen[0];
    assert_eq!((&pair["server"], &pair["declared"]), (&json!("backenda"), &json!(true)), "{seen}");
    assert_eq!((&pair["speakers"][0]["user"], &pair["speakers"][0]["leads"]), (&json!("one"), &json!(true)));
    assert_eq!((&pair["speakers"][1]["echoes"], &pair["lag"]["count"]), (&json!(5), &json!(5)), "{seen}");
    assert_eq!((&pair["lead_changed_ms"], &pair["silent"]), (&Value::Null, &Value::Null));

    two.reserve("user.new", "backenda!p").expect("it may");
    two.activate("user.new", "backenda!p", "a\tlrs\t").expect("it may");
    let line = daemon.wait_for_log("another member of a pair leads now");
    assert!(line.contains("two") && line.contains("unechoed=1"), "{line}");
    let pair = &admin(&daemon).get("/v1/pairs").json()[0];
    assert_eq!((&pair["speakers"][0]["user"], &pair["left"]), (&json!("two"), &json!(1)), "{pair}");
    assert!(pair["lead_changed_ms"].is_u64());
    login(&daemon, "murder").activate("user.x", "backenda!p", "x").expect("it may");
    daemon.wait_for_log("somebody speaks for a pair who is not declared in [pairs]");
}

fn a_wrong_mass_deletion_is_undone(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = Client::login(daemon.connect()).expect("the daemon serves");
    for number in 0..20 {
        client.activate(&format!("user.{number}"), "be1!p", "a\tlrs\t").expect("nobody has it");
    }
    let before = client.list(None).expect("readable");
    let revision = admin(&daemon).get("/v1/status").json()["revision"].as_u64().expect("a number");
    for number in 0..20 {
        client.delete(&format!("user.{number}")).expect("it may");
    }
    let newest = admin(&daemon).get("/v1/journal?limit=2&deed=delete").lines();
    assert_eq!(
        (newest.len(), &newest[0]["mailbox"], &newest[0]["user"]),
        (2, &json!("user.19"), &json!("murder"))
    );
    assert_eq!(newest[0]["before"]["acl"], json!("a\tlrs\t"));

    let (status, plan) = post(&daemon, "/v1/undo", &json!({ "to_revision": revision }));
    assert_eq!(
        (status, &plan["done"], plan["changes"].as_array().map(Vec::len)),
        (200, &json!(false), Some(20))
    );
    assert_eq!(client.list(None).expect("readable"), [], "that was only a plan");
    client.reserve("user.7", "be1!p").expect("nobody has it");
    let carry_out = json!({ "to_revision": revision, "planned_at": plan["planned_at"] });
    let (status, refused) = post(&daemon, "/v1/undo", &carry_out);
    assert_eq!(status, 409, "{refused}");
    assert!(
        refused["error"].as_str().is_some_and(|text| text.contains("user.7 has been changed")),
        "{refused}"
    );
    assert_eq!(client.list(None).expect("readable").len(), 1, "nothing has happened");

    let (_, plan) = post(&daemon, "/v1/undo", &json!({ "to_revision": revision }));
    let carry_out = json!({ "to_revision": revision, "planned_at": plan["planned_at"] });
    let (status, done) = post(&daemon, "/v1/undo", &carry_out);
    assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
    assert_eq!(client.list(None).expect("readable"), before);
    let entry = &admin(&daemon).get("/v1/journal?limit=1").lines()[0];
    assert_eq!((&entry["deed"], &entry["peer"]), (&json!("undo"), &json!("admin")), "{entry}");
    let (status, refused) = post(&daemon, "/v1/undo", &json!({ "to_revision": 1, "to_ms": 1 }));
    assert_eq!((status, refused["error"].is_string()), (409, true));
}

fn a_server_is_drained(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let drain = |draining: bool| json!({ "server": "be1", "draining": draining });
    assert_eq!(post(&daemon, "/v1/drain", &drain(true)), (200, drain(true)));
    let refused = |daemon: &Daemon| {
        let mut client = Client::login(daemon.connect()).expect("the daemon serves");
        match client.reserve("user.a", "be1!p") {
            Err(ClientError::Refused { text, .. }) => text,
            other => panic!("{other:?}"),
        }
    };
    let text = "location is be1!p, and that server is draining: it takes no new mailboxes";
    assert_eq!(refused(&daemon), text);
    daemon.kill();
    daemon.start_again();
    assert_eq!(refused(&daemon), text, "that is kept");
    assert_eq!(post(&daemon, "/v1/drain", &drain(false)), (200, drain(false)));
    let mut client = Client::login(daemon.connect()).expect("the daemon serves");
    client.reserve("user.a", "be1!p").expect("it takes names again");
    assert_eq!(post(&daemon, "/v1/drain", &json!({ "server": "be1!p", "draining": true })).0, 400);
}

fn a_reservation_is_released(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = Client::login(daemon.connect()).expect("the daemon serves");
    client.reserve("user.a", "be1!p").expect("nobody has it");
    client.reserve("user.b", "be1!").expect("nobody has it");
    let found = admin(&daemon).get("/v1/reservations").json();
    assert_eq!(
        (&found[0]["mailbox"], &found[0]["user"], &found[1]["revision"]),
        (&json!("user.a"), &json!("murder"), &json!(2))
    );
    assert_eq!(admin(&daemon).get("/v1/reservations?older_than_s=3600").json(), json!([]));
    client.reserve("user.b", "be1!p").expect("it is the same");
    let (status, done) =
        post(&daemon, "/v1/reservations/release", &json!({ "names": [["user.a", 1], ["user.b", 2]] }));
    assert_eq!((status, &done["released"]), (200, &json!(["user.a"])), "{done}");
    assert_eq!(done["left"], json!([["user.b", "it has been changed since"]]));
    assert_eq!(client.list(None).expect("readable"), [Row::reserve("user.b", "be1!p")]);
}

fn the_doctor_finds_what_is_odd(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = Client::login(daemon.connect()).expect("the daemon serves");
    client.activate("user.odd", "be1!p", "lrs").expect("nobody has it");
    let found = admin(&daemon).get("/v1/doctor").json();
    let acls = found.as_array().and_then(|found| found.iter().find(|finding| finding["check"] == "acls"));
    assert_eq!(acls.map(|finding| &finding["subjects"]), Some(&json!(["user.odd"])), "{found}");
}
