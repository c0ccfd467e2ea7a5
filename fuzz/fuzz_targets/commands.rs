//! Commands survive being written and read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mupdate_proto::harness::command_round_trip(data));
