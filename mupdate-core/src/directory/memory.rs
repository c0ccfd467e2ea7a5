//! A directory in memory, for tests, simulations and fuzzing.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use mupdate_proto::MailboxName;

use super::{Record, Revision, View};

/// Records in a map. Beside holding them it checks its caller: `before` must be what is there, and revisions
/// must grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryView {
    records: BTreeMap<MailboxName, Record>,
    revision: Revision,
    draining: BTreeSet<Vec<u8>>,
}

impl MemoryView {
    /// An empty directory at revision 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// All records, in octet order of their names.
    pub fn records(&self) -> &BTreeMap<MailboxName, Record> {
        &self.records
    }

    /// The revision of the last change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Have a server take no new names, or take them again.
    pub fn set_draining(&mut self, server: &[u8], draining: bool) {
        if draining {
            self.draining.insert(server.to_vec());
        } else {
            self.draining.remove(server);
        }
    }

    fn advance(&mut self, revision: Revision) {
        assert!(revision > self.revision, "revision {revision} after {}", self.revision);
        self.revision = revision;
    }
}

impl View for MemoryView {
    type Error = Infallible;

    fn get(&self, mailbox: &MailboxName) -> Result<Option<Record>, Infallible> {
        Ok(self.records.get(mailbox).cloned())
    }

    fn is_draining(&self, server: &[u8]) -> Result<bool, Infallible> {
        Ok(self.draining.contains(server))
    }

    /// # Panics
    /// If `before` is not what is there, or the revision does not grow.
    fn put(
        &mut self,
        mailbox: &MailboxName,
        record: &Record,
        before: Option<&Record>,
        revision: Revision,
    ) -> Result<(), Infallible> {
        self.advance(revision);
        let was = self.records.insert(mailbox.clone(), record.clone());
        assert_eq!(was.as_ref(), before, "the record of {mailbox} is another one");
        Ok(())
    }

    /// # Panics
    /// If `before` is not what is there, or the revision does not grow.
    fn remove(
        &mut self,
        mailbox: &MailboxName,
        before: &Record,
        revision: Revision,
    ) -> Result<(), Infallible> {
        self.advance(revision);
        let was = self.records.remove(mailbox);
        assert_eq!(was.as_ref(), Some(before), "the record of {mailbox} is another one");
        Ok(())
    }
}
