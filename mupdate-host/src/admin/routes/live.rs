//! `GET /livez`: the process is there, and answers. It reads nothing, so what is wrong with the disk is not seen here.

use super::{Answer, Call};
use crate::admin::http::Refused;

/// Always `ok`.
pub(super) fn livez(_call: &mut Call<'_>) -> Result<Answer, Refused> {
    Ok(Answer::text("text/plain; charset=utf-8", "ok\n"))
}
