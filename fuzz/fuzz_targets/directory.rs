//! Actions against the directory and against a plain model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_core::directory::harness::directory(data));
