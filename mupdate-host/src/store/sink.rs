//! Where rows go.

use mupdate_core::server::{Finish, Row, Rows};

/// Takes the rows of one answer: a session's [`Rows`], or whatever a test or a dump likes.
pub trait RowSink {
    /// No further row now, please.
    fn full(&self) -> bool;
    /// A mailbox.
    fn row(&mut self, row: Row<'_>);
    /// A mailbox that is no more.
    fn gone(&mut self, name: &[u8]);
    /// The end of the answer, or of this page of it.
    fn finish(self, how: Finish);
}

impl RowSink for Rows<'_> {
    fn full(&self) -> bool {
        Rows::full(self)
    }

    fn row(&mut self, row: Row<'_>) {
        Rows::row(self, row);
    }

    fn gone(&mut self, name: &[u8]) {
        Rows::gone(self, name);
    }

    fn finish(self, how: Finish) {
        Rows::finish(self, how);
    }
}
