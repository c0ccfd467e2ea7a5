//! How a model is run, and for how long.

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Threads of the product have more, but use a fraction of this.
const STACK: usize = 512 << 10;

/// Preemptions that are put where they hurt: few known faults need more.
const DEPTH: usize = 3;

/// Executions between two looks at the clock.
const ROUND: usize = 20;

/// Run a model in random order, then in orders with few but well-placed preemptions, each for `$MODEL_SECONDS`.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    run(name, "random", || RandomScheduler::new(ROUND), &model);
    run(name, "preempting", || PctScheduler::new(DEPTH, ROUND), &model);
}

fn run<S: Scheduler + 'static>(
    name: &str,
    kind: &str,
    scheduler: impl Fn() -> S,
    model: &Arc<impl Fn() + Send + Sync + 'static>,
) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.silence_warnings = true;
    let (start, limit) = (Instant::now(), seconds());
    let mut executions = 0;
    while start.elapsed() < limit {
        let model = Arc::clone(model);
        executions += Runner::new(scheduler(), config.clone()).run(move || model());
    }
    println!("{name}: {executions} executions ({kind}) in {:.1} s", start.elapsed().as_secs_f32());
}

fn seconds() -> Duration {
    let seconds = env::var("MODEL_SECONDS").map_or(3, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}
