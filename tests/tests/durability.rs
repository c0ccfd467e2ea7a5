//! What was answered OK survives `kill -9` at any moment, and what was refused never was. (`just torture` does this a
//! thousand times, and worse.)

use mupdate_tests::{
    daemon::{Daemon, Kind},
    history::History,
    load::{Load, SETTINGS, Shape, compare},
    on_both_daemons,
};

on_both_daemons!(kill_under_load, stop_under_load);

const SHAPE: Shape = Shape { writers: 4, subscribers: 1, depth: 16 };
const ROUNDS: usize = 4;

fn kill_under_load(kind: Kind) {
    let mut daemon = Daemon::start(kind, SETTINGS);
    let (mut history, mut rng) = (History::default(), fastrand::Rng::with_seed(1));
    let mut changes = 0;
    for round in 0..ROUNDS {
        let load = Load::start(&daemon, SHAPE, round, &mut rng);
        // Each round ends at another moment of the writers' cycle.
        assert!(load.wait_for(400 + 137 * round) >= 400, "the writers gave up");
        daemon.kill();
        let told = load.finish(&mut history);
        changes += told.done;
        daemon.start_again();
        compare(&daemon, &mut history, &told);
    }
    println!("{changes} changes in {ROUNDS} rounds");
}

/// A stop in good order leaves nothing open: what was not answered was not done.
fn stop_under_load(kind: Kind) {
    let mut daemon = Daemon::start(kind, SETTINGS);
    let mut history = History::default();
    let load = Load::start(&daemon, SHAPE, 0, &mut fastrand::Rng::with_seed(2));
    assert!(load.wait_for(400) >= 400, "the writers gave up");
    assert!(daemon.terminate().success());
    let told = load.finish(&mut history);
    history.refuse_open();
    daemon.start_again();
    compare(&daemon, &mut history, &told);
}
