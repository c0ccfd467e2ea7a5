//! Real Cyrus 3.6.1 on both daemons: backends, a frontend, and a replicated pair of which both members take part in the
//! murder. `just interop` runs it; `cargo test` without a name does not.
//!
//! Each scenario is played twice: with one login for everybody, and with a login and a role for each.
//!
//! What a replica and an operator's lists have to do with is played with other releases too, if `scripts/cyrus-roots` has made
//! their roots: 3.2, 3.10 and 3.12.
//!
//! Needs root and Debian's Cyrus packages, and says which. Everything runs in namespaces of its own: the network has
//! nothing but a loopback, names and the system log are this test's, and no process outlives it.
//!
//! `cargo test -p mupdate-tests --test interop pair` runs the scenarios that have `pair` in their names.

mod cyrus;
mod failover;
mod imap;
mod lists;
mod murder;
mod operator;
mod pair;
mod release;
mod replica;
mod sandbox;
mod sasl;
mod scenarios;
mod syslog;
mod tls;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use mupdate_tests::daemon::Kind;

use self::{
    murder::{Logins, Murder},
    release::{OTHERS, OWN, Release},
};

/// A scenario: it panics where something is wrong.
type Scenario = (&'static str, fn(&mut Murder));

const SCENARIOS: [Scenario; 11] = [
    ("backend_and_frontend", scenarios::backend_and_frontend),
    ("one_name_on_two_backends", scenarios::one_name_on_two_backends),
    ("a_user_moves", scenarios::a_user_moves),
    ("push", scenarios::push),
    ("a_changed_server_name", scenarios::a_changed_server_name),
    ("a_lost_list_of_mailboxes", scenarios::a_lost_list_of_mailboxes),
    ("restarts", scenarios::restarts),
    ("undoes_a_mass_deletion", operator::undoes_a_mass_deletion),
    ("compressed", scenarios::compressed),
    ("pair_replicates", pair::replicates),
    ("pair_fails_over", pair::fails_over),
];

/// What goes well only where principals have roles.
const WITH_ROLES: [Scenario; 2] = [
    ("pair_and_a_user_that_leaves", pair::a_user_leaves),
    ("pair_is_seen_to_fail_over", operator::sees_a_failover),
];

/// What is so only where all log in as one.
const ALIKE: [Scenario; 1] = [("pair_cannot_be_told_apart", operator::cannot_tell_members_apart)];

/// A scenario that makes its own murder.
type Whole = fn(Kind);

/// Scenarios in which our daemon begins as the replica of Cyrus's own master, of whatever release.
type Follows = fn(Kind, &'static Release);

const REPLICAS: [(&str, Follows); 3] = [
    ("replica_of_cyrus", replica::of_cyrus),
    ("replica_migrates", replica::migrates),
    ("replica_and_lists", lists::of_cyrus),
];

/// Scenarios whose MUPDATE server takes no password in the clear.
const ENCRYPTED: [(&str, Whole); 4] = [
    ("by_every_mechanism", sasl::by_every_mechanism),
    ("tls_starttls", tls::starttls),
    ("tls_from_the_start", tls::from_the_start),
    ("tls_shows_certificates", tls::shows_certificates),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !arguments.list
        && let Err(code) = sandbox::enter()
    {
        return code;
    }
    // The addresses and ports of a murder are there only once.
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        for (name, scenario) in SCENARIOS.into_iter().chain(ALIKE) {
            trials.push(trial(kind, Logins::Alike, name, scenario));
        }
        for (name, scenario) in SCENARIOS.into_iter().chain(WITH_ROLES) {
            trials.push(trial(kind, Logins::Roles, name, scenario));
        }
        for (name, scenario) in ENCRYPTED {
            let run = move || {
                scenario(kind);
                Ok::<(), Failed>(())
            };
            trials.push(Trial::test(format!("{}::{name}", kind.program()), run));
        }
        if failover::is_there() {
            let run = move || {
                failover::the_address_follows_the_master(kind);
                Ok::<(), Failed>(())
            };
            trials.push(Trial::test(format!("{}::the_address_follows_the_master", kind.program()), run));
        }
        let others = OTHERS.iter().filter(|release| release.is_there());
        for release in [&OWN].into_iter().chain(others) {
            for (name, scenario) in REPLICAS {
                let run = move || {
                    scenario(kind, release);
                    Ok::<(), Failed>(())
                };
                let name = format!("{}::release_{}::{name}", kind.program(), release.version);
                trials.push(Trial::test(name, run));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(kind: Kind, logins: Logins, name: &str, scenario: fn(&mut Murder)) -> Trial {
    let with = match logins {
        Logins::Alike => "",
        Logins::Roles => "roles::",
    };
    let run = move || {
        scenario(&mut Murder::new(kind, logins));
        Ok::<(), Failed>(())
    };
    Trial::test(format!("{}::{with}{name}", kind.program()), run)
}
