//! `backup`: a copy of the database of a running daemon.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Session;
use crate::{
    connect::http::{Admin, Answer, Target},
    fail::Fail,
    show::text::octets,
};

/// Where it goes.
#[derive(Debug, Args)]
pub struct Options {
    /// The file; it must not be there yet
    file: PathBuf,
    /// Take the place of a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let path = &options.file;
    if !options.force && path.exists() {
        return Err(Fail::usage(format!("{} is there already; --force takes its place", path.display())));
    }
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let admin = session.connect.admin()?;
    let answer = admin.act(&Target::new("/v1/backup"), &serde_json::json!({}))?;
    let copied = copy(&admin, answer, &part).and_then(|length| {
        fs::rename(&part, path)
            .and_then(|()| sync_folder(path))
            .map_err(|error| Fail::write(path, &error))?;
        Ok(length)
    });
    if copied.is_err() {
        // Half a copy is of no use to anybody.
        let _ = fs::remove_file(&part);
    }
    let length = copied?;
    if session.out.json {
        let shown = path.display().to_string();
        return session.out.document(&serde_json::json!({ "file": shown, "octets": length }));
    }
    session.out.line(format_args!("{}: {}", path.display(), octets(length)))
}

fn copy(admin: &Admin, mut answer: Answer, part: &Path) -> Result<u64, Fail> {
    let failed = |error: io::Error| Fail::write(part, &error);
    // What a copy before this one left behind is in nobody's use.
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(failed)?;
    let (progress, mut length) = (progress(), 0);
    loop {
        let octets = answer.fill_buf().map_err(|error| admin.broken(&error))?;
        if octets.is_empty() {
            break;
        }
        file.write_all(octets).map_err(failed)?;
        let taken = octets.len();
        answer.consume(taken);
        length += taken as u64;
        progress.set_position(length);
    }
    file.sync_all().map_err(failed)?;
    progress.finish_and_clear();
    Ok(length)
}

/// The name of a file is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// How large the copy will be is known when it is complete.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::no_length().with_style(style);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
