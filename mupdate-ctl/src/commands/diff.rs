//! `diff`: does another server, or a list in a file, have the same? What the other has is held in memory.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader},
    path::PathBuf,
};

use clap::Args;
use mupdate_core::directory::{Record, State};
use mupdate_host::{
    admin::api::{Mailbox, Text},
    dump::{Release, Row, read},
};
use mupdate_proto::{MailboxName, ServerName};
use serde::Serialize;

use super::{
    Session,
    export::Format,
    shared::{Filter, mailboxes},
};
use crate::{
    fail::{Code, Fail},
    show::text::{count, escaped},
};

/// With what.
#[derive(Debug, Args)]
pub struct Options {
    /// Another MUPDATE server, of Cyrus or of ours: HOST, HOST:PORT or a socket's path
    #[arg(long, value_name = "HOST", required_unless_present = "dump", conflicts_with = "dump")]
    with: Option<String>,
    /// A list in a file
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// How that list is written
    #[arg(long, value_name = "FORM", default_value = "jsonl", requires = "dump")]
    format: Format,
    /// The release of Cyrus that has written `cyrus-text`
    #[arg(long, value_name = "VERSION", default_value = "3.4", requires = "dump")]
    from_version: Release,
    /// Where mailboxes are that the list names no server of: the name of the backend that has written it
    #[arg(long, value_name = "SERVER", requires = "dump")]
    local: Option<String>,
}

type There = BTreeMap<MailboxName, Record>;

/// A difference, as JSON.
#[derive(Serialize)]
struct Difference<'a> {
    mailbox: Text,
    here: Option<&'a str>,
    there: Option<&'a str>,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let mut there = There::new();
    match (&options.with, &options.dump) {
        (Some(host), _) => session.connect.wire_to(host)?.list(None, |mailbox| {
            let Row { mailbox, record } = row(&mailbox)?;
            there.insert(mailbox, record);
            Ok(())
        })?,
        (None, path) => load(path.clone().unwrap_or_default(), options, &mut there)?,
    }
    let (mut same, mut differences) = (0, 0);
    let mut way = session.connect.way()?;
    let out = &mut session.out;
    let mut tell = |mailbox: &MailboxName, here: Option<&Record>, there: Option<&Record>| {
        differences += 1;
        let (here, there) = (here.map(words), there.map(words));
        if out.json {
            let mailbox = mailbox.as_bytes().into();
            return out.json_line(&Difference { mailbox, here: here.as_deref(), there: there.as_deref() });
        }
        let (mailbox, nowhere) = (escaped(mailbox.as_bytes()), || "nowhere".to_owned());
        let (here, there) = (here.unwrap_or_else(nowhere), there.unwrap_or_else(nowhere));
        out.line(format_args!("{mailbox}\n  here:  {here}\n  there: {there}"))
    };
    mailboxes(&mut way, &Filter::default(), |mailbox| {
        let Row { mailbox, record } = row(&mailbox)?;
        match there.remove(&mailbox) {
            Some(other) if other == record => {
                same += 1;
                Ok(())
            }
            other => tell(&mailbox, Some(&record), other.as_ref()),
        }
    })?;
    for (mailbox, record) in &there {
        tell(mailbox, None, Some(record))?;
    }
    if differences > 0 {
        return Err(Fail::new(
            Code::No,
            format!("{} of {} differ", count(differences), count(same + differences)),
        ));
    }
    if out.json { Ok(()) } else { out.line(format_args!("the same: {} names", count(same))) }
}

/// The rows of a file. One that is wrong makes all of it useless.
fn load(path: PathBuf, options: &Options, there: &mut There) -> Result<(), Fail> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => Fail::new(Code::Protocol, format!("{}: {error}", path.display())),
        _ => Fail::read(&path, &error),
    };
    let local = options.local.clone().map(ServerName::new).transpose();
    let local = local.map_err(|error| Fail::usage(format!("--local: {error}")))?;
    let file = BufReader::new(File::open(&path).map_err(failed)?);
    read(options.format.form(options.from_version), file, local.as_ref(), &mut |_, row| {
        let Row { mailbox, record } =
            row.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault.to_string()))?;
        there.insert(mailbox, record);
        Ok(())
    })
    .map_err(failed)
}

fn row(mailbox: &Mailbox) -> Result<Row, Fail> {
    Row::try_from(mailbox).map_err(|text| Fail::new(Code::Protocol, text))
}

fn words(Record { location, state }: &Record) -> String {
    let at = escaped(location.as_bytes());
    match state {
        State::Active(acl) => format!("active at {at}, {}", escaped(acl.as_bytes())),
        State::Reserved => format!("reserved at {at}"),
    }
}
