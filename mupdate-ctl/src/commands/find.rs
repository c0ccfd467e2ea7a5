//! `find`: where these mailboxes are.

use std::ffi::OsString;

use clap::Args;
use mupdate_host::admin::api::Mailbox;
use serde::Serialize;

use super::{
    Session,
    shared::{acl, octets, word},
};
use crate::{
    connect::{Way, http::Target},
    fail::{Code, Fail},
    show::{
        Table,
        table::BAD,
        text::{escaped, shown, shown_or_dash},
    },
};

/// Which ones.
#[derive(Debug, Args)]
pub struct Options {
    /// Names as they are on the wire: user.alice.Sent
    #[arg(required = true, value_name = "NAME")]
    names: Vec<OsString>,
}

/// A name that is not there.
#[derive(Serialize)]
struct Missing<'a> {
    mailbox: &'a mupdate_host::admin::api::Text,
    state: &'static str,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let names: Vec<Vec<u8>> = options.names.iter().map(octets).collect();
    let mut found: Vec<(Vec<u8>, Option<Mailbox>)> = Vec::new();
    match session.connect.way()? {
        Way::Admin(admin) => {
            for name in names {
                let mailbox = admin.get_if_any(&Target::new("/v1/mailbox").with("name", &name))?;
                found.push((name, mailbox));
            }
        }
        Way::Wire(mut wire) => wire.find(&names, |name, mailbox| {
            found.push((name.to_vec(), mailbox));
            Ok(())
        })?,
    }
    let missing = found.iter().filter(|(_, mailbox)| mailbox.is_none()).count();
    let mut table = Table::new(&["mailbox", "state", "location", "acl"]);
    for (name, mailbox) in found {
        match mailbox {
            Some(mailbox) if session.out.json => session.out.json_line(&mailbox)?,
            None if session.out.json => {
                session.out.json_line(&Missing { mailbox: &name.into(), state: "missing" })?;
            }
            Some(mailbox) => table.row([
                shown(&mailbox.mailbox),
                word(mailbox.state).into(),
                shown_or_dash(mailbox.location.as_ref()),
                acl(mailbox.acl.as_ref()),
            ]),
            None => table.styled(BAD, [escaped(&name), "missing".into(), "-".into(), "-".into()]),
        }
    }
    session.out.table(&mut table)?;
    if missing > 0 { Err(Fail::Silent(Code::No)) } else { Ok(()) }
}
