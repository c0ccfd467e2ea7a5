//! The core of a MUPDATE server (RFC 3656): who may say what, and who owns which mailbox name.
//!
//! # In scope
//! - [`server`], [`client`]: the two ends of a connection as state machines: octets in, octets and requests
//!   out.
//! - [`directory`]: the ownership rules, batches whose replies can't be read before they are durable, feeds
//!   of UPDATE subscribers, the orders of Cyrus's releases.
//!
//! # Not in scope
//! - Octets on the wire: that is `mupdate-proto`.
//! - Sockets, files, TLS, SASL mechanisms, clocks, randomness: time is passed in, the rest is asked of the
//!   runtime.
//!
//! # Example
//! ```
//! use mupdate_core::directory::{Action, Batch, MemoryView, Policy, Speaker};
//! use mupdate_proto::{Location, MailboxName};
//!
//! let mut view = MemoryView::new();
//! let mut batch = Batch::new(view.revision());
//! let action = Action::Reserve {
//!     mailbox: MailboxName::new("user.jane").unwrap(),
//!     location: Location::new("be1.example.org!default").unwrap(),
//! };
//! let Ok(()) = batch.stage(&mut view, &action, Speaker::TRUSTED, Policy::Standard, "jane's backend");
//! let sealed = batch.seal();
//! // ... commit the transaction; only now is there anything to answer ...
//! let revision = sealed.revision();
//! let durable = sealed.durable(revision);
//! assert_eq!(durable.verdicts, [("jane's backend", Ok(()))]);
//! assert_eq!(durable.events.len(), 1);
//! ```
#![forbid(unsafe_code)]

pub mod client;
pub mod directory;
pub mod server;
