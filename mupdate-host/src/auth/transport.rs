//! What is known of a connection when its peer logs in.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::External;

/// How a peer is connected, as far as logins are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transport {
    /// The peer is on this host: a loopback address or a Unix socket.
    pub loopback: bool,
    /// What counts as one address, if it is another host's: [`Peer::network`](crate::link::Peer::network).
    pub network: Option<IpAddr>,
    /// The connection is encrypted, and this is known of it.
    pub tls: Option<Arc<TlsFacts>>,
}

impl Transport {
    /// Nobody else can read what is sent.
    pub fn is_private(&self) -> bool {
        self.loopback || self.tls.is_some()
    }
}

/// What a login can rest on once TLS is in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Protocol and cipher suite, for the log.
    pub suite: String,
    /// The channel binding `tls-server-end-point` (RFC 5929 section 4.1): a hash of our certificate.
    pub server_end_point: Option<Vec<u8>>,
    /// The channel binding `tls-exporter` (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// Who the peer is, by a certificate that was verified.
    pub client: Option<ClientCertificate>,
}

/// The names in a client's certificate, once a trusted authority has been found to vouch for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The last common name of the subject.
    pub common_name: Option<String>,
    /// The host names among the alternative names, in their sequence.
    pub dns_names: Vec<String>,
    /// The mail addresses among the alternative names, in their sequence.
    pub mail_addresses: Vec<String>,
}

impl ClientCertificate {
    /// What can be the user's name by this rule, the first choice first.
    pub(super) fn names(&self, rule: External) -> Vec<String> {
        match rule {
            External::Off => Vec::new(),
            External::CommonName => self.common_name.iter().cloned().collect(),
            External::DnsName => self.dns_names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            External::Mail => self.mail_addresses.clone(),
        }
    }
}
