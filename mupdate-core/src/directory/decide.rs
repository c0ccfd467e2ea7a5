//! The ownership rules: one pure function, one table.
//!
//! `m` is the mailbox, `L` where the directory knows it to be, `L'` what the action says. `L' ~ L` ("the same
//! place") is the same server, and the same partition or one of the two not said.
//!
//! | state of m | RESERVE m L' | ACTIVATE m L' acl | DEACTIVATE m L' | DELETE m |
//! |---|---|---|---|---|
//! | none | Reserved(L') | Active(L', acl) | NO, doesn't exist | OK, nothing to do |
//! | Reserved(L), L' ~ L | stays, OK | Active(L+L', acl) | stays, OK | removed |
//! | Reserved(L), else | NO, exists | Active(L', acl); *strict*: NO | NO, not active | removed |
//! | Active(L, a), L' ~ L | stays active with a, OK | Active(L+L', acl) | Reserved(L+L') | removed |
//! | Active(L, a), else | NO, exists | Active(L', acl): takeover; *strict*: NO | Reserved(L') | removed |
//!
//! - `L+L'` is L with its partition filled in by L' where L had none: a partition that is known is never
//!   overwritten by one that was not said. "Stays" fills in too.
//! - Whatever the column, a record that would become what it is already is [`Change::Nothing`]: no event, no
//!   write.
//! - *unified*, *replicated*: RESERVE of a name that has a record, at any location, is OK and changes
//!   nothing, not even a partition.
//! - Everything else is the same under all policies. Under *strict* the way to another location is DEACTIVATE
//!   with the new location first, which is how a mailbox is moved.

use super::{Action, Change, Policy, Record, Refusal, State};

/// Decides one action on the record of its mailbox, which is `current`.
///
/// The table is in the [module's documentation](self); it follows RFC 3656, section 4, where that says
/// something, and otherwise what replicated pairs of backends need.
///
/// # Errors
/// The action is refused; the record stays what it is.
pub fn decide(current: Option<&Record>, action: &Action, policy: Policy) -> Result<Change, Refusal> {
    let Some(known) = current else { return decide_new(action) };
    let same_place = action.location().is_none_or(|said| known.location.same_place(said));
    match (&known.state, action, same_place) {
        (_, Action::Delete { .. }, _) => Ok(Change::Remove),

        (_, Action::Reserve { .. }, _) if matches!(policy, Policy::Unified | Policy::Replicated) => {
            Ok(Change::Nothing)
        }
        (state, Action::Reserve { location, .. }, true) => {
            Ok(settle(known, Record { location: known.location.merged(location), state: state.clone() }))
        }
        (_, Action::Reserve { .. }, false) => Err(Refusal::AlreadyExists { held_by: known.location.clone() }),

        (_, Action::Activate { location, acl, .. }, true) => Ok(settle(
            known,
            Record { location: known.location.merged(location), state: State::Active(acl.clone()) },
        )),
        (_, Action::Activate { .. }, false) if policy == Policy::Strict => {
            Err(Refusal::TakeoverRefused { held_by: known.location.clone() })
        }
        (state, Action::Activate { location, acl, .. }, false) => Ok(Change::Put {
            record: Record { location: location.clone(), state: State::Active(acl.clone()) },
            takeover_from: matches!(state, State::Active(_)).then(|| known.location.clone()),
        }),

        (_, Action::Deactivate { location, .. }, true) => {
            Ok(settle(known, Record { location: known.location.merged(location), state: State::Reserved }))
        }
        (State::Reserved, Action::Deactivate { .. }, false) => {
            Err(Refusal::NotActive { held_by: known.location.clone() })
        }
        (State::Active(_), Action::Deactivate { location, .. }, false) => {
            Ok(settle(known, Record { location: location.clone(), state: State::Reserved }))
        }
    }
}

/// The first row: nobody has the name.
fn decide_new(action: &Action) -> Result<Change, Refusal> {
    let (location, state) = match action {
        Action::Reserve { location, .. } => (location, State::Reserved),
        Action::Activate { location, acl, .. } => (location, State::Active(acl.clone())),
        Action::Deactivate { .. } => return Err(Refusal::DoesNotExist),
        // Cyrus's own server dies of this one; a replica deletes what its master has deleted before.
        Action::Delete { .. } => return Ok(Change::Nothing),
    };
    Ok(Change::Put { record: Record { location: location.clone(), state }, takeover_from: None })
}

/// From `known` to `wanted` at the same owner: nothing where they are the same.
fn settle(known: &Record, wanted: Record) -> Change {
    if *known == wanted { Change::Nothing } else { Change::Put { record: wanted, takeover_from: None } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mupdate_proto::{Acl, Location, MailboxName};

    const POLICIES: [Policy; 4] = [Policy::Standard, Policy::Strict, Policy::Unified, Policy::Replicated];
    const ORDINARY: [Policy; 2] = [Policy::Standard, Policy::Strict];
    const LENIENT: [Policy; 3] = [Policy::Standard, Policy::Unified, Policy::Replicated];

    fn at(location: &'static str) -> Location {
        Location::new(location).expect("a legal location")
    }
    fn mailbox() -> MailboxName {
        MailboxName::new("user.jane").expect("a legal name")
    }
    fn reserved(location: &'static str) -> Record {
        Record { location: at(location), state: State::Reserved }
    }
    fn active(location: &'static str, acl: &'static str) -> Record {
        Record { location: at(location), state: State::Active(Acl::new(acl)) }
    }
    fn reserve(location: &'static str) -> Action {
        Action::Reserve { mailbox: mailbox(), location: at(location) }
    }
    fn activate(location: &'static str, acl: &'static str) -> Action {
        Action::Activate { mailbox: mailbox(), location: at(location), acl: Acl::new(acl) }
    }
    fn deactivate(location: &'static str) -> Action {
        Action::Deactivate { mailbox: mailbox(), location: at(location) }
    }
    fn delete() -> Action {
        Action::Delete { mailbox: mailbox() }
    }
    fn put(record: Record) -> Result<Change, Refusal> {
        Ok(Change::Put { record, takeover_from: None })
    }
    fn taken_over(record: Record, from: &'static str) -> Result<Change, Refusal> {
        Ok(Change::Put { record, takeover_from: Some(at(from)) })
    }
    const NOTHING: Result<Change, Refusal> = Ok(Change::Nothing);

    #[track_caller]
    fn expect(
        current: Option<Record>,
        action: &Action,
        policies: &[Policy],
        expected: Result<Change, Refusal>,
    ) {
        for &policy in policies {
            assert_eq!(
                decide(current.as_ref(), action, policy),
                expected,
                "{policy}: {action:?} on {current:?}"
            );
        }
    }

    #[test]
    fn a_free_name_can_be_reserved_activated_deleted_but_not_deactivated() {
        expect(None, &reserve("be1!a"), &POLICIES, put(reserved("be1!a")));
        expect(None, &reserve("be1!"), &POLICIES, put(reserved("be1!")));
        expect(None, &activate("be1!a", "x"), &POLICIES, put(active("be1!a", "x")));
        expect(None, &activate("be1!", ""), &POLICIES, put(active("be1!", "")));
        expect(None, &deactivate("be1!a"), &POLICIES, Err(Refusal::DoesNotExist));
        expect(None, &delete(), &POLICIES, NOTHING);
    }

    #[test]
    fn a_reservation_is_repeated_by_its_owner_without_a_change() {
        for said in ["be1!a", "be1!", "be1"] {
            expect(Some(reserved("be1!a")), &reserve(said), &POLICIES, NOTHING);
        }
        for said in ["be1!", "be1"] {
            expect(Some(reserved("be1!")), &reserve(said), &POLICIES, NOTHING);
            expect(Some(reserved("be1")), &reserve(said), &POLICIES, NOTHING);
        }
    }

    #[test]
    fn a_reservation_learns_its_partition() {
        for known in ["be1!", "be1"] {
            expect(Some(reserved(known)), &reserve("be1!a"), &ORDINARY, put(reserved("be1!a")));
            expect(Some(reserved(known)), &deactivate("be1!a"), &POLICIES, put(reserved("be1!a")));
            expect(Some(reserved(known)), &activate("be1!a", "x"), &POLICIES, put(active("be1!a", "x")));
        }
    }

    #[test]
    fn a_reservation_is_refused_to_others() {
        for said in ["be2!a", "be1!b", "be2!", "be2", "be11!a"] {
            let held_by = at("be1!a");
            expect(
                Some(reserved("be1!a")),
                &reserve(said),
                &ORDINARY,
                Err(Refusal::AlreadyExists { held_by }),
            );
        }
    }

    #[test]
    fn a_reservation_is_activated_by_its_owner() {
        expect(Some(reserved("be1!a")), &activate("be1!a", "x"), &POLICIES, put(active("be1!a", "x")));
        expect(Some(reserved("be1!a")), &activate("be1!", "x"), &POLICIES, put(active("be1!a", "x")));
        expect(Some(reserved("be1!a")), &activate("be1!", ""), &POLICIES, put(active("be1!a", "")));
    }

    #[test]
    fn a_reservation_activated_elsewhere_moves_and_is_no_takeover() {
        expect(Some(reserved("be1!a")), &activate("be2!a", "x"), &LENIENT, put(active("be2!a", "x")));
        expect(Some(reserved("be1!a")), &activate("be1!b", "x"), &LENIENT, put(active("be1!b", "x")));
        let refused = Err(Refusal::TakeoverRefused { held_by: at("be1!a") });
        expect(Some(reserved("be1!a")), &activate("be2!a", "x"), &[Policy::Strict], refused.clone());
        expect(Some(reserved("be1!a")), &activate("be1!b", "x"), &[Policy::Strict], refused);
    }

    #[test]
    fn a_reservation_is_deactivated_again_by_its_owner_only() {
        for said in ["be1!a", "be1!", "be1"] {
            expect(Some(reserved("be1!a")), &deactivate(said), &POLICIES, NOTHING);
        }
        for said in ["be2!a", "be1!b"] {
            expect(
                Some(reserved("be1!a")),
                &deactivate(said),
                &POLICIES,
                Err(Refusal::NotActive { held_by: at("be1!a") }),
            );
        }
    }

    #[test]
    fn a_record_is_deleted_whatever_its_state() {
        expect(Some(reserved("be1!a")), &delete(), &POLICIES, Ok(Change::Remove));
        expect(Some(active("be1!a", "x")), &delete(), &POLICIES, Ok(Change::Remove));
    }

    #[test]
    fn an_active_mailbox_stays_active_when_its_owner_reserves_it() {
        for said in ["be1!a", "be1!", "be1"] {
            expect(Some(active("be1!a", "x")), &reserve(said), &POLICIES, NOTHING);
        }
        expect(Some(active("be1!", "x")), &reserve("be1!a"), &ORDINARY, put(active("be1!a", "x")));
    }

    #[test]
    fn an_active_mailbox_can_not_be_reserved_by_others() {
        for said in ["be2!a", "be1!b"] {
            let refused = Err(Refusal::AlreadyExists { held_by: at("be1!a") });
            expect(Some(active("be1!a", "x")), &reserve(said), &ORDINARY, refused);
        }
    }

    #[test]
    fn unified_and_replicated_reserve_what_exists_without_a_change() {
        for current in [reserved("be1!"), active("be1!", "x")] {
            for said in ["be1!", "be1!a", "be2!", "be2!b"] {
                let policies = [Policy::Unified, Policy::Replicated];
                expect(Some(current.clone()), &reserve(said), &policies, NOTHING);
            }
        }
    }

    #[test]
    fn an_active_mailbox_activated_at_its_place_takes_the_acl_and_the_partition() {
        for said in ["be1!a", "be1!", "be1"] {
            expect(Some(active("be1!a", "x")), &activate(said, "x"), &POLICIES, NOTHING);
            expect(Some(active("be1!a", "x")), &activate(said, "y"), &POLICIES, put(active("be1!a", "y")));
        }
        expect(Some(active("be1!", "x")), &activate("be1!a", "x"), &POLICIES, put(active("be1!a", "x")));
        expect(Some(active("be1!", "x")), &activate("be1!a", "y"), &POLICIES, put(active("be1!a", "y")));
    }

    #[test]
    fn an_active_mailbox_activated_elsewhere_is_taken_over() {
        for (said, becomes) in
            [("be2!a", active("be2!a", "x")), ("be1!b", active("be1!b", "x")), ("be2!", active("be2!", "x"))]
        {
            let current = active("be1!a", "x");
            expect(Some(current.clone()), &activate(said, "x"), &LENIENT, taken_over(becomes, "be1!a"));
            let refused = Err(Refusal::TakeoverRefused { held_by: at("be1!a") });
            expect(Some(current), &activate(said, "x"), &[Policy::Strict], refused);
        }
    }

    #[test]
    fn an_active_mailbox_is_deactivated_to_the_said_location() {
        expect(Some(active("be1!a", "x")), &deactivate("be1!a"), &POLICIES, put(reserved("be1!a")));
        expect(Some(active("be1!a", "x")), &deactivate("be1!"), &POLICIES, put(reserved("be1!a")));
        expect(Some(active("be1!", "x")), &deactivate("be1!a"), &POLICIES, put(reserved("be1!a")));
        expect(Some(active("be1!a", "x")), &deactivate("be2!b"), &POLICIES, put(reserved("be2!b")));
        expect(Some(active("be1!a", "x")), &deactivate("be1!b"), &POLICIES, put(reserved("be1!b")));
    }

    #[test]
    fn strict_allows_a_move_that_was_announced() {
        let Ok(Change::Put { record, .. }) =
            decide(Some(&active("be1!a", "x")), &deactivate("be2!"), Policy::Strict)
        else {
            panic!("a deactivation is never refused to an active mailbox")
        };
        expect(Some(record), &activate("be2!b", "x"), &[Policy::Strict], put(active("be2!b", "x")));
    }
}
