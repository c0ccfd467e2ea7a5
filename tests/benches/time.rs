//! How long the pieces take that every command goes through: `just bench-micro`.

mod work;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mupdate_core::directory::Order;

fn pieces(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("64 mailboxes");
    group.throughput(Throughput::Elements(work::MAILBOXES as u64));
    let (commands, names, decisions) = (work::commands(), work::names(), work::decisions());
    group.bench_function("parse ACTIVATEs", |bencher| bencher.iter(|| work::parse(&commands)));
    group.bench_function("decide", |bencher| bencher.iter(|| work::decide_all(&decisions)));
    group.bench_function("v36 keys", |bencher| bencher.iter(|| work::keys(&names, Order::V36)));
    group.bench_function("dot keys", |bencher| bencher.iter(|| work::keys(&names, Order::Dot)));
    let mut out = BytesMut::new();
    group.bench_function("rows of a LIST", |bencher| bencher.iter(|| work::rows(&names, &mut out)));
    let writing = work::writing();
    group.bench_function("batch of the writer", |bencher| bencher.iter(|| work::write_batch(&writing)));
    group.finish();
}

criterion_group!(benches, pieces);
criterion_main!(benches);
