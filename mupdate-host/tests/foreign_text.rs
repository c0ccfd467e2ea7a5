//! What comes from outside and is not the protocol: DEFLATE, the users file, the configuration.

use mupdate_host::{config, deflate, users};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deflate_streams_may_be_torn_or_anything_else(data in vec(any::<u8>(), 0..200)) {
        deflate::harness::torn_streams(&data);
    }

    #[test]
    fn a_users_file_may_hold_anything(text in "\\PC{0,20}\n(\\PC{0,5}|[a-c:#$= ]{0,9}|\n){0,9}") {
        users::harness::file(text.as_bytes());
    }

    #[test]
    fn a_configuration_may_hold_anything(text in "(\\PC{0,5}|\n|=|log|listen|\\[|\\]|\"|line|limits|[0-9]{1,5}){0,20}") {
        config::harness::file(text.as_bytes());
    }
}
