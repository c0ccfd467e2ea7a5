//! The server's session keeps its promises under arbitrary operations.

use mupdate_core::server::harness;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_operations(data in prop::collection::vec(any::<u8>(), 0..200)) {
        // Any instant will do: the session only sees differences.
        #[expect(clippy::disallowed_methods)]
        harness::operations(&data, std::time::Instant::now());
    }
}
