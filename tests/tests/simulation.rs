//! Simulated murders: a share of the seeds that `just simulate` plays, and the plans that once went wrong.

use std::{fs, path::Path};

use mupdate_tests::simulation::{Figures, Plan, narrate, simulate};

/// Seeds that every test run plays: a second's worth.
const SEEDS: u64 = if cfg!(debug_assertions) { 300 } else { 5000 };

#[test]
fn nothing_goes_wrong() {
    let mut figures = Figures::default();
    for seed in 1..=SEEDS {
        match simulate(&Plan::draw(seed)) {
            Ok(played) => figures += played,
            Err(violation) => {
                panic!("seed {seed}: {}; to replay: just simulate 1 {seed}", violation.what);
            }
        }
    }
    // What never happens is not tested.
    let Figures {
        crashes, cuts, failovers, echoes, merges, late_deletions, denied, pushed, promotions, ..
    } = figures;
    let seen =
        [crashes, cuts, failovers.0, failovers.1, echoes, merges, late_deletions, denied, pushed, promotions];
    assert!(seen.iter().all(|&times| times > 0), "{figures:?}");
}

#[test]
fn what_went_wrong_once_is_right_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulations");
    let mut played = 0;
    for entry in fs::read_dir(&folder).expect("the folder is part of the tests") {
        let path = entry.expect("it can be listed").path();
        let text = fs::read_to_string(&path).expect("a plan is a file");
        let plan: Plan = serde_json::from_str(&text).expect("it is a plan");
        if let Err(violation) = simulate(&plan) {
            panic!("{}: {}", path.display(), violation.what);
        }
        played += 1;
    }
    assert!(played > 0, "no plans in {}", folder.display());
}

/// The same plan gives the same run, to the last change.
#[test]
fn a_plan_is_played_the_same_way_each_time() {
    let tale = || {
        let mut lines = Vec::new();
        let figures = narrate(&Plan::draw(11), &mut |line| lines.push(line.to_owned()));
        (figures, lines)
    };
    assert_eq!(tale(), tale());
    assert!(tale().1.iter().any(|line| line.contains("durable")));
}

#[test]
fn a_plan_is_read_back() {
    let plan = Plan::draw(3);
    let text = serde_json::to_string(&plan).expect("plain data");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("plain data"), plan);
}
