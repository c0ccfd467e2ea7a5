//! Who decides what becomes of an action.
//!
//! The writer carries actions to the [`Authority`] inside its transaction. Today that is [`Local`]: this daemon decides
//! for itself. The seam is here for others, which would follow somebody else's decisions into the
//! same mirror.

use mupdate_core::directory::{Action, Batch, Policy, Speaker};
use mupdate_proto::Role;

use crate::store::{StoreError, WriteTxn};

/// Decides actions, one after the other, in the writer's transaction.
pub trait Authority: Send {
    /// What this daemon is to its clients: the master, or a read-only replica of one.
    fn role(&self) -> Role;

    /// May clients change the directory here?
    fn writable(&self) -> bool {
        matches!(self.role(), Role::Master)
    }

    /// Decide an action of `speaker` and carry it out in `txn`. `batch` keeps the verdict until the transaction is durable; `who`
    /// is whom it is for.
    ///
    /// # Errors
    /// The store failed; the whole transaction has to be given up.
    fn decide(
        &mut self,
        txn: &mut WriteTxn<'_>,
        batch: &mut Batch<usize>,
        action: &Action,
        speaker: Speaker<'_>,
        policy: Policy,
        who: usize,
    ) -> Result<(), StoreError>;
}

/// This daemon is the master and decides by the rules of the core.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Authority for Local {
    fn role(&self) -> Role {
        Role::Master
    }

    fn decide(
        &mut self,
        txn: &mut WriteTxn<'_>,
        batch: &mut Batch<usize>,
        action: &Action,
        speaker: Speaker<'_>,
        policy: Policy,
        who: usize,
    ) -> Result<(), StoreError> {
        batch.stage(txn, action, speaker, policy, who)
    }
}
