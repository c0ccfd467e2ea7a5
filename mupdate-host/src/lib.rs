//! In the making.

pub mod inbox;
