//! What a SCRAM client may say: whoever knows the password is let in, and nobody else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::auth::harness::scram(data));
