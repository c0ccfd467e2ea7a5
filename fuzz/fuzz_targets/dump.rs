//! Lists of mailboxes, as Cyrus's releases and we write them: what is wrong is told by row, and what is read is written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_host::dump::harness::list(data));
