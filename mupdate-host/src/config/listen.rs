//! Where a daemon listens: an address and port, or a Unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port that RFC 3656 registers for MUPDATE.
pub const MUPDATE_PORT: u16 = 3905;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenAddr {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket at this path; its peers count as loopback.
    Unix(PathBuf),
}

impl ListenAddr {
    /// Nobody outside this host can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(addr) => addr.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddr {
    type Err = String;

    /// A text with a slash is the path of a Unix socket, anything else an address, with [`MUPDATE_PORT`] where no
    /// port is said.
    ///
    /// # Errors
    /// A text that says what is allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            // sun_path holds 108 octets on Linux and 104 elsewhere, with the final NUL.
            return match text.len() {
                ..=103 => Ok(Self::Unix(PathBuf::from(text))),
                _ => Err("allowed: a socket's path of at most 103 octets".into()),
            };
        }
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Ok(Self::Tcp(addr));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Tcp(SocketAddr::new(ip, MUPDATE_PORT)));
        }
        if let Some(port) = text.strip_prefix("*:").or_else(|| text.strip_prefix(':'))
            && port.parse::<u16>().is_ok()
        {
            return Err(format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\" for all addresses"));
        }
        Err("allowed: \"ADDRESS:PORT\" with a numeric address, as in \"127.0.0.1:3905\" or \"[::1]:3905\", or the \
             path of a Unix socket, as in \"/run/mupdate.sock\""
            .into())
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        text.parse::<ListenAddr>().map(|addr| addr.to_string())
    }

    #[test]
    fn addresses_and_paths() {
        for good in ["127.0.0.1:3905", "[::1]:3905", "0.0.0.0:1", "/run/mupdate.sock", "./here"] {
            assert_eq!(shown(good), Ok(good.into()));
        }
        assert_eq!(shown("10.0.0.1"), Ok("10.0.0.1:3905".into()));
        assert_eq!(shown("::1"), Ok("[::1]:3905".into()));
        assert_eq!(shown("[::1]"), Ok("[::1]:3905".into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(shown("*:3905").is_err_and(|text| text.contains("\"[::]:3905\"")));
        assert!(shown(&"/x".repeat(60)).is_err_and(|text| text.contains("103")));
        for wrong in ["", "localhost:3905", "3905", "1.2.3.4:99999", "mupdate.sock"] {
            assert!(shown(wrong).is_err_and(|text| text.contains("numeric address")), "{wrong}");
        }
    }

    #[test]
    fn local_is_what_only_this_host_reaches() {
        let local = |text: &str| text.parse::<ListenAddr>().is_ok_and(|addr| addr.is_local());
        assert!(local("127.0.0.9:1") && local("[::1]:1") && local("/s") && local("[::ffff:127.0.0.1]:1"));
        assert!(!local("0.0.0.0:1") && !local("[::]:1") && !local("192.0.2.1:1"));
    }
}
