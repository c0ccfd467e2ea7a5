//! The mailboxes that are there while a server is measured, and look like those of a murder.

use mupdate_proto::{Acl, Location, MailboxName, Verb};

use super::{
    BenchError, at,
    target::{Connection, Target},
};

/// Backends that hold the mailboxes, a tenth each.
const BACKENDS: u32 = 10;

/// What everybody has in the mailbox.
const FOLDERS: [&str; 8] =
    ["", ".Sent", ".Drafts", ".Trash", ".Junk", ".Archive.2024", ".Archive.2025", ".Lists.cyrus-devel"];

const NAMES: [&str; 8] =
    ["alice", "bsmith", "charlotte.kuehn", "dimitri", "esther", "fjohansson", "gwen", "hmueller"];

/// Commands that are under way at a time while mailboxes are made and deleted.
const AT_A_TIME: usize = 256;

/// Connections that make and delete them.
const HANDS: u32 = 16;

/// So many mailboxes, each known by its number.
#[derive(Debug, Clone, Copy)]
pub struct Directory {
    /// How many there are.
    pub count: u32,
}

impl Directory {
    pub fn new(count: u32) -> Self {
        Self { count }
    }

    /// The name of a mailbox: some folder of some user.
    pub fn name(&self, number: u32) -> MailboxName {
        let (user, folder) = (number / 8, FOLDERS[(number % 8) as usize]);
        name(format!("user.bench-{}{user:06}{folder}", NAMES[(user % 8) as usize]))
    }

    /// Where it is.
    pub fn location(&self, number: u32) -> Location {
        location(number / 8 % BACKENDS)
    }

    /// Its ACL, which differs from that of another `version`.
    pub fn acl(&self, number: u32, version: u64) -> Acl {
        let owner = NAMES[(number / 8 % 8) as usize];
        Acl::new(format!(
            "{owner}{:06}\tlrswipkxtecdan\tgroup:helpdesk{version}\tlrs\tanyone\tp\t",
            number / 8
        ))
    }

    /// What makes LIST give what the first backend has.
    pub fn server_prefix(&self) -> &'static str {
        "bench0.invalid!"
    }

    pub fn activate(&self, number: u32, version: u64) -> Verb {
        Verb::Activate {
            mailbox: self.name(number),
            location: self.location(number),
            acl: self.acl(number, version),
        }
    }

    /// Make them all, unless they are there from a run before.
    pub fn fill(&self, target: &Target) -> Result<(), BenchError> {
        self.by_hands(target, |number| self.activate(number, 0))
    }

    /// Delete them all.
    pub fn clear(&self, target: &Target) -> Result<(), BenchError> {
        self.by_hands(target, |number| Verb::Delete { mailbox: self.name(number) })
    }

    fn by_hands(&self, target: &Target, verb: impl Fn(u32) -> Verb + Sync) -> Result<(), BenchError> {
        let hand = |first: u32| -> Result<(), BenchError> {
            let mut client = at(target, target.login())?;
            let verbs = (first..self.count).step_by(HANDS as usize).map(&verb);
            at(target, pipelined(&mut client, verbs, AT_A_TIME))
        };
        std::thread::scope(|scope| {
            let hands: Vec<_> = (0..HANDS).map(|first| scope.spawn(move || hand(first))).collect();
            hands.into_iter().try_for_each(|hand| hand.join().expect("a hand does not panic"))
        })
    }
}

/// A name that is not among the directory's.
pub fn name(text: String) -> MailboxName {
    MailboxName::new(text).expect("a legal name")
}

/// The default partition of a backend.
pub fn location(backend: u32) -> Location {
    Location::new(format!("bench{backend}.invalid!default")).expect("a legal location")
}

/// Send commands, so many under way at a time; all have to be answered OK.
pub fn pipelined(
    client: &mut Connection,
    verbs: impl Iterator<Item = Verb>,
    depth: usize,
) -> Result<(), mupdate_sync::client::ClientError> {
    let mut under_way = 0;
    for verb in verbs {
        if under_way == depth {
            client.answer(drop)?;
            under_way -= 1;
        }
        client.send(verb);
        under_way += 1;
    }
    (0..under_way).try_for_each(|_| client.answer(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mailbox_has_a_name_of_its_own_and_a_tenth_is_at_the_first_backend() {
        let directory = Directory::new(8000);
        let names: std::collections::BTreeSet<_> =
            (0..directory.count).map(|number| directory.name(number)).collect();
        assert_eq!(names.len(), 8000);
        let prefix = directory.server_prefix().as_bytes();
        let first =
            (0..8000).filter(|number| directory.location(*number).as_bytes().starts_with(prefix)).count();
        assert_eq!(first, 800);
        assert_ne!(directory.acl(1, 0), directory.acl(1, 1));
    }
}
