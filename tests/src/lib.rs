//! What the tests of the mupdate workspace are made of.
//!
//! - [`script`] and [`player`]: transcripts, which say what clients do and are played on a
//!   [`player::Stage`];
//! - [`wire`] and [`deflate`]: the ruler they measure a server's octets with;
//! - [`world`]: a server in memory, around the bare core;
//! - [`simulation`]: whole murders around that world, drawn from seeds;
//! - [`daemon`]: the daemons as processes;
//! - [`cyrus_sasl`]: the programs of Cyrus SASL;
//! - [`tool`]: `mupdatectl` as a process;
//! - [`client`]: a blocking client, and [`tls`] for it;
//! - [`http`]: a client of the admin interface;
//! - [`history`]: what clients know, and whether what is found afterwards can be;
//! - [`load`]: clients that put a daemon under load until it ends;
//! - [`powercut`]: what power cuts leave of a store, and what it has to hold then;
//! - [`preload`]: directories that are full from the start;
//! - [`shim`]: faults under a daemon, on demand;
//! - [`notify`]: a service manager, as far as a daemon sees of it.

pub mod client;
pub mod cyrus_sasl;
pub mod daemon;
pub mod deflate;
pub mod history;
pub mod http;
pub mod load;
pub mod notify;
pub mod player;
pub mod powercut;
pub mod preload;
pub mod script;
pub mod shim;
pub mod simulation;
pub mod tls;
pub mod tool;
pub mod wire;
pub mod world;

/// Makes each test twice, once for each daemon: `on_both_daemons!(name, ...)` calls `fn name(kind: Kind)`.
#[macro_export]
macro_rules! on_both_daemons {
    ($($test:ident),* $(,)?) => {
        mod mupdated {
            $(#[test] fn $test() { super::$test($crate::daemon::Kind::Smol); })*
        }
        mod mupdated_sync {
            $(#[test] fn $test() { super::$test($crate::daemon::Kind::Sync); })*
        }
    };
}
