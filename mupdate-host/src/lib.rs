//! In the making.
#![deny(unsafe_code)]

pub mod auth;
pub mod authority;
pub mod cli;
pub mod config;
pub mod connections;
pub mod daemon;
pub mod deflate;
pub mod exit;
pub mod feeds;
pub mod inbox;
pub mod link;
pub mod listen;
pub mod logging;
pub mod login_cache;
pub mod password_pool;
pub mod scram;
pub mod service;
pub mod store;
pub mod users;
pub mod writer;
