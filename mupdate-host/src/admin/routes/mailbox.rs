//! `GET /v1/mailbox`: one name.

use mupdate_proto::MailboxName;

use super::{Answer, Call, mailboxes};
use crate::admin::http::Refused;

/// The name that is asked for.
pub(super) const PARAMETERS: &[&str] = &["name"];

/// What it is; 404 if nobody has it.
pub(super) fn mailbox(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let name = call.request.query.octets("name").ok_or_else(|| Refused::bad("name: which mailbox?"))?;
    let name = MailboxName::new(bytes::Bytes::copy_from_slice(name));
    let name = name.map_err(|_| Refused::bad("name: a mailbox's name is allowed"))?;
    match call.service().store.entry(&name)? {
        Some(entry) => Ok(Answer::json(&mailboxes::mailbox(entry))),
        None => Err(Refused::missing("there is no such mailbox")),
    }
}
