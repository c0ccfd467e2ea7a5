//! What both daemons share, and neither the wire nor the core may know: the LMDB store and its one writer, feeds,
//! logins, configuration, the command line, and the link between a socket and its session.
//!
//! Out of scope: sockets that move octets, executors and threads per connection. Those are the daemons.
#![deny(unsafe_code)]

pub mod admin;
pub mod auth;
pub mod authority;
pub mod cli;
pub mod client;
mod clock;
pub mod config;
pub mod connections;
pub mod daemon;
pub mod deflate;
pub mod doctor;
pub mod dump;
pub mod exit;
pub mod feeds;
#[cfg(test)]
mod fixture;
pub mod fuses;
pub mod history;
pub mod inbox;
pub mod link;
pub mod listen;
pub mod logging;
pub mod login_cache;
pub mod manager;
pub mod metrics;
pub mod pace;
pub mod pairs;
pub mod password_pool;
pub mod permits;
pub mod privileges;
mod room;
pub mod scram;
pub mod service;
mod shorten;
pub mod store;
mod sync;
pub mod tally;
pub mod tls;
pub mod upstream;
pub mod users;
pub mod wake;
pub mod writer;
