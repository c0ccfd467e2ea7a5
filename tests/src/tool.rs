//! `mupdatectl`, the real one, and what it says.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde::de::DeserializeOwned;

use crate::daemon::{Daemon, tool};

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

impl Said {
    /// Its output as one document of JSON.
    ///
    /// # Panics
    /// It is none, or of another type.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its output as JSON Lines.
    ///
    /// # Panics
    /// One of them is no JSON, or of another type.
    pub fn json_lines<T: DeserializeOwned>(&self) -> Vec<T> {
        let read =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line} of {self:?}"));
        self.out.lines().map(read).collect()
    }
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

/// The same, for the admin interface of a daemon.
pub fn operator(daemon: &Daemon, words: &[&str]) -> Command {
    let mut command = ctl(&daemon.data_dir());
    command.args(words).args(["--utc", "--data-dir", "."]);
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

/// Compares with what was said before.
pub fn snapshot(name: &str, said: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots/ctl");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, said));
}

/// What differs from run to run is masked: moments, spans, users' numbers, and ports. The widths of columns with it.
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        shown.push_str(&line[..indent]);
        let mut rest = &line[indent..];
        while !rest.is_empty() {
            let word = rest.find(' ').unwrap_or(rest.len());
            // Who asks at a socket is its user's number.
            let uid = shown.ends_with("uid ");
            shown.push_str(&if uid { "NUMBER".into() } else { mask(&rest[..word]) });
            rest = &rest[word..];
            let spaces = rest.len() - rest.trim_start().len();
            shown.push_str(&"  "[..spaces.min(2)]);
            rest = &rest[spaces..];
        }
        shown.push('\n');
    }
    shown
}

fn mask(word: &str) -> String {
    let bare = word.trim_matches(['(', ')', ',', ';', ':']);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let masked = if bare.len() == 20 && bare.starts_with("20") && bare.ends_with('Z') {
        "TIME"
    } else if ["ms", "s", "m"].iter().any(|unit| bare.strip_suffix(unit).is_some_and(number)) {
        "SPAN"
    } else if bare.strip_prefix("127.0.0.1:").is_some_and(number) {
        "127.0.0.1:PORT"
    } else {
        return word.to_owned();
    };
    word.replacen(bare, masked, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked() {
        assert_eq!(
            masked("  since   2026-05-01T12:00:00Z (12s)\n1    127.0.0.1:99"),
            "  since  TIME (SPAN)\n1  127.0.0.1:PORT\n"
        );
    }
}
