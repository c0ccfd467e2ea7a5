//! What a backend holds, and what it tells the murder of each thing that it does: as `Cyrus` backends do it.

use std::collections::BTreeMap;

use mupdate_proto::{Acl, Location, MailboxName, Verb};

use super::plan::{NAMES, What};

/// A backend's own mailboxes.
pub type Held = BTreeMap<MailboxName, Mailbox>;

/// A mailbox at its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its partition.
    pub partition: &'static str,
    /// Its ACL.
    pub acl: Acl,
}

/// Names that the orders of Cyrus sort differently, of users, of shared folders and with a domain.
const SPELLINGS: [&str; NAMES as usize] = [
    "user.a",
    "user.a.b",
    "user.a-b",
    "user.a^b",
    "user.a0",
    "user.a.b.c",
    "user.a b",
    "user",
    "DELETED.user.a.6B",
    "x.com!user.a",
    "x!user.a",
    "x.com!user.a-b",
];

/// The name with this number.
pub fn name(number: u8) -> MailboxName {
    let spelling = SPELLINGS[usize::from(number) % SPELLINGS.len()];
    MailboxName::new(spelling).expect("they are legal")
}

/// The location at a server; the partition can be left unsaid.
pub fn location(server: &str, partition: &str) -> Location {
    Location::new(format!("{server}!{partition}")).expect("it is legal")
}

/// Something that a leader does to its mailboxes.
#[derive(Debug, Clone)]
pub struct Change {
    /// What the murder is told, in this sequence.
    pub told: Vec<Verb>,
    /// What the backend holds afterwards.
    pub after: Held,
    /// The mailbox goes to another group.
    pub leaving: Option<MailboxName>,
}

/// What a leader of `server` tells of doing this; `None` if it cannot.
pub fn change(
    what: What,
    held: &Held,
    server: &str,
    pick: u8,
    other: u8,
    to: Option<&str>,
) -> Option<Change> {
    let mut after = held.clone();
    let mut leaving = None;
    let told = match what {
        What::Create => {
            let (mailbox, partition) = (name(pick), ["p", "q"][usize::from(other % 2)]);
            if held.contains_key(&mailbox) {
                return None;
            }
            let acl = Acl::new(format!("a{other}"));
            after.insert(mailbox.clone(), Mailbox { partition, acl: acl.clone() });
            arrival(&mailbox, &location(server, partition), &acl)
        }
        What::SetAcl => {
            let mailbox = one_of(held, pick)?;
            let entry = after.get_mut(&mailbox)?;
            entry.acl = Acl::new(format!("b{other}"));
            let location = location(server, entry.partition);
            vec![Verb::Activate { mailbox, location, acl: entry.acl.clone() }]
        }
        What::Rename | What::RenameUser => {
            let (from, to) = (one_of(held, pick)?, name(other));
            if held.contains_key(&to) {
                return None;
            }
            let mailbox = after.remove(&from)?;
            after.insert(to.clone(), mailbox.clone());
            let mut told = vec![Verb::Delete { mailbox: from }];
            told.extend(arrival(&to, &location(server, ""), &mailbox.acl));
            if what == What::RenameUser {
                let location = location(server, mailbox.partition);
                told.push(Verb::Activate { mailbox: to, location, acl: mailbox.acl });
            }
            told
        }
        What::Delete => {
            let mailbox = one_of(held, pick)?;
            after.remove(&mailbox);
            vec![Verb::Delete { mailbox }]
        }
        What::Transfer => {
            let mailbox = one_of(held, pick)?;
            leaving = Some(mailbox.clone());
            vec![Verb::Deactivate { mailbox, location: location(to?, "p") }]
        }
    };
    Some(Change { told, after, leaving })
}

fn one_of(held: &Held, pick: u8) -> Option<MailboxName> {
    held.keys().nth(usize::from(pick) % held.len().max(1)).cloned()
}

/// What is told of a new mailbox.
pub fn arrival(mailbox: &MailboxName, location: &Location, acl: &Acl) -> Vec<Verb> {
    let (mailbox, location, acl) = (mailbox.clone(), location.clone(), acl.clone());
    vec![
        Verb::Reserve { mailbox: mailbox.clone(), location: location.clone() },
        Verb::Activate { mailbox, location, acl },
    ]
}

/// What a replica tells when it gets from one state to another in one go.
pub fn difference(from: &Held, to: &Held, server: &str) -> Vec<Verb> {
    let gone = from.keys().filter(|mailbox| !to.contains_key(*mailbox));
    let mut told: Vec<_> = gone.map(|mailbox| Verb::Delete { mailbox: mailbox.clone() }).collect();
    for (mailbox, Mailbox { partition, acl }) in to {
        let location = location(server, partition);
        match from.get(mailbox) {
            None => told.extend(arrival(mailbox, &location, acl)),
            Some(known) if known.acl != *acl => {
                told.push(Verb::Activate { mailbox: mailbox.clone(), location, acl: acl.clone() });
            }
            Some(_) => {}
        }
    }
    told
}

/// The mailbox that a change is about.
pub fn subject(verb: &Verb) -> Option<&MailboxName> {
    match verb {
        Verb::Reserve { mailbox, .. }
        | Verb::Activate { mailbox, .. }
        | Verb::Deactivate { mailbox, .. }
        | Verb::Delete { mailbox } => Some(mailbox),
        _ => None,
    }
}
