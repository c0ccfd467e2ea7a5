//! The last takeovers, out of the journal: each of its entries is looked at once.

use std::collections::VecDeque;

use mupdate_core::directory::Revision;

use crate::{
    admin::api,
    history,
    store::{Store, StoreError},
};

/// Takeovers that are shown.
const SHOWN: usize = 20;

/// Entries of the journal that are read in one transaction.
const STEP: usize = 1024;

/// Steps at a time: what lies farther back, at the start or after very many changes, is not looked for.
const STEPS: usize = 32;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Takeovers {
    /// All up to this one were looked at.
    seen: Revision,
    /// Newest first.
    last: VecDeque<api::Entry>,
}

impl Takeovers {
    /// All that are known now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn look(&mut self, store: &Store) -> Result<Vec<api::Entry>, StoreError> {
        let (mut found, mut newest, mut before) = (Vec::new(), None, None);
        for _ in 0..STEPS {
            before = store.journal_back(before, STEP, |entry| {
                newest.get_or_insert(entry.revision);
                let unseen = entry.revision > self.seen && found.len() < SHOWN;
                if unseen && entry.takeover {
                    found.push(entry);
                }
                unseen
            })?;
            if before.is_none() {
                break;
            }
        }
        self.seen = newest.unwrap_or(self.seen);
        for entry in found.into_iter().rev() {
            self.last.push_front(super::brief::entry(history::shown(entry)));
        }
        self.last.truncate(SHOWN);
        Ok(self.last.iter().cloned().collect())
    }
}
