//! `completions`, `man`: what shells and `man` know of the tool.

mod settings;

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Session;
use crate::{Cli, fail::Fail};

/// For which shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Where the pages go.
#[derive(Debug, Args)]
pub struct Man {
    /// The directory; it is made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn completions(options: &Completions, session: &mut Session<'_>) -> Result<(), Fail> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "mupdatectl", &mut script);
    session.out.raw(&script)
}

/// A page for each command of the tool, for both daemons, and for their settings.
pub(super) fn man(options: &Man) -> Result<(), Fail> {
    let dir = &options.dir;
    let daemons = ["mupdated", "mupdated-sync"].map(mupdate_host::cli::command);
    fs::create_dir_all(dir)
        .and_then(|()| {
            std::iter::once(Cli::command())
                .chain(daemons)
                .try_for_each(|command| clap_mangen::generate_to(command, dir))
        })
        .and_then(|()| fs::write(dir.join("mupdated.toml.5"), settings::page()))
        .map_err(|error| Fail::write(dir, &error))
}
