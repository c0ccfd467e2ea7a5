//! The resources of the admin interface: a file each, and one [table](table::ROUTES) in which they stand.
//!
//! A handler is given a [`Call`] and returns an [`Answer`], or is [`Refused`](super::http::Refused). It runs on a thread of
//! the admin interface and may wait there, but holds no lock and no read transaction while it writes to its peer.

mod answer;
mod backup;
mod clients;
mod doctor;
mod drain;
mod events;
mod fuses;
mod hosts;
mod import;
mod journal;
mod live;
mod mailbox;
mod mailboxes;
mod metrics;
mod page;
mod pairs;
pub mod ready;
mod reservations;
mod role;
mod spool;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod undo;
mod watch;

pub use self::{
    answer::{Answer, Content},
    clients::client,
    status::status_of,
};
pub use super::server::Out;

use std::sync::Arc;

use self::table::{ROUTES, Route, Verb};
use super::{
    Admin,
    http::{Method, Refused, Request},
    server::{Body, Who},
};
use crate::service::Service;

/// What answers a request.
pub type Handler = fn(&mut Call<'_>) -> Result<Answer, Refused>;

/// A request on its way through a handler.
#[derive(Debug)]
pub struct Call<'a> {
    /// What it is about.
    pub admin: &'a Arc<Admin>,
    /// The request; its parameters are among those that the table names.
    pub request: &'a Request,
    /// Who asks.
    pub who: &'a Who,
    /// What stands in the path where the table has `{}`, as it was sent.
    pub parameter: Option<&'a str>,
    /// What was sent along.
    pub body: Body<'a>,
}

impl Call<'_> {
    /// The directory and all around it.
    pub fn service(&self) -> &Arc<Service> {
        &self.admin.service
    }
}

/// A route, and what stands in its place for a parameter.
#[derive(Debug)]
pub(super) struct Match<'a> {
    pub(super) route: &'static Route,
    pub(super) parameter: Option<&'a str>,
}

/// The route of a request.
///
/// # Errors
/// There is none: 404, or 405 if it is there for other methods.
pub(super) fn find(request: &Request) -> Result<Match<'_>, Answer> {
    let verb = match request.method {
        Method::Get | Method::Head => Some(Verb::Get),
        Method::Post => Some(Verb::Post),
        Method::Other(_) => None,
    };
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(parameter) = matches(route.path, &request.path) else { continue };
        if Some(route.verb) == verb {
            return Ok(Match { route, parameter });
        }
        allowed.push(match route.verb {
            Verb::Get => "GET, HEAD",
            Verb::Post => "POST",
        });
    }
    if allowed.is_empty() {
        return Err(Refused::missing("there is no such resource; docs/admin.md lists all").into());
    }
    let allowed = allowed.join(", ");
    let mut answer = Answer::from(Refused::new(405, format!("only {allowed} is answered here")));
    answer.fields.push(("Allow", allowed));
    Err(answer)
}

/// Whether a path is that of a route, in which `{}` stands for one part of it; what it stands for.
fn matches<'a>(route: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, behind)) = route.split_once("{}") else {
        return (route == path).then_some(None);
    };
    let part = path.strip_prefix(before)?.strip_suffix(behind)?;
    (!part.is_empty() && !part.contains('/')).then_some(Some(part))
}
