//! A server's session under arbitrary operations: input, answers, time and layers in any order.
#![no_main]

use std::time::Instant;

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_core::server::harness::operations(data, Instant::now()));
