//! What is measured: the pieces that every command goes through, on names and ACLs as real murders have them.

use bytes::{Bytes, BytesMut};
use mupdate_core::directory::{
    Action, Batch, Change, Order, Policy, Record, Refusal, Speaker, State, decide,
};
use mupdate_host::store::{Store, StoreOptions};
use mupdate_proto::{Acl, Command, Frame, Framer, Limits, Location, MailboxName, Response, Tag, Verb};
use tempfile::TempDir;

/// Mailboxes in each of these pieces of work.
pub const MAILBOXES: usize = 64;

const ACL: &[u8] = b"jane.doe\tlrswipkxtecda\tadmin\tlrswipkxtecda\tanyone\tp\t";

/// Names of users and of their folders.
pub fn names() -> Vec<MailboxName> {
    let folders = ["", ".Sent", ".Drafts", ".Archive.2026", ".Projekte.B\u{26}APw-ro", ".Trash"];
    let name = |at: usize| format!("user.jane^doe{:03}{}", at / folders.len(), folders[at % folders.len()]);
    (0..MAILBOXES).map(|at| MailboxName::new(name(at)).expect("a legal name")).collect()
}

fn location() -> Location {
    Location::new("backend17.mail.example.org!default").expect("a legal location")
}

fn activation(mailbox: MailboxName) -> Action {
    Action::Activate { mailbox, location: location(), acl: Acl::new(ACL) }
}

/// ACTIVATEs as Cyrus's backends send them: everything in literals.
pub fn commands() -> Bytes {
    let mut octets = BytesMut::new();
    for (at, mailbox) in names().into_iter().enumerate() {
        let tag = Tag::new(format!("X{at}")).expect("a legal tag");
        let verb = Verb::Activate { mailbox, location: location(), acl: Acl::new(ACL) };
        Command { tag, verb }.encode(&mut octets);
    }
    octets.freeze()
}

/// Cuts octets into commands and reads them. How many there were.
pub fn parse(octets: &[u8]) -> usize {
    let mut framer = Framer::new(Limits::default());
    framer.push(octets);
    let mut commands = 0;
    while let Ok(Some(Frame::Message(message))) = framer.next() {
        commands += usize::from(Command::parse(message).is_ok());
    }
    assert_eq!(commands, MAILBOXES);
    commands
}

/// Records and what is to be done to each: repetitions, changes, takeovers, what is new and what is refused.
pub fn decisions() -> Vec<(Option<Record>, Action)> {
    let elsewhere = Location::new("backend2.mail.example.org!default").expect("a legal location");
    let active = |location| Record { location, state: State::Active(Acl::new(ACL)) };
    let case = |(at, mailbox): (usize, MailboxName)| match at % 4 {
        0 => (None, activation(mailbox)),
        1 => (Some(active(location())), activation(mailbox)),
        2 => (Some(active(elsewhere.clone())), activation(mailbox)),
        _ => (Some(active(elsewhere.clone())), Action::Reserve { mailbox, location: location() }),
    };
    names().into_iter().enumerate().map(case).collect()
}

/// Decides all of them.
pub fn decide_all(cases: &[(Option<Record>, Action)]) -> Vec<Result<Change, Refusal>> {
    cases.iter().map(|(record, action)| decide(record.as_ref(), action, Policy::Standard)).collect()
}

/// The keys of all names in an order; their length.
pub fn keys(names: &[MailboxName], order: Order) -> usize {
    names.iter().map(|name| order.key(name.as_bytes()).len()).sum()
}

/// Encodes a row of a LIST for each name.
pub fn rows(names: &[MailboxName], out: &mut BytesMut) -> usize {
    out.clear();
    let location = b"backend17.mail.example.org!default";
    for name in names {
        Response::Mailbox { tag: &b"X1"[..], name: name.as_bytes(), location, acl: ACL }.encode(out);
    }
    out.len()
}

/// A store in a directory of its own, and what is to change in it.
pub struct Writing {
    _dir: TempDir,
    store: Store,
    actions: Vec<Action>,
}

/// An empty store.
pub fn writing() -> Writing {
    let dir = TempDir::new().expect("a directory");
    let options = StoreOptions { map_size: 64 << 20, max_readers: 16, ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).expect("a fresh directory");
    Writing { _dir: dir, store, actions: names().into_iter().map(activation).collect() }
}

/// Makes all mailboxes, or gives each of them another ACL, in one transaction.
pub fn write_batch(writing: &Writing) -> u64 {
    let mut txn = writing.store.begin().expect("nobody else writes");
    let mut batch = Batch::new(txn.revision());
    for (at, action) in writing.actions.iter().enumerate() {
        batch.stage(&mut txn, action, Speaker::TRUSTED, Policy::Standard, at).expect("there is room");
    }
    let sealed = batch.seal();
    let revision = txn.commit().expect("there is room");
    sealed.durable(revision).events.len() as u64
}
