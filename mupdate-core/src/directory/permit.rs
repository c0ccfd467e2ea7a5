//! Who may speak for which server: one pure function, one table, beside that of [`decide`](super::decide()).
//!
//! `S` are the servers of a backend's principal, `L` is where the directory knows the mailbox to be, `L'` what
//! the action says.
//!
//! | role | record | RESERVE m L' | ACTIVATE m L' | DEACTIVATE m L' | DELETE m | reads |
//! |---|---|---|---|---|---|---|
//! | admin | any | yes | yes | yes | yes | yes |
//! | backend | none | L' in S | L' in S | yes | yes | yes |
//! | backend | L in S | L' in S | L' in S | yes | yes | yes |
//! | backend | reserved, L not in S | L' in S | L' in S | NO | NO | yes |
//! | backend | active, L not in S | L' in S | NO | NO | NO | yes |
//! | frontend | any | NO | NO | NO | NO | yes |
//! | none | any | NO | NO | NO | NO | NO |
//!
//! "Yes" leaves the rest to [`decide`](super::decide()): it refuses RESERVE of what another server holds, and says so in
//! the words that backends know, or, under *unified* and *replicated*, lets it change nothing.
//!
//! - XFER is why a DEACTIVATE may name any server, and why a reservation can be activated by somebody else. What is
//!   seen on the wire is this: the source falls back to a reservation at its own place, or at the destination's; then
//!   the destination activates, without a RESERVE. If it does not come to that, the source activates again.
//! - Both members of a replicated pair speak for the same server, by one principal or by two.
//! - A replica that repeats its leader's deletion or activation after the name has become another server's is refused:
//!   the name is not its own any more, and DELETE could not say so itself.
//! - Servers are compared octet by octet, as records compare them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mupdate_proto::{Location, ServerName};

use super::{Action, Change, Held, Mass, Record, Refusal, State};

/// What a principal may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRole {
    /// Everything.
    Admin,
    /// Read, and change the names that these servers hold, or nobody.
    Backend(BTreeSet<ServerName>),
    /// Read.
    Frontend,
    /// Nothing but NOOP and LOGOUT.
    None,
}

impl PeerRole {
    /// The name that configuration files use.
    pub fn as_str(&self) -> &'static str {
        match self {
            PeerRole::Admin => "admin",
            PeerRole::Backend(_) => "backend",
            PeerRole::Frontend => "frontend",
            PeerRole::None => "none",
        }
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles of all principals.
///
/// Nobody has one until the first is given: then everybody who is logged in may do everything, as with Cyrus's own
/// server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    named: BTreeMap<String, PeerRole>,
    others: Option<PeerRole>,
}

impl Roles {
    /// Gives a principal its role.
    pub fn give(&mut self, principal: impl Into<String>, role: PeerRole) {
        self.named.insert(principal.into(), role);
    }

    /// Gives a role to everybody who has none of their own.
    pub fn give_others(&mut self, role: PeerRole) {
        self.others = Some(role);
    }

    /// Whether nobody was given a role.
    pub fn are_open(&self) -> bool {
        self.named.is_empty() && self.others.is_none()
    }

    /// The principals that have a role of their own, sorted, and their roles.
    pub fn named(&self) -> impl Iterator<Item = (&str, &PeerRole)> {
        self.named.iter().map(|(principal, role)| (principal.as_str(), role))
    }

    /// The role of everybody else, if they have one.
    pub fn others(&self) -> Option<&PeerRole> {
        self.others.as_ref()
    }

    /// The role of a principal, and its name to tell it by.
    pub fn speaker<'a>(&'a self, principal: &'a str) -> Speaker<'a> {
        let role = match self.named.get(principal).or(self.others.as_ref()) {
            Some(role) => role,
            None if self.are_open() => &PeerRole::Admin,
            None => &PeerRole::None,
        };
        Speaker { principal, role, held: Held::default() }
    }
}

/// Somebody who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker<'a> {
    /// The name that they logged in with.
    pub principal: &'a str,
    /// What they may do.
    pub role: &'a PeerRole,
    /// What is held of that.
    pub held: Held,
}

impl Speaker<'static> {
    /// Somebody who may do everything, and whose name is never told.
    pub const TRUSTED: Speaker<'static> =
        Speaker { principal: "", role: &PeerRole::Admin, held: Held::NOTHING };
}

impl Speaker<'_> {
    fn principal(&self) -> String {
        self.principal.to_owned()
    }
}

/// May this principal do that to a mailbox whose record is `current`?
///
/// The table is in the [module's documentation](self).
///
/// # Errors
/// It may not; the record stays what it is.
pub fn permit(current: Option<&Record>, action: &Action, speaker: Speaker<'_>) -> Result<(), Refusal> {
    let servers = match speaker.role {
        PeerRole::Admin => return Ok(()),
        PeerRole::Backend(servers) => servers,
        PeerRole::Frontend => return Err(Refusal::ReadsOnly { principal: speaker.principal() }),
        PeerRole::None => return Err(Refusal::NoRole { principal: speaker.principal() }),
    };
    let own = |location: &Location| servers.contains(location.server());
    if let Action::Reserve { location, .. } | Action::Activate { location, .. } = action
        && !own(location)
    {
        return Err(Refusal::NotItsServer { said: location.clone(), principal: speaker.principal() });
    }
    let Some(Record { location, state }) = current.filter(|record| !own(&record.location)) else {
        return Ok(());
    };
    match (action, state) {
        (Action::Reserve { .. }, _) | (Action::Activate { .. }, State::Reserved) => Ok(()),
        (Action::Activate { .. }, State::Active(_))
        | (Action::Deactivate { .. } | Action::Delete { .. }, _) => {
            Err(Refusal::NotItsMailbox { held_by: location.clone(), principal: speaker.principal() })
        }
    }
}

/// Is that one of the changes that are held of this principal?
///
/// # Errors
/// It is; the record stays what it is.
pub fn hold(before: Option<&Record>, change: Change, speaker: Speaker<'_>) -> Result<Change, Refusal> {
    match Mass::of_change(before, &change) {
        Some(mass) if speaker.held.holds(mass) => Err(Refusal::Held { mass, principal: speaker.principal() }),
        _ => Ok(change),
    }
}

/// May this principal read at all?
///
/// # Errors
/// It may not.
pub fn permit_reading(speaker: Speaker<'_>) -> Result<(), Refusal> {
    match speaker.role {
        PeerRole::Admin | PeerRole::Backend(_) | PeerRole::Frontend => Ok(()),
        PeerRole::None => Err(Refusal::NoRole { principal: speaker.principal() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mupdate_proto::{Acl, MailboxName};

    fn at(location: &'static str) -> Location {
        Location::new(location).expect("legal")
    }

    fn backend(servers: &[&'static str]) -> PeerRole {
        PeerRole::Backend(servers.iter().map(|&name| ServerName::new(name).expect("legal")).collect())
    }

    fn as_x(role: &PeerRole) -> Speaker<'_> {
        Speaker { principal: "x", role, held: Held::default() }
    }

    fn actions(location: &'static str) -> [Action; 4] {
        let mailbox = MailboxName::new("user.a").expect("legal");
        [
            Action::Reserve { mailbox: mailbox.clone(), location: at(location) },
            Action::Activate { mailbox: mailbox.clone(), location: at(location), acl: Acl::new("a") },
            Action::Deactivate { mailbox: mailbox.clone(), location: at(location) },
            Action::Delete { mailbox },
        ]
    }

    /// The row of the table: which of the four actions are permitted with this location.
    fn row(record: Option<&Record>, role: &PeerRole, said: &'static str) -> [bool; 4] {
        actions(said).map(|action| permit(record, &action, as_x(role)).is_ok())
    }

    #[test]
    fn the_table_is_as_it_stands() {
        let reserved = |location| Record { location: at(location), state: State::Reserved };
        let active = |location| Record { location: at(location), state: State::Active(Acl::new("a")) };
        let records = [
            None,
            Some(reserved("be1!p")),
            Some(active("be1!p")),
            Some(reserved("be2!p")),
            Some(active("be2!p")),
        ];
        let role = backend(&["be1", "be1.old"]);
        let own = [[true; 4], [true; 4], [true; 4], [true, true, false, false], [true, false, false, false]];
        let other = [
            [false, false, true, true],
            [false, false, true, true],
            [false, false, true, true],
            [false; 4],
            [false; 4],
        ];
        for (record, (own, other)) in records.iter().zip(own.into_iter().zip(other)) {
            let record = record.as_ref();
            for said in ["be1!p", "be1!", "be1", "be1!q", "be1.old!p"] {
                assert_eq!(row(record, &role, said), own, "{record:?} {said}");
            }
            for said in ["be2!p", "be3", "BE1!p", "be!p", "be11!p"] {
                assert_eq!(row(record, &role, said), other, "{record:?} {said}");
            }
            assert_eq!(row(record, &PeerRole::Admin, "be3!p"), [true; 4]);
            assert_eq!(row(record, &PeerRole::Frontend, "be1!p"), [false; 4]);
            assert_eq!(row(record, &PeerRole::None, "be1!p"), [false; 4]);
            assert_eq!(row(record, &backend(&[]), "be1!p")[..2], [false; 2]);
        }
        for (role, reads) in
            [(PeerRole::Admin, true), (role, true), (PeerRole::Frontend, true), (PeerRole::None, false)]
        {
            let speaker = as_x(&role);
            assert_eq!(permit_reading(speaker).is_ok(), reads, "{role}");
        }
    }

    #[test]
    fn roles_have_the_names_that_configurations_use() {
        let roles = [PeerRole::Admin, backend(&["be1"]), PeerRole::Frontend, PeerRole::None];
        assert_eq!(roles.map(|role| role.to_string()), ["admin", "backend", "frontend", "none"]);
    }

    #[test]
    fn without_roles_everybody_may_do_everything() {
        let mut roles = Roles::default();
        assert!(roles.are_open());
        assert_eq!(roles.speaker("x").role, &PeerRole::Admin);
        roles.give("fe1", PeerRole::Frontend);
        assert!(!roles.are_open());
        assert_eq!(roles.speaker("x").role, &PeerRole::None);
        assert_eq!(roles.speaker("fe1").role, &PeerRole::Frontend);
        assert_eq!(roles.speaker("fe1").principal, "fe1");
        roles.give_others(backend(&["be1"]));
        assert_eq!(roles.speaker("x").role, &backend(&["be1"]));
        assert_eq!(roles.speaker("fe1").role, &PeerRole::Frontend);
        assert_eq!(roles.named().collect::<Vec<_>>(), [("fe1", &PeerRole::Frontend)]);
        assert_eq!(roles.others(), Some(&backend(&["be1"])));
        let mut roles = Roles::default();
        roles.give_others(PeerRole::None);
        assert!(!roles.are_open());
    }

    #[test]
    fn a_refusal_names_the_holder_and_the_principal() {
        let role = backend(&["be1"]);
        let record = Record { location: at("be2!p"), state: State::Reserved };
        let told = |role: &PeerRole, said, action: usize| {
            let speaker = as_x(role);
            permit(Some(&record), &actions(said)[action], speaker).map_err(|refusal| refusal.to_string())
        };
        let held = "mailbox is held by be2!p, which principal x may not speak for".to_owned();
        assert_eq!(told(&role, "be1!p", 3), Err(held));
        let said = "location is be3!p, which principal x may not speak for".to_owned();
        assert_eq!(told(&role, "be3!p", 0), Err(said));
        assert_eq!(
            told(&PeerRole::Frontend, "be1!p", 0),
            Err("principal x is a frontend and changes nothing".to_owned())
        );
        assert_eq!(told(&PeerRole::None, "be1!p", 0), Err("principal x has no role".to_owned()));
    }
}
