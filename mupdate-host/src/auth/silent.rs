//! Clients that leave without having tried to log in: most likely they know no mechanism that they were offered.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::expiring::Expiring;
use super::{Authenticator, Transport};
use crate::sync::{Mutex, lock};

/// How long an address is not told of again: health checks come and go without a login all the time.
const QUIET: Duration = Duration::from_secs(3600);

/// Addresses that are remembered for that.
const MANY: usize = 256;

/// Which addresses the log has been told of lately.
pub(super) struct Told(Mutex<Expiring<Option<IpAddr>>>);

impl Default for Told {
    fn default() -> Self {
        Self(Mutex::new(Expiring::new(MANY)))
    }
}

impl Told {
    /// Is it time to tell of this address? Then it has been told of.
    fn is_due(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let mut told = lock(&self.0);
        let due = told.get(&address, now).is_none();
        if due {
            told.set(address, now + QUIET, now);
        }
        due
    }
}

impl Authenticator {
    /// A client has left without a try. Says why, if it was offered less than it would be elsewhere: releases of Cyrus before
    /// 3.6 have no SCRAM, and end without a word where there is nothing else.
    pub(super) fn left_without_a_try(&self, transport: &Transport, peer: &str) {
        if self.passwords_allowed(transport) || !self.told.is_due(transport.network, Instant::now()) {
            return;
        }
        if self.mechanisms(transport).is_empty() {
            warn!(
                peer,
                "a client left, and could not have logged in: passwords need TLS, loopback or allow_plaintext, \
                         and no user has keys for SCRAM"
            );
        } else {
            info!(
                peer,
                "a client left without a try to log in: it was offered SCRAM alone, since passwords need TLS, \
                         loopback or allow_plaintext; Cyrus before 3.6 has no SCRAM"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_told_of_now_and_then() {
        let (told, now) = (Told::default(), Instant::now());
        let address = |last| Some(IpAddr::from([192, 0, 2, last]));
        assert!(told.is_due(address(1), now));
        assert!(told.is_due(address(2), now) && told.is_due(None, now));
        assert!(!told.is_due(address(1), now + QUIET / 2));
        assert!(told.is_due(address(1), now + QUIET));
    }
}
