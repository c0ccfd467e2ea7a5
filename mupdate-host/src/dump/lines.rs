//! JSON Lines, with the objects of the admin interface.

use std::io;

use mupdate_core::directory::State;

use super::{Row, invalid, row};
use crate::admin::api::{Mailbox, MailboxState};

/// A line, without its end.
pub(super) fn parse(line: &[u8]) -> Result<Row, String> {
    let said: Mailbox = serde_json::from_slice(line).map_err(|error| {
        // It repeats words of the line, whatever is in them.
        let error = error.to_string().replace(char::is_control, "?");
        format!("is no mailbox: {error}")
    })?;
    Row::try_from(&said)
}

impl TryFrom<&Mailbox> for Row {
    type Error = String;

    /// What the admin interface says, as a row of a list.
    fn try_from(said: &Mailbox) -> Result<Self, String> {
        let shown = said.mailbox.as_bytes().escape_ascii();
        let place = said.location.as_ref().ok_or_else(|| format!("{shown} has no location"))?;
        let acl = match (said.state, &said.acl) {
            (MailboxState::Active, Some(acl)) => Some(acl.as_bytes()),
            (MailboxState::Active, None) => return Err(format!("{shown} is active and has no ACL")),
            (MailboxState::Reserved, _) => None,
            (MailboxState::Deleted, _) => return Err(format!("{shown} is deleted")),
        };
        row(said.mailbox.as_bytes(), place.as_bytes(), acl)
    }
}

pub(super) fn write(Row { mailbox, record }: &Row) -> io::Result<Vec<u8>> {
    let (state, acl) = match &record.state {
        State::Active(acl) => (MailboxState::Active, Some(acl.as_bytes().into())),
        State::Reserved => (MailboxState::Reserved, None),
    };
    let location = Some(record.location.as_bytes().into());
    let said = Mailbox { mailbox: mailbox.as_bytes().into(), state, location, acl, revision: None };
    let mut line = serde_json::to_vec(&said).map_err(|error| invalid(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}
