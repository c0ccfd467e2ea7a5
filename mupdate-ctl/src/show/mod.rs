//! How things are shown: to people as tables and lines, to programs as JSON.

pub mod out;
pub mod table;
pub mod text;
pub mod time;

pub use out::Out;
pub use table::Table;
pub use time::Clock;
