//! What happened in a run, in numbers.

use std::ops::AddAssign;

/// What a run had in it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Small steps: of sessions, of the writer, of octets.
    pub steps: u64,
    /// Changes that became durable.
    pub changes: u64,
    /// Times that the server died.
    pub crashes: u64,
    /// Connections that broke.
    pub cuts: u64,
    /// Failovers that lost nothing, and others.
    pub failovers: (u64, u64),
    /// Times that a replica finished repeating something.
    pub echoes: u64,
    /// Lists that frontends merged.
    pub merges: u64,
    /// Mailboxes that such a merge lost, and that came again.
    pub told_again: u64,
    /// Deletions that a replica repeated after the mailbox had been made anew: each has healed.
    pub late_deletions: u64,
    /// Mailboxes that the `ctl_mboxlist -m` of a replica which lagged behind took away for a while: each has healed.
    pub late_pushes: u64,
    /// Words of a connection that its client had given up.
    pub late_words: u64,
    /// Words that hit a mailbox which another server had by then.
    pub foreign: u64,
    /// Commands refused because of who said them.
    pub denied: u64,
    /// Groups that needed `ctl_mboxlist -m` in the end, since something of theirs was cut short.
    pub pushed: u64,
    /// Times that a replica took the server's place.
    pub promotions: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        let Self {
            steps,
            changes,
            crashes,
            cuts,
            failovers,
            echoes,
            merges,
            told_again,
            late_deletions,
            late_pushes,
            late_words,
            foreign,
            denied,
            pushed,
            promotions,
        } = other;
        self.steps += steps;
        self.changes += changes;
        self.crashes += crashes;
        self.cuts += cuts;
        self.failovers.0 += failovers.0;
        self.failovers.1 += failovers.1;
        self.echoes += echoes;
        self.merges += merges;
        self.told_again += told_again;
        self.late_deletions += late_deletions;
        self.late_pushes += late_pushes;
        self.late_words += late_words;
        self.foreign += foreign;
        self.denied += denied;
        self.pushed += pushed;
        self.promotions += promotions;
    }
}
