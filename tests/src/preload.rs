//! A directory full of mailboxes, written straight into a store before its daemon starts.

use std::path::Path;

use mupdate_core::directory::{Record, State, View};
use mupdate_host::store::{Store, StoreOptions};
use mupdate_proto::{Acl, Location, MailboxName};

/// Puts `count` active mailboxes `user.NUMBER` at `be1!default` into an empty data directory.
///
/// # Panics
/// The store cannot be written.
pub fn preload(data_dir: &Path, count: u32) {
    let options =
        StoreOptions { map_size: 1 << 30, max_readers: 16, tombstones: 1000, ..StoreOptions::default() };
    let store = Store::open(data_dir, options).expect("a fresh directory");
    let mut txn = store.begin().expect("nobody else writes");
    let location = Location::new("be1!default").expect("legal");
    for number in 0..count {
        let mailbox = MailboxName::new(format!("user.{number:08}")).expect("legal");
        let state = State::Active(Acl::new("anyone\tlrs\tadmin\tlrswipkxtecda\t"));
        let record = Record { location: location.clone(), state };
        let revision = txn.revision() + 1;
        txn.put(&mailbox, &record, None, revision).expect("there is room");
    }
    txn.commit().expect("there is room");
}
