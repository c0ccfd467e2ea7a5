//! `host drain`, `host undrain`: a backend that is to take no new mailboxes.

use std::ffi::OsString;

use clap::Subcommand;
use mupdate_host::admin::api::{Drain, Host};

use super::{Session, shared::octets};
use crate::{
    connect::http::Target,
    fail::Fail,
    show::{table::WARN, text::shown},
};

/// What is to be.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Refuse new mailboxes at this backend; what it has stays, and can be moved away
    Drain {
        /// Its name, as locations have it
        // Not `server`, which is an option of all commands.
        #[arg(value_name = "SERVER")]
        backend: OsString,
    },
    /// Let it have new mailboxes again
    Undrain {
        /// Its name, as locations have it
        // Not `server`, which is an option of all commands.
        #[arg(value_name = "SERVER")]
        backend: OsString,
    },
}

pub(super) fn run(command: &Command, session: &mut Session<'_>) -> Result<(), Fail> {
    let (server, draining) = match command {
        Command::Drain { backend } => (backend, true),
        Command::Undrain { backend } => (backend, false),
    };
    let request = Drain { server: octets(server).into(), draining };
    let admin = session.connect.admin()?;
    admin.act(&Target::new("/v1/drain"), &request)?;
    if session.out.json {
        return session.out.document(&request);
    }
    let state = if draining { "takes no new mailboxes" } else { "takes new mailboxes" };
    session.out.line(format_args!("{} {state}", shown(&request.server)))?;
    // Any name may be drained, before there is anything; but most often it is a slip.
    let hosts: Vec<Host> = if draining { admin.items(&Target::new("/v1/hosts"))? } else { return Ok(()) };
    if hosts.iter().any(|host| host.server == request.server) {
        return Ok(());
    }
    session.out.line(format_args!("{WARN}it has no mailboxes: is this how locations write it?{WARN:#}"))
}
