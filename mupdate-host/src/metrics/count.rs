//! Counters that nothing is decided by.

use std::sync::atomic::{AtomicU64, Ordering};

use mupdate_core::server::Reason;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a TLS handshake came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// A new session.
    Full,
    /// An earlier session went on.
    Resumed,
    /// There is no session.
    Failed,
}

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The peer said LOGOUT.
    Logout,
    /// The peer closed it, or is gone.
    ByPeer,
    /// What came could not be followed.
    Protocol,
    /// Something was sent ahead of a layer.
    Injected,
    /// Nobody logged in, or nobody spoke.
    TimedOut,
    /// Too many logins failed.
    LoginsFailed,
    /// The daemon ended it, in words.
    Farewell,
    /// The peer took nothing of what waited for it.
    Stalled,
    /// TLS or DEFLATE could not go on.
    Layer,
}

/// What links count.
#[derive(Debug, Default)]
pub struct LinkCounts {
    /// Octets that came from sockets, in steps: see `link/traffic.rs`.
    pub received: Counter,
    /// Octets that went to sockets.
    pub sent: Counter,
    /// Mailboxes that were hidden from `ctl_mboxlist -m`.
    pub guarded: Counter,
    /// Servers whose names came in another order than was known.
    pub order_mismatches: Counter,
    /// Logins that were right, but one connection of their user too many.
    pub crowded: Counter,
    handshakes: [Counter; Handshake::ALL.len()],
    closed: [Counter; Closed::ALL.len()],
}

impl Handshake {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::Resumed, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
        }
    }
}

impl Closed {
    pub(super) const ALL: [Self; 9] = [
        Self::Logout,
        Self::ByPeer,
        Self::Protocol,
        Self::Injected,
        Self::TimedOut,
        Self::LoginsFailed,
        Self::Farewell,
        Self::Stalled,
        Self::Layer,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::ByPeer => "by_peer",
            Self::Protocol => "protocol",
            Self::Injected => "injected",
            Self::TimedOut => "timed_out",
            Self::LoginsFailed => "logins_failed",
            Self::Farewell => "farewell",
            Self::Stalled => "stalled",
            Self::Layer => "layer",
        }
    }
}

impl From<&Reason> for Closed {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::Logout => Self::Logout,
            Reason::EndOfInput => Self::ByPeer,
            Reason::Protocol(_) => Self::Protocol,
            Reason::Injected(_) => Self::Injected,
            Reason::TimedOut(_) => Self::TimedOut,
            Reason::LoginsFailed => Self::LoginsFailed,
            Reason::Bye(_) => Self::Farewell,
        }
    }
}

impl LinkCounts {
    /// A handshake is over.
    pub fn shook(&self, how: Handshake) {
        self.handshakes[how as usize].one();
    }

    /// How many handshakes came out so.
    #[must_use]
    pub fn handshakes(&self, how: Handshake) -> u64 {
        self.handshakes[how as usize].get()
    }

    /// A connection has come to its end.
    pub fn ended(&self, why: Closed) {
        self.closed[why as usize].one();
    }

    /// How many connections have ended so.
    #[must_use]
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed[why as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_place_of_its_own() {
        let counts = LinkCounts::default();
        for (at, why) in Closed::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at);
            counts.ended(why);
            assert_eq!(counts.closed(why), 1, "{why:?}");
        }
        for (at, how) in Handshake::ALL.into_iter().enumerate() {
            assert_eq!(how as usize, at);
            counts.shook(how);
            assert_eq!(counts.handshakes(how), 1, "{how:?}");
        }
    }
}
