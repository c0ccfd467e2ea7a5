//! The committed fuzz corpora, through the functions that the fuzz targets call: what a fuzzer has found once is tested ever after, with
//! nothing but stable Rust.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use mupdate_core::client::harness as client;
use mupdate_core::directory::harness as directory;
use mupdate_core::server::harness as server;
use mupdate_host::{admin, auth, config, deflate, users};
use mupdate_proto::harness as proto;

/// A fuzz target and what it calls.
type Target = (&'static str, fn(&[u8]));

/// Every file of `fuzz/fuzz_targets`.
const TARGETS: &[Target] = &[
    ("banners", proto::banner_round_trip),
    ("client", client::operations),
    ("commands", proto::command_round_trip),
    ("config", config::harness::file),
    ("deflate", deflate::harness::torn_streams),
    ("directory", directory::directory),
    ("framing", proto::chunking),
    ("dump", mupdate_host::dump::harness::list),
    ("http", admin::http::harness::connection),
    ("import", users::import::harness::text),
    ("orders", directory::order_keys),
    ("responses", proto::response_round_trip),
    ("sasl", proto::sasl),
    ("scram", auth::harness::scram),
    ("session", |data| server::operations(data, Instant::now())),
    ("users", users::harness::file),
];

#[test]
fn every_corpus_passes() {
    for (target, harness) in TARGETS {
        let mut inputs = entries(&format!("corpus/{target}"));
        assert!(!inputs.is_empty(), "the corpus of {target} is empty");
        inputs.sort();
        for input in inputs {
            let data = fs::read(&input).unwrap_or_else(|error| panic!("{}: {error}", input.display()));
            // Captured, and so shown only where the harness panics: which input it was.
            println!("{}", input.display());
            harness(&data);
        }
    }
}

#[test]
fn every_target_is_replayed() {
    let replayed: BTreeSet<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(replayed, names("fuzz_targets"), "TARGETS against fuzz/fuzz_targets");
    assert_eq!(replayed, names("corpus"), "TARGETS against fuzz/corpus");
    assert_eq!(replayed, names("options"), "TARGETS against fuzz/options");
}

fn names(folder: &str) -> BTreeSet<String> {
    entries(folder).iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// What is in a folder of `fuzz`.
fn entries(folder: &str) -> Vec<PathBuf> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "fuzz", folder].iter().collect();
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}
