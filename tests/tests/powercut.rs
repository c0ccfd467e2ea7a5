//! Whatever a power cut leaves of a store's files, the store opens, with everything that was committed. (`just torture`
//! does this some thousand times, and with daemons.)

use std::path::Path;

use mupdate_tests::powercut::trial::power_cuts;

/// The same ones each time.
const SEED: u64 = 2026;

#[test]
fn whatever_is_left_opens_with_every_commit() {
    let totals = power_cuts(Path::new(env!("CARGO_BIN_EXE_commits")), 600, SEED);
    println!("{totals}");
    assert!(totals.opening > 0 && totals.missing > 0 && totals.runs.1 > 0, "{totals}");
    assert!(totals.under_way.1 > 0 && totals.under_way.1 < totals.under_way.0, "{totals}");
}
