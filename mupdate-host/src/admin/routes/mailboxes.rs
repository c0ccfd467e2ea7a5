//! `GET /v1/mailboxes`: the directory, or some of it, as JSON Lines.

use std::io;

use mupdate_proto::ServerName;

use super::{Answer, Call, Out};
use crate::{
    admin::{
        api::{Mailbox, MailboxState},
        http::{Query, Refused},
    },
    service::Service,
    store::{Entries, Entry},
};

mod glob;

use self::glob::Glob;

/// What a list can be asked for.
pub(super) const PARAMETERS: &[&str] = &["server", "state", "glob", "after", "limit"];

/// Mailboxes of a page at most.
const PAGE: usize = 512;

/// What is wanted.
struct Wanted {
    active: Option<bool>,
    glob: Option<Glob>,
    left: u64,
}

/// In the order of the tables, each page from a short read transaction of its own: no snapshot. What there is all the
/// time comes once.
pub(super) fn mailboxes(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let query = &call.request.query;
    let mut wanted = Wanted {
        active: state(query)?,
        glob: query.octets("glob").map(Glob::new).transpose()?,
        left: query.parsed("limit", "a number")?.unwrap_or(u64::MAX),
    };
    let mut entries = Entries::new(server(query)?, query.octets("after"));
    let service = call.service().clone();
    Ok(Answer::lines(move |out| write(&service, &mut entries, &mut wanted, out)))
}

/// The server that is asked for.
pub(super) fn server(query: &Query) -> Result<Option<ServerName>, Refused> {
    let name = |name: &[u8]| ServerName::new(bytes::Bytes::copy_from_slice(name));
    query
        .octets("server")
        .map(name)
        .transpose()
        .map_err(|_| Refused::bad("server: a server's name is allowed"))
}

fn state(query: &Query) -> Result<Option<bool>, Refused> {
    match query.octets("state") {
        None => Ok(None),
        Some(b"active") => Ok(Some(true)),
        Some(b"reserved") => Ok(Some(false)),
        Some(_) => Err(Refused::bad("state: active or reserved is allowed")),
    }
}

fn write(service: &Service, entries: &mut Entries, wanted: &mut Wanted, out: &mut Out<'_>) -> io::Result<()> {
    while wanted.left > 0 && !entries.is_over() {
        if out.is_closing() {
            return Err(io::Error::other("the daemon goes down"));
        }
        let most = PAGE.min(usize::try_from(wanted.left).unwrap_or(PAGE));
        let page = service.store.next_entries(entries, most, |name, active| {
            wanted.active.is_none_or(|wanted| wanted == active)
                && wanted.glob.as_ref().is_none_or(|glob| glob.matches(name))
        })?;
        wanted.left -= page.len() as u64;
        for entry in page {
            out.line(&mailbox(entry))?;
        }
    }
    Ok(())
}

/// An entry as it is said.
pub(super) fn mailbox(entry: Entry) -> Mailbox {
    Mailbox {
        mailbox: entry.name.into(),
        state: if entry.acl.is_some() { MailboxState::Active } else { MailboxState::Reserved },
        location: Some(entry.location.into()),
        acl: entry.acl.map(Into::into),
        revision: Some(entry.revision),
    }
}
