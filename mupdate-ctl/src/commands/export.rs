//! `export`: the directory as a file, also for `ctl_mboxlist -u`.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use clap::{Args, ValueEnum};
use mupdate_host::dump::{Form, Release, Row, Writer};

use super::{
    Session,
    shared::{Filter, mailboxes},
};
use crate::{
    fail::{Code, Fail},
    show::text::Harmless,
};

/// In which form.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    filter: Filter,
    /// How the list is written
    #[arg(long, value_name = "FORM", default_value = "jsonl")]
    format: Format,
    /// The release of Cyrus that is to read `cyrus-text`
    #[arg(long, value_name = "VERSION", default_value = "3.4")]
    to_version: Release,
}

/// The forms of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text, as `ctl_mboxlist` of Cyrus 2.x to 3.4 has it
    CyrusText,
    /// One JSON object, as that of Cyrus 3.6 and later has it
    CyrusJson,
    /// JSON Lines
    Jsonl,
}

impl Format {
    /// With the type numbers of a release.
    pub fn form(self, release: Release) -> Form {
        match self {
            Self::CyrusText => Form::CyrusText(release),
            Self::CyrusJson => Form::CyrusJson,
            Self::Jsonl => Form::JsonLines,
        }
    }
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let mut way = session.connect.way()?;
    let stdout = io::stdout().lock();
    let to: Box<dyn Write> =
        if stdout.is_terminal() { Box::new(Harmless::new(stdout)) } else { Box::new(stdout) };
    let out = BufWriter::with_capacity(64 << 10, to);
    let mut writer = Writer::new(options.format.form(options.to_version), out);
    mailboxes(&mut way, &options.filter, |mailbox| {
        let row = Row::try_from(&mailbox).map_err(|text| Fail::new(Code::Protocol, text))?;
        writer.row(&row).map_err(failed)
    })?;
    writer.end().map(drop).map_err(failed)
}

fn failed(error: io::Error) -> Fail {
    match error.kind() {
        ErrorKind::BrokenPipe => Fail::Pipe,
        ErrorKind::InvalidData => Fail::new(Code::Protocol, error.to_string()),
        _ => Fail::new(Code::Io, format!("cannot write to standard output: {error}")),
    }
}
