//! Who is at the other end of a connection.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The address of a connection's peer, and what it means for trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An internet address.
    Internet(SocketAddr),
    /// A unix socket of this machine: whoever may open its file.
    Unix,
}

impl Peer {
    /// Nothing leaves this machine on the way to this peer.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Internet(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix => true,
        }
    }

    /// The address that tells one remote machine from another; `None` for local peers, of which there may be several.
    pub fn remote_address(&self) -> Option<IpAddr> {
        match self {
            Self::Internet(address) if !self.is_local() => Some(address.ip().to_canonical()),
            Self::Internet(_) | Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => {
                write!(f, "{}:{}", Bracketed(address.ip().to_canonical()), address.port())
            }
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// An address as it stands before a port.
struct Bracketed(IpAddr);

impl fmt::Display for Bracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn internet(text: &str) -> Peer {
        Peer::Internet(text.parse().expect("an address"))
    }

    #[test]
    fn mapped_addresses_are_what_they_stand_for() {
        assert!(internet("[::ffff:127.0.0.1]:1").is_local());
        let remote = internet("[::ffff:192.0.2.7]:1");
        assert_eq!(remote.remote_address(), Some("192.0.2.7".parse().expect("an address")));
        assert_eq!(remote.to_string(), "192.0.2.7:1");
        assert_eq!(internet("[2001:db8::1]:2").to_string(), "[2001:db8::1]:2");
    }

    #[test]
    fn local_peers_have_no_address_to_be_known_by() {
        assert_eq!(internet("127.0.0.1:9").remote_address(), None);
        assert_eq!(Peer::Unix.remote_address(), None);
        assert!(Peer::Unix.is_local());
    }
}
