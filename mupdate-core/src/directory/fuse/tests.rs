//! What counts, for how long, and what is held.

use super::*;
use crate::directory::State;
use mupdate_proto::{Acl, Location, MailboxName};
use std::collections::VecDeque;

const LIMITS: FuseLimits = FuseLimits { takeovers: 3, within: Duration::from_secs(160), ..FuseLimits::OFF };

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
fn start() -> Instant {
    Instant::now()
}

fn holds(fuses: &mut Fuses, now: Instant) -> bool {
    fuses.held("x", None, now).holds(Mass::Takeover)
}

#[test]
fn what_counts_is_the_same_before_and_after() {
    let at = |location: &'static str| Location::new(location).expect("legal");
    let active = |location| Record { location: at(location), state: State::Active(Acl::new("x")) };
    let put = |location, from: Option<&'static str>| Change::Put {
        record: active(location),
        takeover_from: from.map(at),
    };
    for (before, change, counts) in [
        (None, put("be1!p", None), None),
        (Some("be1!q"), put("be1!p", Some("be1!q")), None),
        (Some("be2!p"), put("be1!p", Some("be2!p")), Some(Mass::Takeover)),
        (Some("be1!p"), Change::Remove, Some(Mass::Deletion)),
        (None, Change::Remove, None),
        (Some("be1!p"), Change::Nothing, None),
    ] {
        let before = before.map(active);
        assert_eq!(Mass::of_change(before.as_ref(), &change), counts, "{change:?}");
        let (after, takeover_from) = match change {
            Change::Put { record, takeover_from } => (Some(record), takeover_from),
            Change::Remove if before.is_some() => (None, None),
            // There is no event of these.
            Change::Remove | Change::Nothing => continue,
        };
        let mailbox = MailboxName::new("m").expect("legal");
        let event = Event { revision: 1, mailbox, before, after, takeover_from };
        assert_eq!(Mass::of_event(&event), counts, "{event:?}");
    }
    assert_eq!(Mass::ALL.map(|mass| mass.to_string()), ["takeovers", "deletions"]);
}

#[test]
fn one_more_than_the_limit_is_held() {
    let (mut fuses, now) = (Fuses::new(LIMITS), start());
    for _ in 0..3 {
        assert!(!holds(&mut fuses, now));
        fuses.staged("x", Mass::Takeover, b"be1");
    }
    assert!(holds(&mut fuses, now), "what is staged counts");
    assert!(!fuses.held("y", None, now).holds(Mass::Takeover), "everybody has their own");
    fuses.aborted();
    assert!(!holds(&mut fuses, now), "what has not happened does not count");
    for _ in 0..3 {
        fuses.staged("x", Mass::Takeover, b"be1");
        fuses.committed(now);
    }
    fuses.aborted();
    assert!(holds(&mut fuses, now));
    for _ in 0..1000 {
        fuses.staged("x", Mass::Deletion, b"be1");
    }
    assert!(!fuses.held("x", None, now).holds(Mass::Deletion), "deletions have no limit");
    fuses.staged("z", Mass::Deletion, b"be1");
    assert!(!fuses.counts.contains_key("z"), "and cost nothing");
}

#[test]
fn what_has_blown_stays_until_it_is_released() {
    let (mut fuses, now) = (Fuses::new(LIMITS), start());
    assert!(fuses.blow("x", Mass::Takeover));
    assert!(!fuses.blow("x", Mass::Takeover), "once");
    assert!(fuses.blow("x", Mass::Deletion));
    let later = now + 100 * LIMITS.within;
    assert!(holds(&mut fuses, later));
    assert!(!fuses.held("x", None, later).holds(Mass::Deletion), "without a limit nothing is held");
    assert_eq!(
        fuses.blown().map(|(principal, kinds)| (principal, kinds.len())).collect::<Vec<_>>(),
        [("x", 2)]
    );
    fuses.staged("x", Mass::Takeover, b"be1");
    fuses.committed(later);
    assert!(fuses.release("x"));
    assert!(!fuses.release("x"));
    fuses.set_limits(FuseLimits { deletions: 3, ..LIMITS });
    fuses.blow("y", Mass::Deletion);
    assert!(!fuses.held("y", None, later).holds(Mass::Takeover), "one kind does not hold the other");
    assert!(fuses.held("y", None, later).holds(Mass::Deletion));
    for _ in 0..3 {
        assert!(!holds(&mut fuses, later), "counting begins anew");
        fuses.staged("x", Mass::Takeover, b"be1");
    }
    assert!(holds(&mut fuses, later));
}

#[test]
fn a_share_is_of_the_names_that_a_server_had() {
    let limits = FuseLimits { deletion_share: 10, ..FuseLimits::OFF };
    assert!(limits.have_shares() && !LIMITS.have_shares());
    // How many of a server's names can be deleted, one after the other.
    let deleted = |had: u64, pace: Duration| {
        let (mut fuses, mut now) = (Fuses::new(limits), start());
        let goes_on = |names: &u64| {
            let victim = Victim { server: b"be1", names: had - names };
            let held = fuses.held("x", Some(victim), now).holds(Mass::Deletion);
            fuses.staged("x", Mass::Deletion, b"be1");
            // Another server's are not its own.
            fuses.staged("x", Mass::Deletion, b"be2");
            fuses.committed(now);
            now += pace;
            !held
        };
        (0..had).take_while(goes_on).count()
    };
    for (had, some) in [(1000, 100), (1009, 100), (1010, 101), (300, 30), (200, 20), (21, 20), (5, 5)] {
        assert_eq!(deleted(had, Duration::ZERO), some, "of {had}");
    }
    assert_eq!(deleted(300, limits.within / 10), 300, "as long as it takes its time");

    let (mut fuses, now) = (Fuses::new(limits), start());
    for _ in 0..100 {
        fuses.staged("x", Mass::Deletion, b"be1");
        fuses.staged("x", Mass::Takeover, b"be1");
    }
    let held = |fuses: &mut Fuses, server| fuses.held("x", Some(Victim { server, names: 9 }), now);
    assert!(held(&mut fuses, b"be1").holds(Mass::Deletion));
    assert!(!held(&mut fuses, b"be1").holds(Mass::Takeover));
    assert!(!held(&mut fuses, b"be2").holds(Mass::Deletion));
    fuses.aborted();
    assert!(!held(&mut fuses, b"be1").holds(Mass::Deletion));
    fuses.blow("x", Mass::Deletion);
    assert!(held(&mut fuses, b"be2").holds(Mass::Deletion), "what has blown holds everywhere");
}

#[test]
fn servers_that_are_told_apart_are_bounded() {
    let limits = FuseLimits { takeover_share: 1, ..FuseLimits::OFF };
    let (mut fuses, mut now) = (Fuses::new(limits), start());
    for number in 0..1000 {
        fuses.staged("x", Mass::Takeover, format!("be{number}").as_bytes());
        fuses.committed(now);
        assert!(fuses.counts["x"].servers.len() <= SERVERS);
    }
    now += 2 * limits.within;
    fuses.committed(now);
    fuses.staged("x", Mass::Takeover, b"be1000");
    assert_eq!(fuses.counts["x"].servers.len(), 1, "those that do not count any more make room");
}

#[test]
fn limits_can_change() {
    let (mut fuses, now) = (Fuses::new(LIMITS), start());
    for _ in 0..3 {
        fuses.staged("x", Mass::Takeover, b"be1");
    }
    fuses.committed(now);
    fuses.set_limits(FuseLimits { takeovers: 4, ..LIMITS });
    assert!(!holds(&mut fuses, now));
    fuses.set_limits(FuseLimits { takeovers: 2, ..LIMITS });
    assert!(holds(&mut fuses, now));
    fuses.set_limits(FuseLimits::OFF);
    assert!(!holds(&mut fuses, now));
    assert_eq!(fuses.limits(), FuseLimits::OFF);
    fuses.set_limits(FuseLimits { within: 2 * LIMITS.within, ..LIMITS });
    assert!(!holds(&mut fuses, now), "what was counted in other steps is forgotten");
    assert_eq!(FuseLimits::default().of(Mass::Takeover), Some(100));
    assert_eq!(FuseLimits::default().of(Mass::Deletion), None);
}

/// Against a list of all times, for many paces: never forgotten too early, and never later than a step.
#[test]
fn changes_are_forgotten_in_time() {
    let within = LIMITS.within;
    let step = within / STEPS;
    for pace in [1, 3, 7, 10, 11, 40, 53, 54, 161, 171, 1000].map(Duration::from_secs) {
        let (mut fuses, mut now, mut made) = (Fuses::new(LIMITS), start(), VecDeque::new());
        for _ in 0..300 {
            let since = |time: Duration| made.iter().filter(|&&at| now < at + time).count();
            let held = holds(&mut fuses, now);
            assert!(held || since(within) < 3, "pace {pace:?}: forgotten too early");
            assert!(!held || since(within + step) >= 3, "pace {pace:?}: remembered for too long");
            if !held {
                fuses.staged("x", Mass::Takeover, b"be1");
                fuses.committed(now);
                made.push_back(now);
            }
            now += pace;
        }
    }
}

#[test]
fn who_does_nothing_more_is_forgotten() {
    let (mut fuses, mut now) = (Fuses::new(LIMITS), start());
    for number in 0..100_000 {
        fuses.staged(&format!("x{number}"), Mass::Takeover, b"be1");
        fuses.committed(now);
        now += LIMITS.within;
        assert!(fuses.counts.len() <= MANY);
    }
}
