//! In the making.

pub mod inbox;
pub mod config;
pub mod exit;
pub mod logging;
