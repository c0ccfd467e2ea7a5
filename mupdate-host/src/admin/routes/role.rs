//! `POST /v1/promote` and `/v1/demote`: a replica becomes the master, a master a replica.

use super::{Answer, Call};
use crate::admin::{
    api::{Promote, Role, Turned},
    http::Refused,
};

/// `POST /v1/promote`
pub(super) fn promote(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let asked = call.body.whole()?;
    let asked = if asked.is_empty() { Ok(Promote::default()) } else { serde_json::from_slice(&asked) };
    let Promote { force } =
        asked.map_err(|error| Refused::bad(format!("the body is not as expected: {error}")))?;
    let lag_ms = call.service().upstream().and_then(|upstream| upstream.status().lag_ms);
    call.service().promote(force).map_err(|reason| Refused::new(409, reason))?;
    Ok(Answer::json(&Turned { role: Role::Master, lag_ms }))
}

/// `POST /v1/demote`
pub(super) fn demote(call: &mut Call<'_>) -> Result<Answer, Refused> {
    call.service().demote().map_err(|reason| Refused::new(409, reason))?;
    Ok(Answer::json(&Turned { role: Role::Replica, lag_ms: None }))
}
