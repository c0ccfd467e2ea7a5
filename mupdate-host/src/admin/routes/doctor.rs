//! `GET /v1/doctor`: what an operator should look into.

use mupdate_proto::Role;

use super::{Answer, Call};
use crate::{
    admin::http::Refused,
    doctor::{Patient, examine},
    upstream::Upstream,
};

pub(super) fn doctor(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let (admin, service) = (call.admin, call.service());
    let up = admin.started.elapsed().unwrap_or_default();
    let upstream = service.upstream().filter(|_| service.role() != Role::Master).map(Upstream::status);
    let patient =
        Patient { store: &service.store, pairs: &service.pairs, data_dir: &admin.data_dir, up, upstream };
    Ok(Answer::json(&examine(&patient)?))
}
