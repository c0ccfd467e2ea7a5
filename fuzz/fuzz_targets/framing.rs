//! Any octets, in any pieces: the same frames, and parsers that do not panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_proto::harness::chunking(data));
