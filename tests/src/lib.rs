//! What the tests of the mupdate workspace are made of.
//!
//! - [`script`] and [`player`]: transcripts, which say what clients do and are played on a
//!   [`player::Stage`];
//! - [`wire`] and [`deflate`]: the ruler they measure a server's octets with;
//! - [`world`]: a server in memory, around the bare core;
//! - [`daemon`]: the daemons as processes.

pub mod daemon;
pub mod deflate;
pub mod player;
pub mod script;
pub mod wire;
pub mod world;
