//! In the making.
#![deny(unsafe_code)]

pub mod inbox;
pub mod config;
pub mod exit;
pub mod logging;
pub mod authority;
pub mod feeds;
pub mod store;
pub mod writer;
pub mod auth;
pub mod cli;
pub mod login_cache;
pub mod password_pool;
pub mod scram;
pub mod users;
pub mod connections;
pub mod daemon;
pub mod deflate;
pub mod link;
pub mod listen;
pub mod service;
