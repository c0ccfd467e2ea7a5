//! `GET /v1/doctor`: what an operator should look into.

use super::{Answer, Call};
use crate::{
    admin::http::Refused,
    doctor::{Patient, examine},
};

pub(super) fn doctor(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let (admin, service) = (call.admin, call.service());
    let up = admin.started.elapsed().unwrap_or_default();
    let patient = Patient { store: &service.store, pairs: &service.pairs, data_dir: &admin.data_dir, up };
    Ok(Answer::json(&examine(&patient)?))
}
