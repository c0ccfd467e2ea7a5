//! Both sessions keep their promises under arbitrary operations.

use mupdate_core::{client, server};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_server_under_any_operations(data in prop::collection::vec(any::<u8>(), 0..200)) {
        // Any instant will do: the session only sees differences.
        #[expect(clippy::disallowed_methods)]
        server::harness::operations(&data, std::time::Instant::now());
    }

    #[test]
    fn the_client_under_any_operations(data in prop::collection::vec(any::<u8>(), 0..200)) {
        client::harness::operations(&data);
    }
}
