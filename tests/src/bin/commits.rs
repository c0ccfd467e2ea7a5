//! Changes a store under the shim, for the power cuts of `tests/tests/powercut.rs`.
#![forbid(unsafe_code)]

use std::{error::Error, path::PathBuf};

use clap::Parser;
use mupdate_tests::powercut::writer::write;

/// Changes a store while the shim keeps a journal of what comes to its disk
#[derive(Debug, Parser)]
struct Options {
    /// The data directory
    dir: PathBuf,
    /// What the changes are drawn from
    seed: u64,
    /// How many commits are tried
    attempts: u64,
    /// Pause once until pages are settled
    #[arg(long)]
    quiet: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { dir, seed, attempts, quiet } = Options::parse();
    write(&dir, seed, attempts, quiet)
}
