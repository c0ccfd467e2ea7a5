//! Power cuts: what can be left of a store's files, made from a journal of their writes and syncs, and whether the store
//! comes up again from that with what it has to hold.
//!
//! - [`journal`]: what the shim writes down, and what the program beside it has to say;
//! - [`disk`]: a disk that does what the journal says, and may lose whatever was not synced;
//! - [`changes`]: changes drawn from a seed, and the directory that they make;
//! - [`writer`]: the program that makes them, under the shim;
//! - [`trial`]: thousands of cuts through what it did.

pub mod changes;
pub mod disk;
pub mod journal;
pub mod trial;
pub mod writer;
