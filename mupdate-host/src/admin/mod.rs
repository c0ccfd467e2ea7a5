//! The admin interface: what an operator sees of a running daemon, and does to it.
//!
//! ```text
//!   [admin] ──listeners──▶ server: a few threads of its own ──http──▶ routes: a table ──▶ the store, the writer, ...
//! ```
//!
//! The same for both daemons, and no part of their runtimes: it has threads of its own, few and bounded, that wait for
//! their peers themselves. Mail goes on whatever happens here.

pub mod api;
mod board;
pub mod http;
mod listeners;
mod routes;
mod server;

pub use self::{
    board::Board,
    listeners::AdminListeners,
    routes::{Answer, Call, Handler, Out, ready},
    server::{AdminServer, Who},
};

pub(crate) use self::listeners::resolved;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::service::Service;

/// What the admin interface is about.
#[derive(Debug)]
pub struct Admin {
    /// The directory and all around it.
    pub service: Arc<Service>,
    /// The program's name.
    pub program: &'static str,
    /// Where the database and the files of fuses are.
    pub data_dir: PathBuf,
    /// When it began to serve.
    pub started: SystemTime,
    /// What its status page shows.
    pub board: Board,
}

/// Milliseconds since 1970, as [`api`] has times.
pub fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
