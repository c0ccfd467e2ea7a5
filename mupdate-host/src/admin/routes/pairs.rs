//! `GET /v1/pairs`: who speaks for which server.

use super::{Answer, Call};
use crate::admin::http::Refused;

/// Pairs, and with `all=true` every server for which somebody has spoken.
pub(super) fn pairs(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let all = call.request.query.flag("all")?;
    Ok(Answer::json(&call.service().pairs.list(all)))
}
