//! What operators ask of the past, and do about it: the journal, reservations, and undoing.
//!
//! Everything is read in short transactions, so that it may take as long as it likes.

mod carry_out;
mod undo;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mupdate_core::directory::{Record, Revision, State};

pub use carry_out::carry_out;
pub use undo::{Change, Plan, PlanError, plan};

use crate::admin::api::{self, Deed, MailboxState, Text};
use crate::store::journal::Entry;
use crate::store::scan::Scan;
use crate::store::{Store, StoreError};

/// Entries of the journal that are read in one transaction.
const STEP: usize = 1024;

/// Which entries are wanted: all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this name.
    pub mailbox: Option<Vec<u8>>,
    /// Of a name that was at this server before, or afterwards.
    pub server: Option<Vec<u8>>,
    /// By this user.
    pub user: Option<String>,
    /// Done so.
    pub deed: Option<Deed>,
    /// Only takeovers.
    pub takeovers: bool,
}

impl Wanted {
    fn wants(&self, entry: &Entry) -> bool {
        let at = |record: &Option<Record>, server: &[u8]| {
            record.as_ref().is_some_and(|record| record.location.server() == server)
        };
        self.mailbox.as_ref().is_none_or(|name| entry.mailbox.as_bytes() == name)
            && self.server.as_ref().is_none_or(|name| at(&entry.before, name) || at(&entry.after, name))
            && self.user.as_ref().is_none_or(|user| entry.user == *user)
            && self.deed.is_none_or(|deed| entry.deed == deed)
            && (entry.takeover || !self.takeovers)
    }
}

/// Give `each` the wanted entries from before a revision, or from the end of the journal, newest first, as long as it
/// says so. It is called outside of any transaction.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub fn journal<E: From<StoreError>>(
    store: &Store,
    wanted: &Wanted,
    mut before: Option<Revision>,
    mut each: impl FnMut(Entry) -> Result<bool, E>,
) -> Result<(), E> {
    loop {
        let mut found = Vec::new();
        before = store.journal_back(before, STEP, |entry| {
            if wanted.wants(&entry) {
                found.push(entry);
            }
            true
        })?;
        for entry in found {
            if !each(entry)? {
                return Ok(());
            }
        }
        if before.is_none() {
            return Ok(());
        }
    }
}

/// When a name of each of these servers was last changed, as far as the journal goes back; that far it is read for those
/// of which it has nothing.
///
/// # Errors
/// The store cannot be read.
pub fn last_changes<'a>(
    store: &Store,
    servers: impl IntoIterator<Item = &'a [u8]>,
) -> Result<BTreeMap<Bytes, u64>, StoreError> {
    let (mut last, mut sought) = (BTreeMap::new(), servers.into_iter().collect::<BTreeSet<_>>());
    if sought.is_empty() {
        return Ok(last);
    }
    journal(store, &Wanted::default(), None, |entry| {
        for record in [&entry.before, &entry.after].into_iter().flatten() {
            let server = record.location.server();
            if sought.remove(server) {
                last.insert(Bytes::copy_from_slice(server), entry.at_ms);
            }
        }
        Ok::<_, StoreError>(!sought.is_empty())
    })?;
    Ok(last)
}

/// Give `each` all reserved names that have been so for so long at least, as far as known, or for longer than the journal
/// knows. It is called outside of any transaction.
///
/// # Errors
/// The store cannot be read, or `each` failed.
pub fn reservations<E: From<StoreError>>(
    store: &Store,
    older_than_ms: u64,
    now_ms: u64,
    mut each: impl FnMut(api::Reservation) -> Result<(), E>,
) -> Result<(), E> {
    let mut scan = Scan::default();
    loop {
        let mut found = Vec::new();
        let more = store.scan(&mut scan, |seen| {
            if seen.acl.is_none() {
                found.push((seen.name.to_vec(), seen.location.to_vec(), seen.revision));
            }
        })?;
        for (mailbox, location, revision) in found {
            let made = store.journal_entry(revision)?;
            let since_ms = made.as_ref().map(|made| made.at_ms);
            if since_ms.is_none_or(|since| now_ms.saturating_sub(since) >= older_than_ms) {
                let (mailbox, location, user) = (mailbox.into(), location.into(), made.map(|made| made.user));
                each(api::Reservation { mailbox, location, revision, since_ms, user })?;
            }
        }
        if !more {
            return Ok(());
        }
    }
}

/// An entry as the admin interface shows it.
#[must_use]
pub fn shown(entry: Entry) -> api::Entry {
    api::Entry {
        revision: entry.revision,
        at_ms: entry.at_ms,
        user: entry.user,
        peer: entry.peer,
        deed: entry.deed,
        mailbox: entry.mailbox.as_bytes().into(),
        before: what(entry.before.as_ref()),
        after: what(entry.after.as_ref()),
        takeover: entry.takeover,
        cut: entry.cut,
    }
}

/// A record as the admin interface shows it.
#[must_use]
pub fn what(record: Option<&Record>) -> api::What {
    let (state, acl) = match record.map(|record| &record.state) {
        None => (MailboxState::Deleted, None),
        Some(State::Reserved) => (MailboxState::Reserved, None),
        Some(State::Active(acl)) => (MailboxState::Active, Some(Text::from(acl.as_bytes()))),
    };
    api::What { state, location: record.map(|record| record.location.as_bytes().into()), acl }
}

#[cfg(test)]
mod tests;
