//! The writer and everything around it under shuttle: the real code, on a real store, in very many interleavings.
//!
//! `just model` runs this. A failure prints a schedule, and `shuttle::replay(model, schedule)` in place of `explore` runs
//! that one again. Shuttle's channels never time out: that notes are written after a while is tested in `tests/writer.rs`.
#![cfg(shuttle)]

mod answers;
mod bench;
#[path = "../common/mod.rs"]
mod common;
mod explore;
mod links;
mod pool;
mod stop;
mod streams;
