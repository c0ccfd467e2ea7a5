//! What the admin interface says and takes, as JSON: one set of types for the daemons, which write it, and
//! [`mupdatectl`](https://docs.rs/mupdate-ctl), which reads it. `docs/admin.md` lists the resources.
//!
//! - Times are milliseconds since 1970 (UTC), in fields whose names end in `_ms`; spans too, unless their name says otherwise.
//! - A field that says nothing is left out. New fields may come with any release: readers pass over what they do not know.
//! - Lists that can be as long as the directory come as JSON Lines: one object a line.

mod clients;
mod directory;
mod doctor;
mod fuses;
mod import;
mod journal;
mod pairs;
mod role;
mod state;
mod status;
mod text;

pub use clients::{Client, Doing, Stream};
pub use directory::{Drain, Host, HostOrder, Mailbox, MailboxState, OrderSource, Partition};
pub use doctor::{Finding, Severity};
pub use fuses::{Fuse, ReleaseFuse};
pub use import::Imported;
pub use journal::{Deed, Entry, Release, Released, Reservation, Undo, UndoRequest, What};
pub use pairs::{Lag, Pair, Pairs, Speaker};
pub use role::{Promote, Turned};
pub use state::{HostBrief, Minutes, Refused, State};
pub use status::{MapUse, Part, Role, Status, Upstream, UpstreamState, WriterCounts};
pub use text::Text;

use serde::{Deserialize, Serialize};

/// What stands in the body of every answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line: what is wrong, and what to do.
    pub error: String,
}
