//! How many instructions the pieces take that every command goes through: `just instructions`.
//!
//! Unlike times, these are the same on a busy machine, so CI holds them to limits: some 15 % above what they were with the
//! release of Rust that rust-toolchain.toml names. Who makes one slower on purpose says why in the commit that raises it.
#![allow(missing_docs, reason = "gungraun's macros make public modules")]

mod work;

use bytes::{Bytes, BytesMut};
use gungraun::{Callgrind, EventKind, prelude::*};
use mupdate_core::directory::{Action, Change, Order, Record, Refusal};
use mupdate_proto::MailboxName;
use std::hint::black_box;

type Case = (Option<Record>, Action);

#[library_benchmark(config = at_most(247_000))]
#[bench::activations(work::commands())]
fn parse(octets: Bytes) -> usize {
    black_box(work::parse(&octets))
}

#[library_benchmark(config = at_most(43_000))]
#[bench::all(work::decisions())]
fn decide(cases: Vec<Case>) -> Vec<Result<Change, Refusal>> {
    black_box(work::decide_all(&cases))
}

#[library_benchmark(config = at_most(50_000))]
#[bench::v36(work::names(), Order::V36)]
#[bench::dot(work::names(), Order::Dot)]
fn keys(names: Vec<MailboxName>, order: Order) -> usize {
    black_box(work::keys(&names, order))
}

#[library_benchmark(config = at_most(71_000))]
#[bench::list(work::names(), BytesMut::with_capacity(64 << 10))]
fn rows(names: Vec<MailboxName>, mut out: BytesMut) -> usize {
    black_box(work::rows(&names, &mut out))
}

// With an entry of the journal for each change, which is a fifth of it.
#[library_benchmark(config = at_most(693_000))]
#[bench::empty_store(work::writing())]
fn batch(writing: work::Writing) -> (work::Writing, u64) {
    let changed = black_box(work::write_batch(&writing));
    (writing, changed)
}

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let callgrind = Callgrind::default().hard_limits([(EventKind::Ir, instructions)]).clone();
    LibraryBenchmarkConfig::default().tool(callgrind).clone()
}

library_benchmark_group!(name = pieces, benchmarks = [parse, decide, keys, rows, batch]);
main!(library_benchmark_groups = pieces);
