//! `mupdatectl`, the real one, and what it says.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::daemon::tool;

/// What the tool said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code, if no signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

/// The tool, in a home of its own, with nothing of this environment that it looks at.
pub fn ctl(home: &Path) -> Command {
    let mut command = Command::new(tool());
    command.current_dir(home).env("HOME", home).env("TZ", "UTC").stdin(Stdio::null());
    for name in ["XDG_CONFIG_HOME", "MUPDATE_USER", "MUPDATE_PASSWORD", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
///
/// # Panics
/// It cannot be started, or writes what is no text.
pub fn run(command: &mut Command) -> Said {
    let output = command.output().expect("it can be started");
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("it writes UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
