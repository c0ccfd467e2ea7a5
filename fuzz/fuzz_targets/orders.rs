//! The three orders of names: exact keys, and what they put at risk.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_core::directory::harness::order_keys(data));
