//! `GET /v1/doctor`: what an operator should look into.

use mupdate_proto::Role;

use super::{Answer, Call};
use crate::{
    admin::http::Refused,
    clock::now_millis,
    doctor::{Patient, examine},
    upstream::Upstream,
};

pub(super) fn doctor(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let (admin, service) = (call.admin, call.service());
    let up = admin.started.elapsed().unwrap_or_default();
    let upstream = service.upstream().filter(|_| service.role() != Role::Master).map(Upstream::status);
    let (store, pairs, data_dir) = (&service.store, &service.pairs, &admin.data_dir);
    let patient = Patient { store, pairs, data_dir, up, now_ms: now_millis(), upstream };
    Ok(Answer::json(&examine(&patient)?))
}
