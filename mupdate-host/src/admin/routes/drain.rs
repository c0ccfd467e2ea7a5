//! `POST /v1/drain`: have a server take no new mailboxes.

use mupdate_proto::ServerName;

use super::{Answer, Call, reservations::operate};
use crate::{
    admin::{api::Drain, http::Refused},
    writer::Operation,
};

/// Answers with what is so now, whether it was so before or not.
pub(super) fn drain(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let request: Drain = call.body.json()?;
    let server = ServerName::new(request.server.as_bytes().to_vec())
        .map_err(|_| Refused::bad("server: the name of a server, without `!` and partition, is allowed"))?;
    operate(call, Operation::Drain { server, draining: request.draining })?;
    Ok(Answer::json(&request))
}
