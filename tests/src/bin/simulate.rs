//! Plays murders drawn from seeds, on all processors, and shows the first that goes wrong as short as it can be.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use clap::Parser;
use mupdate_tests::simulation::{Figures, Plan, Violation, narrate, shrink, simulate};

/// Plays simulated murders: the real core, replicated pairs, frontends, a bad network, a server that dies.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to play.
    #[arg(default_value_t = 10_000)]
    count: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Play the plan in this file instead, as a failing run writes it, and tell what happens.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { count, first, plan } = Arguments::parse();
    match plan {
        Some(file) => replay(&file),
        None => play(first, count),
    }
}

fn replay(file: &PathBuf) -> ExitCode {
    let read = fs::read_to_string(file).map_err(|error| error.to_string());
    let plan = read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    match plan.map(|plan: Plan| narrate(&plan, &mut |line| println!("{line}"))) {
        Ok(Ok(figures)) => {
            println!("no violation: {figures:#?}");
            ExitCode::SUCCESS
        }
        Ok(Err(violation)) => {
            println!("{}", violation.what);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("simulate: cannot read the plan {}: {error}", file.display());
            ExitCode::from(66)
        }
    }
}

fn play(first: u64, count: u64) -> ExitCode {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Figures::default());
    let failed: Mutex<Option<(u64, Violation)>> = Mutex::new(None);
    let work = || {
        let mut figures = Figures::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || lock(&failed).is_some() {
                break;
            }
            match simulate(&Plan::draw(first + number)) {
                Ok(played) => figures += played,
                Err(violation) => {
                    let mut failed = lock(&failed);
                    if failed.as_ref().is_none_or(|(seed, _)| first + number < *seed) {
                        *failed = Some((first + number, violation));
                    }
                }
            }
        }
        *lock(&total) += figures;
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let failed = lock(&failed).take();
    if let Some((seed, violation)) = failed {
        show(seed, &violation);
        return ExitCode::FAILURE;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{:#?}", lock(&total));
    println!("{count} schedules from seed {first} on, no violation, in {seconds:.0} s");
    ExitCode::SUCCESS
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what went wrong, and how to see it again.
fn show(seed: u64, violation: &Violation) {
    println!("seed {seed}: {}", violation.what);
    println!("to replay: just simulate 1 {seed}");
    let plan = shrink(&Plan::draw(seed), |plan| simulate(plan).is_err());
    let Err(violation) = simulate(&plan) else { return };
    println!("shrunk to {} deeds: {}", plan.deeds.len(), violation.what);
    let text = serde_json::to_string_pretty(&plan).expect("a plan is plain data");
    println!("{}", serde_json::to_string(&plan).expect("a plan is plain data"));
    let file = PathBuf::from("target").join(format!("simulate-{seed}.json"));
    match fs::create_dir_all("target").and_then(|()| fs::write(&file, text)) {
        Ok(()) => println!("to replay that: just simulate-plan {}", file.display()),
        Err(error) => eprintln!("simulate: cannot write {}: {error}", file.display()),
    }
}
