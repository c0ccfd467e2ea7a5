//! `import`: a list of mailboxes becomes what the directory has.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mupdate_host::{
    admin::api::Imported,
    dump::{Form, Release, Writer, read},
};
use mupdate_proto::ServerName;

use super::{Session, ask::Consent, export::Format};
use crate::{
    connect::http::{Admin, Target},
    fail::{Code, Fail},
    show::text::count,
};

/// Rows that are wrong and shown, at most.
const SHOWN: u64 = 20;

/// What, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// The list
    file: PathBuf,
    /// How it is written
    #[arg(long, value_name = "FORM", default_value = "jsonl")]
    format: Format,
    /// The release of Cyrus that has written `cyrus-text`
    #[arg(long, value_name = "VERSION", default_value = "3.4")]
    from_version: Release,
    /// Where mailboxes are that the list names no server of: the name of the backend that has written it
    #[arg(long, value_name = "SERVER")]
    local: Option<String>,
    /// Remove what the list does not have
    #[arg(long)]
    replace: bool,
    /// Show how much would change, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
}

/// A list that has been looked through.
struct List<'a> {
    options: &'a Options,
    local: Option<ServerName>,
    /// Octets of it as JSON Lines.
    octets: u64,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let local = options.local.clone().map(ServerName::new).transpose();
    let local = local.map_err(|error| Fail::usage(format!("--local: {error}")))?;
    let mut list = List { options, local, octets: 0 };
    list.octets = list.look()?;
    let admin = session.connect.admin()?;
    if options.replace && !options.dry_run && !options.consent.yes {
        let Imported { removed, .. } = list.send(&admin, true)?;
        if removed > 0 {
            options.consent.ask(&format!("Remove {} names that the list does not have?", count(removed)))?;
        }
    }
    let imported = list.send(&admin, options.dry_run)?;
    let Imported { done, added, changed, removed, same } = imported;
    if session.out.json {
        return session.out.document(&imported);
    }
    let [added, changed, removed, same] = [added, changed, removed, same].map(count);
    let would = if done { "" } else { "would be " };
    session
        .out
        .line(format_args!("{would}added: {added}, changed: {changed}, removed: {removed}; the same: {same}"))
}

impl List<'_> {
    /// Looks at all rows; shows those that are wrong.
    fn look(&self) -> Result<u64, Fail> {
        let (mut counted, mut wrong) = (Writer::new(Form::JsonLines, Counted(0)), 0);
        self.rows(&mut counted, &mut |fault| {
            wrong += 1;
            if wrong <= SHOWN {
                // Where standard error is gone, the exit code tells.
                let _ = writeln!(io::stderr(), "{}: {fault}", self.options.file.display());
            }
        })
        .map_err(|error| self.failed(&error))?;
        if wrong > 0 {
            let text = format!(
                "{}: {} rows are wrong; nothing was changed",
                self.options.file.display(),
                count(wrong)
            );
            return Err(Fail::new(Code::Protocol, text));
        }
        let Counted(octets) = counted.end()?;
        Ok(octets)
    }

    /// The rows as JSON Lines, each in the line in which it is here: that is how the server tells of them.
    fn rows<W: Write>(&self, to: &mut Writer<W>, fault: &mut dyn FnMut(String)) -> io::Result<()> {
        let file = BufReader::with_capacity(64 << 10, File::open(&self.options.file)?);
        let form = self.options.format.form(self.options.from_version);
        let mut lines = 0;
        read(form, file, self.local.as_ref(), &mut |at, row| match row {
            Ok(row) => {
                while lines + 1 < at {
                    to.blank()?;
                    lines += 1;
                }
                lines += 1;
                to.row(&row)
            }
            Err(wrong) => {
                fault(wrong.to_string());
                Ok(())
            }
        })
    }

    fn send(&self, admin: &Admin, dry_run: bool) -> Result<Imported, Fail> {
        let flag = |flag: bool| if flag { "true" } else { "false" };
        let target = Target::new("/v1/import")
            .with("replace", flag(self.options.replace))
            .with("dry_run", flag(dry_run));
        let progress = progress(self.octets);
        let imported = admin.upload(&target, self.octets, &mut |to| {
            let mut changed = false;
            let mut writer = Writer::new(Form::JsonLines, progress.wrap_write(to));
            self.rows(&mut writer, &mut |_| changed = true)?;
            writer.end()?;
            if changed { Err(io::Error::other("the list has changed meanwhile")) } else { Ok(()) }
        });
        progress.finish_and_clear();
        imported
    }

    fn failed(&self, error: &io::Error) -> Fail {
        match error.kind() {
            io::ErrorKind::InvalidData => {
                Fail::new(Code::Protocol, format!("{}: {error}", self.options.file.display()))
            }
            _ => Fail::read(&self.options.file, error),
        }
    }
}

/// How many octets were written.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len() as u64;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn progress(octets: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(octets).with_style(style);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
