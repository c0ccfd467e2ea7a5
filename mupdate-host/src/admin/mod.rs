//! The admin interface: what an operator sees of a running daemon, and does to it.

pub mod api;
