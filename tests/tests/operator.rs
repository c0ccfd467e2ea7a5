//! What an operator sees of pairs and does about mistakes, on both daemons.

use std::time::Instant;

use mupdate_proto::{MailboxName, Verb};
use mupdate_tests::{
    client::{self, ClientError, Row},
    daemon::{DEADLINE, Daemon, Kind},
    on_both_daemons,
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

fn post(daemon: &Daemon, target: &str, body: &Value) -> (u16, Value) {
    let answer = daemon.admin().post(target, &body.to_string());
    (answer.status, answer.json())
}

/// Pairs with all in that was answered: they hear of it a moment later.
fn pairs(daemon: &Daemon) -> Value {
    let wanted = daemon.admin().get("/v1/status").json()["revision"].as_u64().expect("a number");
    let latest = Instant::now() + DEADLINE;
    loop {
        let mut seen = daemon.admin().get("/v1/pairs").json();
        if seen["revision"].as_u64().expect("a number") >= wanted {
            return seen["pairs"].take();
        }
        assert!(Instant::now() < latest, "never at {wanted}: {seen}");
    }
}

fn a_pair_is_seen_before_and_after_a_failover(kind: Kind) {
    let daemon = Daemon::start(kind, PAIR);
    let (mut one, mut two) = (daemon.login_as("one"), daemon.login_as("two"));
    assert_eq!(pairs(&daemon)[0]["silent"], json!(["one", "two"]));
    one.activate("user.first", "backenda!p", "a\tlrs\t").expect("it may");
    let pair = &pairs(&daemon)[0];
    assert_eq!((&pair["silent"], &pair["blind"]), (&json!(["two"]), &Value::Null), "{pair}");
    two.activate("user.first", "backenda!p", "a\tlrs\t").expect("it may");
    for name in ["user.a", "user.b"] {
        for member in [&mut one, &mut two] {
            member.reserve(name, "backenda!p").expect("it may");
            member.activate(name, "backenda!p", "a\tlrs\t").expect("it may");
        }
    }
    one.activate("user.late", "backenda!p", "a\tlrs\t").expect("it may");
    let seen = pairs(&daemon);
    let pair = &seen[0];
    assert_eq!((&pair["server"], &pair["declared"]), (&json!("backenda"), &json!(true)), "{seen}");
    assert_eq!((&pair["speakers"][0]["user"], &pair["speakers"][0]["leads"]), (&json!("one"), &json!(true)));
    assert_eq!((&pair["speakers"][1]["echoes"], &pair["lag"]["count"]), (&json!(5), &json!(5)), "{seen}");
    assert_eq!((&pair["lead_changed_ms"], &pair["silent"]), (&Value::Null, &Value::Null));

    two.reserve("user.new", "backenda!p").expect("it may");
    two.activate("user.new", "backenda!p", "a\tlrs\t").expect("it may");
    let line = daemon.wait_for_log("another member of a pair leads now");
    assert!(line.contains("two") && line.contains("unechoed=1"), "{line}");
    let pair = &pairs(&daemon)[0];
    assert_eq!((&pair["speakers"][0]["user"], &pair["left"]), (&json!("two"), &json!(1)), "{pair}");
    assert!(pair["lead_changed_ms"].is_u64());
    daemon.login_as("murder").activate("user.x", "backenda!p", "x").expect("it may");
    daemon.wait_for_log("somebody speaks for a pair who is not declared in [pairs]");

    // The other member repeats a deletion when the name has been made anew.
    two.delete("user.a").expect("it may");
    two.activate("user.a", "backenda!p", "a\tlrs\t").expect("it may");
    one.delete("user.a").expect("it may");
    let pair = &pairs(&daemon)[0];
    assert_eq!(pair["late_deletions"], json!(1), "{pair}");
    let page = daemon.admin().get("/metrics").text();
    for sample in [
        "mupdate_pair_late_deletions_total{server=\"backenda\"} 1",
        "mupdate_pair_strangers{server=\"backenda\"} 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
}

fn a_wrong_mass_deletion_is_undone(kind: Kind) {
    // More than are changed in one transaction.
    const MANY: usize = 1100;
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    let mut all = |verb: &dyn Fn(&str) -> Verb| {
        for number in 0..MANY {
            client.send(verb(&format!("user.{number}")));
        }
        client.flush().expect("the daemon serves");
        (0..MANY).for_each(|_| client.answer().map(drop).expect("it may"));
    };
    all(&|name| client::activate(name, "be1!p", "a\tlrs\t"));
    let revision = daemon.admin().get("/v1/status").json()["revision"].as_u64().expect("a number");
    all(&|name| Verb::Delete { mailbox: MailboxName::new(name.to_owned()).expect("legal") });
    let newest = daemon.admin().get("/v1/journal?limit=2&deed=delete").lines();
    assert_eq!(
        (newest.len(), &newest[0]["mailbox"], &newest[0]["user"]),
        (2, &json!("user.1099"), &json!("murder"))
    );
    assert_eq!(newest[0]["before"]["acl"], json!("a\tlrs\t"));

    let undo = |planned_at: Option<&Value>| {
        let (status, said) =
            post(&daemon, "/v1/undo", &json!({ "to_revision": revision, "planned_at": planned_at }));
        assert_eq!((status, &said["done"]), (200, &json!(planned_at.is_some())), "{said}");
        (said["changes"].as_array().map(Vec::len), said)
    };
    let (planned, plan) = undo(None);
    assert_eq!(planned, Some(MANY));
    assert_eq!(client.list(None).expect("readable"), [], "that was only a plan");
    // Somebody takes one of the names before it is carried out.
    client.reserve("user.7", "be2!p").expect("nobody has it");
    let (done, said) = undo(Some(&plan["planned_at"]));
    let left = json!([["user.7", "it has been changed since the plan was made"]]);
    assert_eq!((done, &said["left"]), (Some(MANY - 1), &left));
    let counts = |daemon: &Daemon| {
        let status = daemon.admin().get("/v1/status").json();
        (status["active"].as_u64(), status["reserved"].as_u64())
    };
    assert_eq!(counts(&daemon), (Some(MANY as u64 - 1), Some(1)));
    daemon.wait_for_log("an operator has undone changes");

    let (planned, plan) = undo(None);
    assert_eq!((planned, plan.get("left")), (Some(1), None), "{plan}");
    undo(Some(&plan["planned_at"]));
    assert_eq!(counts(&daemon), (Some(MANY as u64), Some(0)));
    let entry = &daemon.admin().get("/v1/journal?limit=1").lines()[0];
    assert_eq!((&entry["deed"], &entry["peer"]), (&json!("undo"), &json!("admin")), "{entry}");
    let (status, refused) = post(&daemon, "/v1/undo", &json!({ "to_revision": 1, "to_ms": 1 }));
    assert_eq!((status, refused["error"].is_string()), (409, true));
}

fn a_server_is_drained(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let drain = |draining: bool| json!({ "server": "be1", "draining": draining });
    assert_eq!(post(&daemon, "/v1/drain", &drain(true)), (200, drain(true)));
    let refused = |daemon: &Daemon| {
        let mut client = daemon.login();
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
    let mut client = daemon.login();
    client.reserve("user.a", "be1!p").expect("it takes names again");
    assert_eq!(post(&daemon, "/v1/drain", &json!({ "server": "be1!p", "draining": true })).0, 400);
}

fn a_reservation_is_released(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    client.reserve("user.a", "be1!p").expect("nobody has it");
    client.reserve("user.b", "be1!").expect("nobody has it");
    let found = daemon.admin().get("/v1/reservations").json();
    assert_eq!(
        (&found[0]["mailbox"], &found[0]["user"], &found[1]["revision"]),
        (&json!("user.a"), &json!("murder"), &json!(2))
    );
    assert_eq!(daemon.admin().get("/v1/reservations?older_than_s=3600").json(), json!([]));
    client.reserve("user.b", "be1!p").expect("it is the same");
    let (status, done) =
        post(&daemon, "/v1/reservations/release", &json!({ "names": [["user.a", 1], ["user.b", 2]] }));
    assert_eq!((status, &done["released"]), (200, &json!(["user.a"])), "{done}");
    assert_eq!(done["left"], json!([["user.b", "it has been changed since"]]));
    assert_eq!(client.list(None).expect("readable"), [Row::reserve("user.b", "be1!p")]);
}

fn the_doctor_finds_what_is_odd(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    client.activate("user.odd", "be1!p", "lrs").expect("nobody has it");
    let found = daemon.admin().get("/v1/doctor").json();
    let acls = found.as_array().and_then(|found| found.iter().find(|finding| finding["check"] == "acls"));
    assert_eq!(acls.map(|finding| &finding["subjects"]), Some(&json!(["user.odd"])), "{found}");
}
