//! What an operator sees of real Cyrus at the admin interface, and what he does there about its mistakes.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{
    murder::{DELETED, Logins, Murder, eventually},
    pair::Pair,
    scenarios::{local, remove},
};

/// All pairs that are seen.
fn pairs(murder: &Murder) -> Vec<Value> {
    let seen = murder.admin().get("/v1/pairs").json();
    seen["pairs"].as_array().expect("a list").clone()
}

/// The only pair.
#[track_caller]
fn the_pair(murder: &Murder) -> Value {
    let [pair] = <[Value; 1]>::try_from(pairs(murder)).expect("one pair");
    pair
}

/// Waits until the pair looks like that.
#[track_caller]
fn wait_for(murder: &Murder, what: &str, mut so: impl FnMut(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    eventually(what, || {
        last = the_pair(murder);
        so(&last)
    });
    last
}

/// The journal's entries, the newest first.
fn journal(murder: &Murder, query: &str) -> Vec<Value> {
    let answer = murder.admin().get(&format!("/v1/journal?{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.lines()
}

fn speaker<'a>(pair: &'a Value, user: &str) -> &'a Value {
    let speakers = pair["speakers"].as_array().expect("a list");
    speakers.iter().find(|speaker| speaker["user"] == user).unwrap_or_else(|| panic!("{user} in {pair}"))
}

fn revision(murder: &Murder) -> u64 {
    murder.admin().get("/v1/status").json()["revision"].as_u64().expect("a number")
}

/// A failover, as it is seen from outside: who leads, what the replica has not said yet, what may be lost, who did what.
pub fn sees_a_failover(murder: &mut Murder) {
    let mut pair = Pair::start(murder);
    let mut admin = pair.admin();
    for name in ["alice", "alice/a", "bob"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    assert_eq!(pairs(murder), [] as [Value; 0], "only one speaks");
    pair.replicate(&["-A"]);
    let seen = the_pair(murder);
    assert_eq!(
        (&seen["server"], &seen["missing"], seen["left"].as_u64()),
        (&json!("backenda"), &json!(0), None),
        "{seen}"
    );
    assert_eq!(
        (&seen["speakers"][0]["user"], &seen["speakers"][0]["leads"]),
        (&json!("member-a"), &json!(true)),
        "{seen}"
    );
    let replica = speaker(&seen, "member-b");
    assert_eq!((&replica["leads"], &replica["changes"]), (&json!(false), &json!(0)), "{seen}");
    let echoes = replica["echoes"].as_u64().expect("a number");
    assert!(echoes >= 3, "{seen}");
    assert_eq!(replica["address"], "127.0.0.1", "all are on this host");

    // What is not replicated is missing, until it is.
    admin.ok("CREATE user/alice/late");
    let seen = wait_for(murder, "a change is missing", |pair| pair["missing"] == 1);
    assert_eq!(seen["waiting"], json!(["user.alice.late"]), "{seen}");
    pair.replicate(&["-u", "alice"]);
    let seen = the_pair(murder);
    assert_eq!((&seen["missing"], seen.get("waiting")), (&json!(0), None), "{seen}");
    assert!(seen["lag"]["max_ms"].as_u64().is_some_and(|lag| lag >= 1000), "{seen}");
    assert!(speaker(&seen, "member-b")["echoes"].as_u64() > Some(echoes), "{seen}");
    assert_eq!(seen.get("lead_changed_ms"), None, "{seen}");

    // The failover comes too early for this one.
    admin.ok("CREATE user/alice/lost");
    pair.fail_over();
    assert_eq!(the_pair(murder)["speakers"][0]["user"], "member-a", "nothing has been said yet");
    pair.admin().ok("CREATE user/alice/after");
    let line = murder.daemon.wait_for_log("another member of a pair leads now");
    assert!(line.contains("member-b") && line.contains("unechoed=1"), "{line}");
    let seen = the_pair(murder);
    assert_eq!((&seen["speakers"][0]["user"], &seen["left"]), (&json!("member-b"), &json!(1)), "{seen}");
    assert_eq!(seen["waiting"], json!(["user.alice.lost"]), "what to look for on both");
    assert!(seen["lead_changed_ms"].is_u64(), "{seen}");
    let who = |mailbox: &str| journal(murder, &format!("mailbox={mailbox}&limit=1"))[0]["user"].clone();
    assert_eq!((who("user.alice.lost"), who("user.alice.after")), (json!("member-a"), json!("member-b")));
    // The new leader does not have it, and says so.
    pair.active.must("ctl_mboxlist", &["-m"]);
    let newest = &journal(murder, "mailbox=user.alice.lost&limit=1")[0];
    assert_eq!((&newest["user"], &newest["deed"]), (&json!("member-b"), &json!("delete")), "{newest}");
    assert_eq!(newest["before"]["location"], "backenda!default", "{newest}");

    // The old leader comes back as the replica, and echoes.
    let before = speaker(&the_pair(murder), "member-a")["echoes"].as_u64();
    pair.passive.start();
    pair.replicate(&["-u", "alice"]);
    let there = local(&pair.passive);
    assert!(
        there.contains("user.alice.after") && there.contains("user.alice.lost"),
        "mail is not lost: {there:?}"
    );
    let seen = wait_for(murder, "nothing is missing, nor left", |pair| {
        pair["missing"] == 0 && pair.get("left").is_none()
    });
    assert_eq!(seen["speakers"][0]["user"], "member-b", "{seen}");
    assert!(speaker(&seen, "member-a")["echoes"].as_u64() > before, "{seen}");
    let users: BTreeSet<_> =
        journal(murder, "server=backenda").iter().map(|entry| entry["user"].to_string()).collect();
    assert_eq!(users, BTreeSet::from(["\"member-a\"".to_owned(), "\"member-b\"".to_owned()]));
}

/// Members with one login behind one address are one speaker: no pair is seen, and a declared one says what is not known.
pub fn cannot_tell_members_apart(murder: &mut Murder) {
    let pair = Pair::start(murder);
    for name in ["alice", "alice/a"] {
        pair.admin().ok(format!("CREATE user/{name}"));
    }
    pair.replicate(&["-A"]);
    assert_eq!(pairs(murder), [] as [Value; 0]);
    let all = &murder.admin().get("/v1/pairs?all=true").json()["pairs"];
    let speakers = all[0]["speakers"].as_array().expect("a list");
    let said = |what: &str| speakers[0][what].as_u64().expect("a number");
    assert_eq!((speakers.len(), said("changes")), (1, 4), "{all}");
    assert!(said("echoes") >= 2, "it seems to repeat itself: {all}");

    // Declared it is shown, and says that nothing is known.
    let file = murder.daemon.config_file();
    let settings = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, format!("{settings}\npairs.backenda = [\"murder\"]\n")).expect("it is ours");
    murder.daemon.reload();
    let seen = the_pair(murder);
    assert_eq!((&seen["blind"], &seen["declared"]), (&json!(true), &json!(true)), "{seen}");
}

/// A backend that has lost its list of mailboxes deletes half of them at the server, before the fuse stops it. That is
/// undone, frontends have everything back, and the backend finds nothing to repair.
pub fn undoes_a_mass_deletion(murder: &mut Murder) {
    let (mut backend, frontend) = (murder.backend("backend1"), murder.frontend("frontend1"));
    for number in 0..50 {
        backend.imap("cyrus").ok(format!("CREATE user/m{number}"));
    }
    murder.same_on(&frontend);
    let (before, names, revision_before) = (murder.entries(), murder.active(), revision(murder));
    backend.kill();
    backend.hide_mailboxes(true);
    backend.tool("ctl_mboxlist", &["-m"]);
    murder.daemon.wait_for_log("A FUSE HAS BLOWN: too many deletions");
    let gone = names.len() - murder.active().len();
    assert_eq!(gone, names.len() * DELETED / 100);
    murder.same_on(&frontend);

    let user = if murder.logins == Logins::Roles { "backend1" } else { "murder" };
    let newest = &journal(murder, "limit=1")[0];
    assert_eq!((&newest["user"], &newest["deed"]), (&json!(user), &json!("delete")), "{newest}");
    let undo = |request: Value| {
        let answer = murder.admin().post("/v1/undo", &request.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let plan = undo(json!({ "to_revision": revision_before, "user": user }));
    let changes = plan["changes"].as_array().map(Vec::len);
    assert_eq!((&plan["done"], changes), (&json!(false), Some(gone)), "{plan}");
    let planned_at = &plan["planned_at"];
    let done = undo(json!({ "to_revision": revision_before, "user": user, "planned_at": planned_at }));
    assert_eq!(done["done"], true, "{done}");
    assert_eq!(murder.entries(), before);
    murder.same_on(&frontend);
    assert_eq!(frontend.imap("cyrus").names(), names, "a frontend lists them again");

    backend.hide_mailboxes(false);
    backend.start();
    let after = revision(murder);
    backend.must("ctl_mboxlist", &["-m"]);
    assert_eq!(revision(murder), after, "the backend has nothing to repair");
    // The fuse stays blown until it is released.
    let answer = murder.admin().post("/v1/fuses/release", &json!({ "user": user }).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    remove(&mut backend.imap("cyrus"), "user/m0");
    murder.same_on(&frontend);
}
