//! `[fuse]`: how many names one user may take over or delete within a time.

use std::fmt;

use mupdate_core::directory::FuseLimits;

use super::read::{Section, number, seconds};

pub(super) const NAMES: [&str; 5] = ["takeovers", "takeover_share", "deletions", "deletion_share", "seconds"];

pub(super) fn read(limits: &mut FuseLimits, table: &Section<'_, '_>) {
    table.read("takeovers", &mut limits.takeovers, number(0..=1_000_000_000));
    table.read("takeover_share", &mut limits.takeover_share, number(0..=100));
    table.read("deletions", &mut limits.deletions, number(0..=1_000_000_000));
    table.read("deletion_share", &mut limits.deletion_share, number(0..=100));
    table.read("seconds", &mut limits.within, seconds(1..=2_592_000));
}

/// Writes the table, so that [`read`] reads the same.
pub(super) fn print(limits: &FuseLimits, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n[fuse]")?;
    writeln!(f, "takeovers = {}", limits.takeovers)?;
    writeln!(f, "takeover_share = {}", limits.takeover_share)?;
    writeln!(f, "deletions = {}", limits.deletions)?;
    writeln!(f, "deletion_share = {}", limits.deletion_share)?;
    writeln!(f, "seconds = {}", limits.within.as_secs())
}
