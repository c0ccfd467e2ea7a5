//! Draining: a server that is to be emptied takes no new names.
//!
//! | record | RESERVE m at a draining server | anything else |
//! |---|---|---|
//! | none | NO | yes |
//! | any | yes | yes |
//!
//! "Yes" leaves the rest to [`decide`](super::decide()). What has begun goes on: a reservation is activated, an echo is
//! repeated, mailboxes are moved away and deleted, and a backend that tells of what it has is believed.

use super::{Action, Record, Refusal};

/// Is this no new name for a server that is `draining`?
///
/// # Errors
/// It is one.
pub fn admit(current: Option<&Record>, action: &Action, draining: bool) -> Result<(), Refusal> {
    match (current, action) {
        (None, Action::Reserve { location, .. }) if draining => {
            Err(Refusal::Draining { said: location.clone() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::State;
    use mupdate_proto::{Acl, Location, MailboxName};

    #[test]
    fn only_new_names_are_refused() {
        let mailbox = MailboxName::new("user.a").expect("legal");
        let location = Location::new("be1!p").expect("legal");
        let record = Record { location: location.clone(), state: State::Reserved };
        let actions = [
            Action::Reserve { mailbox: mailbox.clone(), location: location.clone() },
            Action::Activate { mailbox: mailbox.clone(), location: location.clone(), acl: Acl::new("a") },
            Action::Deactivate { mailbox: mailbox.clone(), location: location.clone() },
            Action::Delete { mailbox },
        ];
        for (at, action) in actions.iter().enumerate() {
            let admitted = |current, draining| admit(current, action, draining).is_ok();
            assert!(admitted(None, false) && admitted(Some(&record), true) && admitted(Some(&record), false));
            assert_eq!(admitted(None, true), at > 0, "{action:?}");
        }
        let refusal = admit(None, &actions[0], true).expect_err("it is new");
        assert!(!refusal.is_of_the_principal());
        assert_eq!(
            refusal.to_string(),
            "location is be1!p, and that server is draining: it takes no new mailboxes"
        );
    }
}
