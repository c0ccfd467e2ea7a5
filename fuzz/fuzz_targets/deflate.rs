//! DEFLATE: streams of ours in any pieces, and bombs and garbage of others.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::deflate::harness::torn_streams(data));
