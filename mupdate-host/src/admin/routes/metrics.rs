//! `GET /metrics`: how the daemon is, for Prometheus.

use super::{Answer, Call};
use crate::{
    admin::http::Refused,
    metrics::{self, Format},
};

/// In the form that is asked for.
pub(super) fn metrics(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let format = Format::accepted(call.request.accept.as_deref());
    Ok(Answer::text(format.content_type(), metrics::render(call.service(), format)))
}
