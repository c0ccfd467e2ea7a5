//! `mupdatectl`: what an operator does to a MUPDATE server from outside.
//!
//! One command so far: `bench`, which puts a server, or two in turns, under measured load.
#![forbid(unsafe_code)]

mod bench;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tools for MUPDATE servers (RFC 3656), of Cyrus and others.
#[derive(Debug, Parser)]
#[command(name = "mupdatectl", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a server under load, or two servers in turns
    Bench(Box<bench::Options>),
}

fn main() -> ExitCode {
    let Command::Bench(options) = Cli::parse().command;
    match bench::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mupdatectl: {error}");
            error.exit_code()
        }
    }
}
