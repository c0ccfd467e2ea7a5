//! A client's session under arbitrary operations: commands, and anything that a server may say.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_core::client::harness::operations(data));
