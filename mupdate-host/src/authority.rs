//! Who decides what becomes of an action.
//!
//! The writer carries actions to the [`Authority`] inside its transaction. That is [`Local`] where this daemon decides for
//! itself, and [`Following`] where another does, whose decisions come as [edits](crate::writer::Job::Edits). An operator
//! can put one in the place of the other while the daemon serves: see [`Standing`].

use std::str::FromStr;

use mupdate_core::directory::{Action, Batch, Policy, Speaker};
use mupdate_proto::Role;

use crate::{
    config::AuthorityKind,
    store::{StoreError, WriteTxn},
};

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

/// Another MUPDATE server decides.
#[derive(Debug, Clone)]
pub struct Following {
    /// What the banner says of it, as in `mupdate://master.example.org`.
    pub url: String,
}

impl Authority for Following {
    fn role(&self) -> Role {
        Role::Replica(self.url.clone())
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
        debug_assert!(false, "the writer asks nobody who is not writable");
        let nobody = Speaker { role: &mupdate_core::directory::PeerRole::None, ..speaker };
        batch.stage(txn, action, nobody, policy, who)
    }
}

/// What an operator has made of a daemon by promoting or demoting it, as the store remembers it.
///
/// It counts as long as the configuration says what it said then: a changed `authority` is a newer word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it is to be.
    pub is: AuthorityKind,
    /// What the configuration said.
    pub configured: AuthorityKind,
}

impl Standing {
    /// Under which name the store has it.
    pub const NAME: &'static str = "standing";

    /// What a daemon is that is configured so.
    pub fn of(configured: AuthorityKind, remembered: Option<Self>) -> AuthorityKind {
        match remembered {
            Some(standing) if standing.configured == configured => standing.is,
            _ => configured,
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.is.name(), self.configured.name())
    }
}

impl FromStr for Standing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let kind = |word| AuthorityKind::ALL.into_iter().find(|kind| kind.name() == word).ok_or(());
        let (is, configured) = text.split_once(' ').ok_or(())?;
        Ok(Self { is: kind(is)?, configured: kind(configured)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_decided_counts_until_the_configuration_says_otherwise() {
        let [local, upstream] = AuthorityKind::ALL;
        let promoted = Standing { is: local, configured: upstream };
        assert_eq!(promoted.to_string().parse(), Ok(promoted));
        assert_eq!("master".parse::<Standing>(), Err(()));
        assert_eq!(Standing::of(upstream, Some(promoted)), local);
        assert_eq!(Standing::of(local, Some(promoted)), local);
        let demoted = Standing { is: upstream, configured: local };
        assert_eq!(Standing::of(local, Some(demoted)), upstream);
        assert_eq!(Standing::of(upstream, Some(demoted)), upstream);
        assert_eq!(Standing::of(upstream, None), upstream);
    }
}
