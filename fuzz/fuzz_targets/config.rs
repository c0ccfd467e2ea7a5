//! Configuration files: every complaint has its line, and what is printed reads the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::config::harness::file(data));
