//! Taking over a whole list from a master without emptying what is there: what a replica does at each connection.
//!
//! While the list comes, each of its lines is an [`Edit`] that is carried out at once, and its name is noted. Only when the
//! master has said that the list is complete does [`Merging::complete`] give what can tell which names it did not have.
//! A list that breaks off therefore removes nothing: there is no way to ask.
//!
//! Names are noted by fingerprints of 128 bits under keys of the caller's, 16 octets each whatever their length. That two
//! names of a directory of ten million share one has a chance of less than one in 10^24, and the harm would be a
//! name that stays until the next list.

use std::hash::BuildHasher;

use mupdate_proto::MailboxName;

use super::Record;

/// What a name is to be, whatever it is now: what a replica hears from its master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The name.
    pub mailbox: MailboxName,
    /// Its record; without one it is to be free.
    pub record: Option<Record>,
}

impl Edit {
    /// Octets of its name, location and ACL: what it costs to keep it waiting.
    pub fn octets(&self) -> usize {
        let record = self.record.as_ref().map_or(0, |record| {
            let acl = match &record.state {
                super::State::Active(acl) => acl.as_bytes().len(),
                super::State::Reserved => 0,
            };
            record.location.as_bytes().len() + acl
        });
        self.mailbox.as_bytes().len() + record
    }
}

/// A list that is being told.
///
/// - It grows by 16 octets for each name, and at most twice that where names are told twice.
/// - What is told of a name as gone is not among the names of the list: carry its edit out.
#[derive(Debug)]
pub struct Merging<H> {
    keys: [H; 2],
    seen: Vec<u128>,
    /// So many are sorted, and none of them is there twice.
    sorted: usize,
}

/// A list that has been told to its end.
#[derive(Debug)]
pub struct Complete<H> {
    keys: [H; 2],
    seen: Vec<u128>,
}

impl<H: BuildHasher> Merging<H> {
    /// Nothing has been told. The two keys have to be different ones.
    pub fn new(keys: [H; 2]) -> Self {
        Self { keys, seen: Vec::new(), sorted: 0 }
    }

    /// The master's list has this name.
    pub fn has(&mut self, mailbox: &MailboxName) {
        self.seen.push(fingerprint(&self.keys, mailbox.as_bytes()));
        if self.seen.len() >= 2 * self.sorted.max(512) {
            self.sort();
        }
    }

    /// The master has said that the list is complete.
    pub fn complete(mut self) -> Complete<H> {
        self.sort();
        Complete { keys: self.keys, seen: self.seen }
    }

    fn sort(&mut self) {
        self.seen.sort_unstable();
        self.seen.dedup();
        self.sorted = self.seen.len();
    }
}

impl<H: BuildHasher> Complete<H> {
    /// How many names the list had.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// The list had no name at all.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Is this a name that the list did not have, and which is therefore to go?
    pub fn lacks(&self, mailbox: &[u8]) -> bool {
        self.seen.binary_search(&fingerprint(&self.keys, mailbox)).is_err()
    }
}

fn fingerprint<H: BuildHasher>(keys: &[H; 2], name: &[u8]) -> u128 {
    let [high, low] = keys.each_ref().map(|key| u128::from(key.hash_one(name)));
    high << 64 | low
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

    use proptest::prelude::*;

    use super::*;
    use crate::directory::{Batch, MemoryView, State, View};
    use mupdate_proto::{Acl, Location};

    /// Two keys that are known, so that every run is the same.
    #[derive(Clone, Copy)]
    struct Key(u64);

    impl BuildHasher for Key {
        type Hasher = DefaultHasher;

        fn build_hasher(&self) -> DefaultHasher {
            let mut hasher = BuildHasherDefault::<DefaultHasher>::default().build_hasher();
            hasher.write_u64(self.0);
            hasher
        }
    }

    fn edit(name: u8, record: Option<(u8, Option<u8>)>) -> Edit {
        let mailbox = MailboxName::new(format!("user.{name}")).expect("legal");
        let record = record.map(|(at, acl)| Record {
            location: Location::new(format!("be{at}!p")).expect("legal"),
            state: acl.map_or(State::Reserved, |acl| State::Active(Acl::new(vec![acl]))),
        });
        Edit { mailbox, record }
    }

    fn carry_out(view: &mut MemoryView, edits: &[Edit]) -> usize {
        let mut batch = Batch::new(view.revision());
        for edit in edits {
            let Ok(()) = batch.set(view, edit, ());
        }
        let sealed = batch.seal();
        let revision = sealed.revision();
        sealed.durable(revision).events.len()
    }

    fn table() -> impl Strategy<Value = Vec<Edit>> {
        let record = (0..3_u8, proptest::option::of(0..3_u8));
        proptest::collection::vec((0..40_u8, record), 0..60)
            .prop_map(|rows| rows.into_iter().map(|(name, record)| edit(name, Some(record))).collect())
    }

    /// What a dump may bring beside its rows: changes of names that were told already, and that are gone again.
    fn late() -> impl Strategy<Value = Vec<Edit>> {
        let record = proptest::option::of((0..3_u8, proptest::option::of(0..3_u8)));
        proptest::collection::vec((0..40_u8, record), 0..20)
            .prop_map(|rows| rows.into_iter().map(|(name, record)| edit(name, record)).collect())
    }

    proptest! {
        /// Whatever was there, a list that is told to its end makes it equal, and changes no more than it has to; one that
        /// breaks off has removed nothing but what it said is gone.
        #[test]
        fn a_whole_list_makes_equal_and_a_part_removes_nothing(
            before in table(), master in table(), late in late(), cut in 0..80_usize,
        ) {
            let mut local = MemoryView::new();
            carry_out(&mut local, &before);
            let told: Vec<Edit> = master.into_iter().chain(late).collect();
            let mut there = MemoryView::new();
            carry_out(&mut there, &told);

            let mut broken = local.clone();
            carry_out(&mut broken, &told[..cut.min(told.len())]);
            for name in local.records().keys() {
                let gone = told.iter().any(|edit| edit.mailbox == *name && edit.record.is_none());
                prop_assert!(gone || broken.records().contains_key(name));
            }

            let mut merging = Merging::new([Key(1), Key(2)]);
            for edit in &told {
                if edit.record.is_some() {
                    merging.has(&edit.mailbox);
                }
            }
            carry_out(&mut local, &told);
            let complete = merging.complete();
            let stale: Vec<Edit> = local.records().keys()
                .filter(|name| complete.lacks(name.as_bytes()))
                .map(|name| Edit { mailbox: name.clone(), record: None }).collect();
            carry_out(&mut local, &stale);
            prop_assert_eq!(local.records(), there.records());
            let whole: Vec<Edit> = there.records().iter()
                .map(|(name, record)| Edit { mailbox: name.clone(), record: Some(record.clone()) }).collect();
            prop_assert_eq!(carry_out(&mut local, &whole), 0, "what is told again changes nothing");
        }
    }

    #[test]
    fn names_are_told_apart_and_repetitions_cost_nothing() {
        let mut merging = Merging::new([Key(1), Key(2)]);
        for round in 0..3 {
            for number in 0..2000 {
                merging.has(&MailboxName::new(format!("user.{number}")).expect("legal"));
            }
            assert!(merging.seen.len() <= 4000, "{round}");
        }
        let complete = merging.complete();
        assert_eq!((complete.len(), complete.is_empty()), (2000, false));
        assert!(!complete.lacks(b"user.1999") && complete.lacks(b"user.2000") && complete.lacks(b"user"));
    }

    #[test]
    fn an_edit_sets_exactly_what_it_says() {
        let mut view = MemoryView::new();
        assert_eq!(carry_out(&mut view, &[edit(1, Some((1, None))), edit(1, Some((2, Some(7))))]), 2);
        let kept = view.get(&edit(1, None).mailbox).expect("a map");
        assert_eq!(kept, edit(1, Some((2, Some(7)))).record, "no rule of ownership is asked");
        assert_eq!(carry_out(&mut view, &[edit(1, Some((2, Some(7)))), edit(2, None)]), 0);
        assert_eq!(carry_out(&mut view, &[edit(1, None)]), 1);
        assert_eq!(edit(1, Some((2, Some(7)))).octets(), 6 + 5 + 1);
    }
}
