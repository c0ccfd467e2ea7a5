//! Who a peer says to be, on its way to being verified.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::warn;
use zeroize::Zeroizing;

use super::{Mechanism, shown};
use crate::users;

/// Who says to be whom.
#[derive(Clone)]
pub(super) struct Claim {
    /// In the form in which names are kept.
    pub user: String,
    /// As whom the user wants to act, if that is another.
    pub acting_as: Option<String>,
    pub mechanism: Mechanism,
    /// How the log names the connection.
    pub peer: Arc<str>,
    pub network: Option<IpAddr>,
}

/// A claim and the password that goes with it, which is wiped when this is dropped, and shown nowhere.
pub struct Credentials {
    pub(super) claim: Box<Claim>,
    pub(super) password: Zeroizing<Vec<u8>>,
}

/// `acting_as` as a mechanism gives it: who acts as himself acts as nobody else. `user` is in the form in which names are kept.
pub(super) fn another(user: &str, acting_as: Option<&str>) -> Option<String> {
    let name = acting_as.filter(|name| !name.is_empty())?;
    // What cannot be a name is nobody's, and nobody can act as it.
    let prepared = users::user_name(name).map_or_else(|_| name.to_owned(), String::from);
    (prepared != user).then_some(prepared)
}

impl Claim {
    pub fn warn(&self, reason: &str) {
        let Self { user, acting_as, mechanism, peer, .. } = self;
        let acting_as = acting_as.as_deref().map(shown);
        warn!(user = %shown(user), acting_as, %peer, mechanism = mechanism.name(), reason, "login refused");
    }
}

impl Credentials {
    /// Who it says to be.
    pub fn user(&self) -> &str {
        &self.claim.user
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, acting_as, mechanism, peer, network: _ } = self;
        f.debug_struct("Claim")
            .field("user", &shown(user))
            .field("acting_as", &acting_as.as_deref().map(shown))
            .field("mechanism", &mechanism.name())
            .field("peer", peer)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("claim", &self.claim).finish_non_exhaustive()
    }
}
