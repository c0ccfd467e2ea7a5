//! `mupdatectl`: what an operator sees of a MUPDATE server from outside, and does to it.
//!
//! A command finds its way to the server ([`connect`]): the admin interface of our own daemons, or MUPDATE, which every
//! server speaks. What it learns are the types of `mupdate_host::admin::api`, either way; [`show`] puts them on the
//! terminal, or out as JSON.
#![forbid(unsafe_code)]

mod bench;
mod commands;
mod connect;
mod fail;
mod glob;
mod options;
mod show;

use std::process::ExitCode;

use clap::Parser;

use commands::{Command, Session};
use connect::Connect;
use fail::Fail;
use options::Global;
use show::Out;

/// Looks into MUPDATE servers (RFC 3656), of Cyrus and others, and measures them.
#[derive(Debug, Parser)]
#[command(
    name = "mupdatectl",
    version,
    max_term_width = 110,
    after_help = "The admin interface of a daemon on this host is used (admin.sock in its data directory), or that of --admin.\n\
                  find, list, tree, watch and hosts speak MUPDATE where there is none, and with --server.\n\
                  Passwords come from --password-file, MUPDATE_PASSWORD, or ~/.config/mupdatectl.toml.\n\n\
                  Exit codes:\n  \
                  0   fine\n  \
                  1   no: not found, refused, not ready, findings\n  \
                  2   usage\n  \
                  3   alarming findings\n  \
                  66  a file cannot be read\n  \
                  69  no connection\n  \
                  74  a file cannot be written\n  \
                  76  the server is not understood\n  \
                  77  login refused"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.global, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => fail.tell(),
    }
}

fn run(mut global: Global, command: Command) -> Result<(), Fail> {
    if let Command::Bench(options) = &command {
        global.for_bench()?;
        return Ok(bench::run(options)?);
    }
    let secret = global.complete()?;
    let out = Out::new(global.json.is_some(), global.utc);
    let mut session = Session { connect: Connect { global: &global, secret }, out };
    let done = commands::run(command, &mut session);
    // What was found before something failed is shown, too.
    session.out.flush().and(done)
}
