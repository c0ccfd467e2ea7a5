//! Dumps and lists of Cyrus SASL databases: what is wrong is told by line, and what is read is written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::users::import::harness::text(data));
