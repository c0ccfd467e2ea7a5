//! Who logs in how.

use super::{
    describe::{LOGINS, REMEMBERED},
    page::Page,
};
use crate::service::Service;

pub(super) fn collect(service: &Service, page: &mut Page) {
    let logins = page.family(&LOGINS);
    for (mechanism, outcome, count) in service.auth.outcomes() {
        logins.add([("mechanism", mechanism.into()), ("outcome", outcome.into())], count);
    }
    page.say(&REMEMBERED, service.auth.remembered());
}
