//! A murder in memory: the real core with replicated pairs, single backends and frontends around it, on a network that
//! delays, reorders, stalls and cuts, with a clock of its own and a server that can die at any moment.
//!
//! [`Plan::draw`] makes a plan of a seed, [`simulate`] plays it. Checked at every step:
//! - a name has one owner, and what becomes durable follows from what was durable before;
//! - what a backend is told is durable: an OK means that what it asked for was so at some revision between question
//!   and answer, a NO that its reason was;
//! - nothing that a replica repeats takes an active mailbox away from users, but for the exception that the protocol
//!   leaves open: a deletion repeated after the leader has made the mailbox anew (counted, and shown to heal);
//! - where principals have roles, nobody takes an active mailbox away from users of another server;
//! - a dump has every mailbox that was there all the time; a stream never goes back; after NOOP a frontend is current;
//! - `ctl_mboxlist -m` never finds at its own server what its list did not have in its place.
//!
//! - what a replica of the server has is, name by name, what the server had when the last proof was asked for, or later.
//!
//! A replica can take the server's place at any moment, whatever has not come to it by then; then backends tell it what they
//! hold, as an operator would have them.
//!
//! And when everything has come to rest: every frontend has what the server has, and the server has what the leading
//! members hold, and so has the replica: without `ctl_mboxlist -m` where nothing was cut short, after it where something was.

mod backend;
mod caller;
mod ends;
mod figures;
mod follower;
mod frontend;
mod history;
mod judge;
mod mailboxes;
mod network;
mod plan;
mod principals;
mod promotion;
mod rest;
mod run;
mod shrink;

pub use self::{
    figures::Figures,
    plan::{Deed, FrontendPlan, GroupPlan, Plan, What},
    principals::Principals,
    run::{Violation, narrate, simulate},
    shrink::shrink,
};
