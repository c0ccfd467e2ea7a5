//! `GET /v1/pairs`: who speaks for which server.

use super::{Answer, Call};
use crate::admin::{api::Pairs, http::Refused};

/// Pairs, and with `all=true` every server for which somebody has spoken.
pub(super) fn pairs(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let all = call.request.query.flag("all")?;
    let pairs = &call.service().pairs;
    // In this sequence: what comes in between is in the list, and nothing is promised that is not.
    let revision = pairs.revision();
    Ok(Answer::json(&Pairs { revision, pairs: pairs.list(all) }))
}
