//! SASL lines and base64: one way to write, one way to read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_proto::harness::sasl(data));
