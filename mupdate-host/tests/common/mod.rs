//! What the tests of the store and of the writer share.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::sync::PoisonError;

use bytes::Bytes;
use mupdate_core::directory::{Action, Batch, Durable, Policy, Speaker, Verdict};
use mupdate_core::server::{Finish, Row, Scope};
use mupdate_host::feeds::Subscription;
use mupdate_host::store::{RowSink, Store, StoreOptions};
use mupdate_proto::{Acl, Location, MailboxName, ServerName};
use tempfile::TempDir;

/// Name, location, ACL.
pub type Line = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// A sink that takes a few rows at a time.
#[derive(Debug, Default)]
pub struct Page {
    pub limit: usize,
    pub rows: Vec<Line>,
    pub gone: Vec<Vec<u8>>,
    pub finish: Option<Finish>,
}

impl Page {
    pub fn of(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}

impl RowSink for &mut Page {
    fn full(&self) -> bool {
        self.rows.len() + self.gone.len() >= self.limit
    }

    fn row(&mut self, Row { name, location, acl }: Row<'_>) {
        self.rows.push((name.to_vec(), location.to_vec(), acl.map(<[u8]>::to_vec)));
    }

    fn gone(&mut self, name: &[u8]) {
        self.gone.push(name.to_vec());
    }

    fn finish(self, how: Finish) {
        assert_eq!(self.finish, None, "finished twice");
        self.finish = Some(how);
    }
}

pub fn name(octets: impl AsRef<[u8]>) -> MailboxName {
    MailboxName::new(Bytes::copy_from_slice(octets.as_ref())).expect("a legal name")
}

pub fn location(octets: impl AsRef<[u8]>) -> Location {
    Location::new(Bytes::copy_from_slice(octets.as_ref())).expect("a legal location")
}

pub fn server(octets: impl AsRef<[u8]>) -> ServerName {
    ServerName::new(Bytes::copy_from_slice(octets.as_ref())).expect("a legal server name")
}

pub fn reserve(mailbox: impl AsRef<[u8]>, at: &str) -> Action {
    Action::Reserve { mailbox: name(mailbox), location: location(at) }
}

pub fn activate(mailbox: impl AsRef<[u8]>, at: &str, acl: impl AsRef<[u8]>) -> Action {
    let acl = Acl::new(Bytes::copy_from_slice(acl.as_ref()));
    Action::Activate { mailbox: name(mailbox), location: location(at), acl }
}

pub fn delete(mailbox: impl AsRef<[u8]>) -> Action {
    Action::Delete { mailbox: name(mailbox) }
}

/// A store of a test's own, with room for some thousands of mailboxes.
pub fn store() -> (TempDir, Store) {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    (dir, store)
}

pub fn options() -> StoreOptions {
    StoreOptions { map_size: 64 << 20, max_readers: 64, ..StoreOptions::default() }
}

pub fn open(dir: &TempDir) -> Store {
    Store::open(dir.path(), options()).expect("the store opens")
}

/// Carry actions out in one transaction.
pub fn change(store: &Store, actions: &[Action]) -> Durable<usize> {
    let mut txn = store.begin().expect("no other writer");
    let mut batch = Batch::new(txn.revision());
    for (at, action) in actions.iter().enumerate() {
        batch.stage(&mut txn, action, Speaker::TRUSTED, Policy::Standard, at).expect("there is room");
    }
    let sealed = batch.seal();
    let revision = txn.commit().expect("there is room");
    assert_eq!(revision, sealed.revision());
    sealed.durable(revision)
}

/// As `change`, and all of them are OK.
pub fn apply(store: &Store, actions: &[Action]) -> Durable<usize> {
    let done = change(store, actions);
    let refused: Vec<&(usize, Verdict)> =
        done.verdicts.iter().filter(|(_, verdict)| verdict.is_err()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    done
}

/// Walk to the end, in pages of `limit` rows.
pub fn walk(store: &Store, scope: Scope, limit: usize) -> Vec<Line> {
    let mut pager = store.pager(scope).expect("readable");
    let mut rows = Vec::new();
    loop {
        let mut page = Page::of(limit);
        store.page(&mut pager, &mut page).expect("readable");
        assert!(page.rows.len() <= limit);
        rows.append(&mut page.rows);
        match page.finish {
            Some(Finish::End) => return rows,
            Some(Finish::More) => {}
            other => panic!("a page ended with {other:?}"),
        }
    }
}

pub fn find(store: &Store, mailbox: &MailboxName) -> Option<Line> {
    let mut page = Page::of(1);
    store.find(&store.snapshot().expect("readable"), mailbox, &mut page).expect("readable");
    assert_eq!(page.finish, Some(Finish::End));
    assert!(page.rows.len() <= 1);
    page.rows.pop()
}

pub fn names(rows: &[Line]) -> Vec<String> {
    rows.iter().map(|(name, ..)| String::from_utf8_lossy(name).into_owned()).collect()
}

/// What waits in a feed, taken out.
pub fn pending(subscription: &Subscription) -> Vec<MailboxName> {
    let mut feed = subscription.feed().lock().unwrap_or_else(PoisonError::into_inner);
    std::iter::from_fn(|| feed.pop()).collect()
}
