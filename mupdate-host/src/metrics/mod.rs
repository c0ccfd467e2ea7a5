//! What a daemon tells of itself to Prometheus: counts, sizes and times, as a page of text.
//!
//! - What is counted is counted where it happens, by additions that nothing is decided by: one or two a command. The clock
//!   is read once or twice a commit. Whatever the parts know anyway is asked for when a page is wanted.
//! - A page never holds the writer up: it is one short read transaction, and locks that are held for moments.
//! - Its length has a bound, whatever peers call themselves: see [`describe::SERVERS`] and [`describe::CLIENTS`].
//!
//! `docs/metrics.md` has the table of them all; a test holds it to [`ALL`].

mod command;
mod connection;
mod count;
pub mod describe;
mod directory;
mod histogram;
mod login;
mod page;
mod pair;
mod process;
mod room;
mod stream;
#[cfg(test)]
mod tests;
mod trust;
mod upstream;
mod writer;

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use mupdate_core::server::Answers;

use self::page::Page;
pub use self::{
    count::{Closed, Counter, Handshake, LinkCounts},
    describe::{ALL, Metric},
    histogram::Histogram,
};
use crate::service::Service;

/// What is counted for all connections together.
#[derive(Debug)]
pub struct Metrics {
    started: SystemTime,
    program: OnceLock<&'static str>,
    /// How commands were answered.
    pub answers: Arc<Answers>,
    /// What links have seen.
    pub links: LinkCounts,
}

/// The form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// The text format 0.0.4, which everything else can read.
    Text,
}

impl Metrics {
    /// Which program this is, for the page.
    pub fn set_program(&self, program: &'static str) {
        let _ = self.program.set(program);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            program: OnceLock::new(),
            answers: Arc::default(),
            links: LinkCounts::default(),
        }
    }
}

impl Format {
    /// The form that a client wants whose request has this `Accept` header.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if open { Self::OpenMetrics } else { Self::Text }
    }

    /// What the `Content-Type` header says of it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_client::encoding::prometheus_text::CONTENT_TYPE,
        }
    }
}

/// How the daemon is now, as text.
#[must_use]
pub fn render(service: &Service, format: Format) -> String {
    let mut page = Page::default();
    let now = Instant::now();
    process::collect(service, &mut page);
    upstream::collect(service, &mut page);
    directory::collect(service, &mut page);
    command::collect(service, &mut page);
    writer::collect(service, &mut page);
    stream::collect(service, now, &mut page);
    connection::collect(service, &mut page);
    login::collect(service, &mut page);
    trust::collect(service, &mut page);
    pair::collect(service, &mut page);
    room::collect(service, &mut page);
    page.encode(format)
}
