//! HTTP/1.1 (RFC 9110, RFC 9112) without its sockets: octets in, requests out; answers in, octets out.
//!
//! - [`Reader`] takes octets in any pieces. It holds one head, and of a body only what was pushed and not taken: whoever
//!   pushes no more than a piece while there is something to take has bounded it.
//! - Nothing that a peer sends panics, is scanned twice, or is understood in two ways: a request whose length could be
//!   read otherwise by somebody before us is refused, and its connection closed.
//! - Requests have bodies of a known length; answers may be endless (chunked, or until the connection's end for HTTP/1.0).

mod date;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod query;
mod reader;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use self::{
    query::Query,
    reader::{HEAD, Reader},
    request::{Method, Request},
    response::{CONTINUE, Framing, Head, chunk, last_chunk},
};

/// A request that cannot be answered as its sender had hoped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status code.
    pub status: u16,
    /// One line: what is wrong, and what to do.
    pub error: String,
}

impl Refused {
    /// With this status, for this reason.
    pub fn new(status: u16, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// 400: the request makes no sense.
    pub fn bad(error: impl Into<String>) -> Self {
        Self::new(400, error)
    }

    /// 404: there is no such thing.
    pub fn missing(error: impl Into<String>) -> Self {
        Self::new(404, error)
    }
}
