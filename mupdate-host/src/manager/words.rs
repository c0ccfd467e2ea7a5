//! How a daemon is, in a line for people.

use mupdate_proto::Role;

use crate::{admin::ready, service::Service};

/// What `systemctl status` shows of a daemon that serves.
pub(super) fn status(service: &Service) -> String {
    let role = match service.role() {
        Role::Master => "master".to_owned(),
        Role::Replica(url) => format!("replica of {url}"),
    };
    let connections = service.connections.count();
    let names = match service.store.names() {
        Ok(names) => format!("{names} mailbox names"),
        Err(_) => "the directory cannot be read".to_owned(),
    };
    let status = format!("{role}; {connections} connections; {names}");
    match ready::reasons(service).into_iter().next() {
        None => status,
        Some(reason) => format!("{status}; not ready: {}: {}", reason.part, reason.reason),
    }
}
