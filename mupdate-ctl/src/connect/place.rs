//! Where a server listens, as the command line says it.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use crate::fail::Fail;

/// The port that RFC 3656 registers.
const PORT: u16 = 3905;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host and its port.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// The connection begins with TLS.
        tls: bool,
    },
}

impl Place {
    /// What is said there stays on this host.
    pub fn private(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// Where the admin interface listens: `https://host:port`.
    ///
    /// # Errors
    /// It is no such URL.
    pub fn of_url(url: &str) -> Result<Self, Fail> {
        let wrong = || Fail::usage(format!("--admin {url}: allowed are a path, and https://host:port"));
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '@', '?']) || authority.is_empty() {
            return Err(wrong());
        }
        let (tls, default) = if scheme == "https" { (true, 443) } else { (false, 80) };
        let (host, port) = host_and_port(authority, default).ok_or_else(wrong)?;
        Ok(Self::Tcp { host, port, tls })
    }
}

impl FromStr for Place {
    type Err = Fail;

    fn from_str(text: &str) -> Result<Self, Fail> {
        if text.starts_with(['/', '.']) || text.ends_with(".sock") {
            return Ok(Self::Unix(text.into()));
        }
        let (rest, tls) = text.strip_suffix("/tls").map_or((text, false), |rest| (rest, true));
        match host_and_port(rest, PORT) {
            Some((host, port)) if !host.contains('/') => Ok(Self::Tcp { host, port, tls }),
            _ => Err(Fail::usage(format!(
                "--server {text}: allowed are host, host:port, host:port/tls, and a path"
            ))),
        }
    }
}

/// In an address of version 6 without brackets all colons are its own.
fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = if rest.is_empty() { default } else { rest.strip_prefix(':')?.parse().ok()? };
        (host, port)
    } else {
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, port.parse().ok()?),
            _ => (text, default),
        }
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Place {
        Place::Tcp { host: host.into(), port, tls }
    }

    #[test]
    fn every_form_of_a_server() {
        for (text, place) in [
            ("mupdate.example.org", tcp("mupdate.example.org", 3905, false)),
            ("10.0.0.1:14905", tcp("10.0.0.1", 14905, false)),
            ("m.example.org:3906/tls", tcp("m.example.org", 3906, true)),
            ("::1", tcp("::1", 3905, false)),
            ("[::1]:1/tls", tcp("::1", 1, true)),
            ("/run/mupdate", Place::Unix("/run/mupdate".into())),
            ("here.sock", Place::Unix("here.sock".into())),
        ] {
            assert_eq!(text.parse::<Place>().expect(text), place);
        }
        for wrong in ["", ":1", "a:b", "[::1", "a/b", "a:99999"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
        assert!(tcp("::1", 1, false).private() && tcp("localhost", 1, false).private());
        assert!(!tcp("example.org", 1, false).private());
    }

    #[test]
    fn urls_of_the_admin_interface() {
        let url = |text| Place::of_url(text).ok();
        assert_eq!(url("https://h:9905/"), Some(tcp("h", 9905, true)));
        assert_eq!(url("https://[::1]"), Some(tcp("::1", 443, true)));
        assert_eq!(url("http://127.0.0.1:9"), Some(tcp("127.0.0.1", 9, false)));
        assert_eq!(url("https://h/v1").or(url("https://u@h")).or(url("https://")), None);
    }
}
