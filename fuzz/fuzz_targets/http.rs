//! Requests to the admin interface: the same in any pieces, and bounded.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::admin::http::harness::connection(data));
