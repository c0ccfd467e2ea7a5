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

    /// Its address without the port, or `unix`.
    pub fn host(&self) -> impl fmt::Display {
        match self {
            Self::Internet(address) => Host::Address(address.ip().to_canonical()),
            Self::Unix => Host::Unix,
        }
    }

    /// The address that tells one remote machine from another; `None` for local peers, of which there may be several.
    pub fn remote_address(&self) -> Option<IpAddr> {
        match self {
            Self::Internet(address) if !self.is_local() => Some(address.ip().to_canonical()),
            Self::Internet(_) | Self::Unix => None,
        }
    }

    /// What counts as one address where addresses are counted: `ipv6_prefix` leading bits of IPv6, all of IPv4. `None`
    /// for local peers: a whole crowd may come through a proxy of this host.
    pub fn network(&self, ipv6_prefix: u8) -> Option<IpAddr> {
        self.remote_address().map(|address| match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(ip) => {
                let host_bits = 128_u32.saturating_sub(ipv6_prefix.into());
                IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0)).into())
            }
        })
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

/// A peer without a port.
enum Host {
    Address(IpAddr),
    Unix,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
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
        assert_eq!(
            (remote.host().to_string(), Peer::Unix.host().to_string()),
            ("192.0.2.7".into(), "unix".into())
        );
    }

    #[test]
    fn local_peers_have_no_address_to_be_known_by() {
        assert_eq!(internet("127.0.0.1:9").remote_address(), None);
        assert_eq!(Peer::Unix.remote_address(), None);
        assert!(Peer::Unix.is_local());
        assert_eq!((Peer::Unix.network(64), internet("[::1]:9").network(64)), (None, None));
    }

    #[test]
    fn a_network_is_a_prefix_of_ipv6_and_an_address_of_ipv4() {
        let network = |text: &str, prefix| internet(text).network(prefix).expect("remote").to_string();
        assert_eq!(network("192.0.2.7:1", 16), "192.0.2.7");
        assert_eq!(network("[::ffff:192.0.2.7]:1", 64), "192.0.2.7");
        assert_eq!(network("[2001:db8:1:2:3:4:5:6]:1", 64), "2001:db8:1:2::");
        assert_eq!(network("[2001:db8:1:2:3:4:5:6]:1", 48), "2001:db8:1::");
        assert_eq!(network("[2001:db8::1]:1", 128), "2001:db8::1");
        assert_eq!(network("[2001:db8::1]:1", 0), "::");
    }
}
