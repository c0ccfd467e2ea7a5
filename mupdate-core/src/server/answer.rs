//! Tagged answers and the banner, as octets.

use bytes::BytesMut;
use mupdate_proto::{Banner, CompressLines, Malformed, Response, Status, Tag, Verb};

use super::{ServerConfig, ServerSession, Task};

/// `tag STATUS "text"`, or with `*` for want of a tag.
pub(super) fn status(out: &mut BytesMut, tag: Option<&Tag>, status: Status, text: &str) {
    Response::Status { tag: tag.map(Tag::as_bytes), status, text: text.as_bytes() }.encode(out);
}

/// What is wrong with a command that could be framed but not understood.
pub(super) fn malformed(out: &mut BytesMut, malformed: &Malformed) {
    status(out, malformed.tag.as_ref(), malformed.status(), &malformed.to_string());
}

/// Names and locations that no store could keep are refused before anything is asked for.
pub(super) fn over_limit(verb: &Verb, config: &ServerConfig) -> Option<&'static str> {
    let (mailbox, location) = match verb {
        Verb::Reserve { mailbox, location }
        | Verb::Activate { mailbox, location, .. }
        | Verb::Deactivate { mailbox, location } => (mailbox, Some(location)),
        Verb::Delete { mailbox } | Verb::Find { mailbox } => (mailbox, None),
        _ => return None,
    };
    if mailbox.as_bytes().len() > config.name_limit {
        Some("mailbox name is too long")
    } else if location.is_some_and(|location| location.as_bytes().len() > config.location_limit) {
        Some("location is too long")
    } else {
        None
    }
}

impl ServerSession {
    /// The banner for the facts of now (RFC 3656 section 3.9).
    pub(super) fn banner(&self, out: &mut BytesMut) {
        Banner {
            mechanisms: self.facts.mechanisms.clone(),
            starttls: self.facts.starttls && !self.facts.tls,
            compress: if self.facts.compressed { CompressLines::None } else { self.config.compress },
            partial_update: true,
            host: self.config.host.clone(),
            software: self.config.software.clone(),
            version: self.config.version.clone(),
            role: self.config.role.clone(),
        }
        .encode(out);
    }

    /// The `* BYE` that is due, where the reason has one.
    pub(super) fn say_bye(&mut self, out: &mut BytesMut) {
        let Some(reason) = self.farewell.take() else { return };
        if let Some(text) = reason.farewell() {
            status(out, None, Status::Bye, text);
        }
        self.task = Task::Closed(reason);
    }
}
