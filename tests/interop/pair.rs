//! A replicated pair: two backends that are called `backenda`, both in the murder.

use std::collections::{BTreeMap, BTreeSet};

use mupdate_tests::client::Row;

use super::{
    cyrus::{Cyrus, Rolling, password},
    imap::Imap,
    murder::{Murder, address, eventually},
    scenarios::{local, remove},
};

const MEMBERS: [&str; 2] = ["127.0.21.11", "127.0.21.12"];

/// Two members. The one in service has the pair's address beside its own.
pub struct Pair {
    /// In service.
    pub active: Cyrus,
    /// Its replica.
    pub passive: Cyrus,
    rolling: Option<Rolling>,
}

impl Pair {
    /// Both run, and know nothing.
    pub fn start(murder: &Murder) -> Self {
        let member = |name, own: usize| {
            let mut member = murder.make_member(name, "backenda", MEMBERS[own]);
            member.option("sync_host", MEMBERS[1 - own]);
            member.option("sync_authname", "replication");
            member.option("sync_password", password("replication"));
            member.option("sync_log", "yes");
            member.option("sync_repeat_interval", "1");
            member.option("sync_try_imap", "no");
            member
        };
        let mut pair = Self { active: member("member-a", 0), passive: member("member-b", 1), rolling: None };
        pair.active.also_at(address("backenda"));
        pair.active.start();
        pair.passive.start();
        pair
    }

    /// The pair's address, as clients have it.
    pub fn admin(&self) -> Imap {
        Imap::login(address("backenda"), "cyrus", password("cyrus"))
    }

    /// Brings over what rolling replication has not brought yet of these users or shared mailboxes.
    pub fn replicate(&self, what: &[&str]) {
        self.active.must("sync_client", &[&["-v"], what].concat());
    }

    /// From now on everything is replicated in time.
    fn roll(&mut self) {
        self.rolling = Some(self.active.roll());
    }

    /// Waits until the passive member has what the active one has.
    #[track_caller]
    pub fn wait_until_same(&self) {
        eventually("the members have the same", || local(&self.active) == local(&self.passive));
    }

    /// The active member is gone for good; the other takes over its name and address.
    pub fn fail_over(&mut self) {
        self.rolling = None;
        self.active.kill();
        self.active.not_at(address("backenda"));
        self.passive.kill();
        self.passive.also_at(address("backenda"));
        self.passive.start();
        std::mem::swap(&mut self.active, &mut self.passive);
    }
}

/// What the server has of the pair, without partitions: a rename does not say it, and the replica does later.
fn of_the_pair(murder: &Murder) -> BTreeMap<String, Row> {
    let entries = murder.entries().into_iter();
    entries
        .map(|(name, row)| {
            let row = match row {
                Row::Mailbox { name, location, acl } => {
                    Row::Mailbox { name, location: server(&location), acl }
                }
                Row::Reserve { name, location } => Row::Reserve { name, location: server(&location) },
                gone @ Row::Delete { .. } => gone,
            };
            (name, row)
        })
        .collect()
}

fn server(location: &str) -> String {
    location.split('!').next().unwrap_or_default().into()
}

/// The replica repeats everything at the MUPDATE server, as late as it comes, and no frontend sees a mailbox go.
pub fn replicates(murder: &mut Murder) {
    let (mut pair, frontend) = (Pair::start(murder), murder.frontend("frontend1"));
    let mut admin = pair.admin();
    // What is done, and whom it concerns afterwards.
    let steps: [(&[&str], &[&str]); 9] = [
        (&["CREATE user/alice", "CREATE user/alice/sub"], &["-u", "alice"]),
        (&["SETACL user/alice/sub bob lrs"], &["-u", "alice"]),
        (&["RENAME user/alice/sub user/alice/new"], &["-u", "alice"]),
        (&["SETACL user/alice/new cyrus lrswipkxtecda", "DELETE user/alice/new"], &["-u", "alice"]),
        (&["CREATE user/alice/new"], &["-u", "alice"]),
        (&["CREATE user/bob", "CREATE user/bob/y"], &["-u", "bob"]),
        (&["RENAME user/bob user/carol"], &["-u", "carol"]),
        (&["SETACL user/carol cyrus lrswipkxtecda", "DELETE user/carol"], &["-u", "alice"]),
        (&["CREATE shared", "CREATE shared/x"], &["-m", "shared", "shared/x"]),
    ];
    for (commands, what) in steps {
        for command in commands {
            admin.ok(command);
        }
        let mut stream = murder.client();
        stream.update(&[]).expect("UPDATE works");
        // Whatever deletions put at risk is announced again first, and is nothing new.
        stream.noop().expect("NOOP works");
        let before = of_the_pair(murder);
        pair.roll();
        pair.wait_until_same();
        // On a rename the replica repeats an ACL that is no longer so, and then the right one.
        eventually("the server is as it was", || of_the_pair(murder) == before);
        pair.rolling = None;
        pair.replicate(what);
        assert_eq!(of_the_pair(murder), before, "after {commands:?} and the replica's repetition");
        let gone: BTreeSet<_> = stream
            .noop()
            .expect("NOOP works")
            .into_iter()
            .filter(|row| !matches!(row, Row::Mailbox { .. }))
            .collect();
        assert_eq!(gone, BTreeSet::new(), "frontends see mailboxes go after {commands:?}");
        murder.same_on(&frontend);
    }
    assert_eq!(local(&pair.active), local(&pair.passive), "the replica has what its master has");
    assert_eq!(local(&pair.active), murder.active(), "and so does the server");
    for member in [&pair.active, &pair.passive] {
        let (before, there) = (of_the_pair(murder), local(member));
        member.must("ctl_mboxlist", &["-m"]);
        assert_eq!(of_the_pair(murder), before, "{} has nothing to say", member.name);
        assert_eq!(local(member), there, "{} has lost nothing", member.name);
    }
}

/// The master of a pair dies: its replica goes on under the same name, and nobody's configuration changes.
pub fn fails_over(murder: &mut Murder) {
    let (mut pair, frontend) = (Pair::start(murder), murder.frontend("frontend1"));
    let mut admin = pair.admin();
    for name in ["alice", "alice/a", "alice/a/b", "bob"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    admin.ok("RENAME user/alice/a user/alice/z");
    remove(&mut admin, "user/alice/z/b");
    pair.replicate(&["-A"]);
    let (before, there) = (of_the_pair(murder), local(&pair.active));
    let mut alice = frontend.imap("alice");
    alice.ok("SELECT INBOX/z");

    pair.fail_over();
    pair.active.must("ctl_mboxlist", &["-m"]);
    assert_eq!(of_the_pair(murder), before, "the new master has nothing to say");
    assert_eq!(local(&pair.active), there, "and has lost nothing");
    let mut alice = frontend.imap("alice");
    alice.ok("SELECT INBOX");
    alice.ok("SELECT INBOX/z");
    pair.admin().ok("CREATE user/alice/after");
    murder.same_on(&frontend);
    alice.ok("SELECT INBOX/after");
    remove(&mut pair.admin(), "user/bob");
    murder.same_on(&frontend);

    // The old master comes back as the replica, and is brought up to date.
    pair.passive.start();
    pair.roll();
    pair.wait_until_same();
    assert_eq!(local(&pair.active), murder.active());
    murder.same_on(&frontend);
}

/// A user leaves a pair by XFER while its replica lags behind: whatever the replica repeats afterwards, the mailboxes
/// stay where they have gone.
pub fn a_user_leaves(murder: &mut Murder) {
    let (mut pair, other) = (Pair::start(murder), murder.backend("backend2"));
    let frontend = murder.frontend("frontend1");
    let mut admin = pair.admin();
    for name in ["alice", "alice/sub", "alice/sub/x", "bob"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    admin.ok("SETACL user/alice cyrus lrswipkxtecda");
    pair.replicate(&["-A"]);
    // What the replica does not know yet.
    admin.ok("SETACL user/alice/sub bob lrs");
    admin.ok("RENAME user/alice/sub/x user/alice/sub/y");
    admin.ok("CREATE user/alice/new");
    admin.ok("XFER user/alice backend2.test");
    let moved = murder.entries();
    for (name, row) in moved.iter().filter(|(name, _)| name.contains("alice")) {
        assert_eq!(row.location(), Some("backend2.test!default"), "{name}");
    }
    murder.same_on(&frontend);

    pair.roll();
    admin.ok("CREATE user/bob/after");
    eventually("the replica follows", || local(&pair.passive).contains("user.bob.after"));
    pair.wait_until_same();
    let stayed = |(name, row): &(&String, &Row)| {
        !name.contains("alice") || murder.entry(name).0 == row.location().unwrap_or_default()
    };
    assert_eq!(moved.iter().find(|entry| !stayed(entry)), None, "the mailboxes stay where they went");
    murder.daemon.wait_for_log("held by backend2.test!default, which principal member-b may not speak for");
    murder.same_on(&frontend);
    frontend.imap("alice").ok("SELECT INBOX/sub/y");
    for backend in [&pair.active, &pair.passive, &other] {
        backend.must("ctl_mboxlist", &["-m"]);
        murder.same_on(&frontend);
    }
    assert_eq!(local(&other).len(), 4, "nothing was wiped");
}
