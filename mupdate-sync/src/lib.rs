//! MUPDATE with blocking I/O: a thread per connection.
//!
//! The daemon `mupdated-sync` is this package's binary. Its library is the other end of such a connection: a
//! [`client`] that waits for its answers, for tools and tests.
#![forbid(unsafe_code)]

pub use mupdate_host::client;
