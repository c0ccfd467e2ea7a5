//! Users files: one form of each name, and changes that leave the others alone.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::users::harness::file(data));
