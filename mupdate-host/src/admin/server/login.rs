//! Who asks: the peer of a Unix socket, or a user who logs in with every request.

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use mupdate_core::{
    directory::PeerRole,
    server::{AuthReply, AuthStep},
};
use mupdate_proto::decode_base64;
use tracing::warn;
use zeroize::Zeroizing;

use super::socket::Wire;
use crate::{
    admin::{Admin, http::Refused},
    auth::{LoginStep, TlsFacts, Transport},
    link::Peer,
};

/// How long a password may take to be verified; `saslauthd` has its own deadline before.
const VERIFIED: Duration = Duration::from_secs(60);

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The peer of a Unix socket: whoever may open it is an admin. The number of its user, where the system says it.
    Local(Option<u32>),
    /// A user with the role of an admin.
    User(String),
    /// Anybody: what is asked for needs no login.
    Anybody,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(Some(uid)) => write!(f, "uid {uid}"),
            Self::Local(None) => f.write_str("unix"),
            Self::User(user) => f.write_str(user),
            Self::Anybody => f.write_str("anybody"),
        }
    }
}

/// Logs in with what stands in the field `Authorization`, by the same rules and guess limits as a client of MUPDATE.
pub(super) fn log_in(
    admin: &Admin,
    wire: &Wire,
    peer: Peer,
    tls: Option<&Arc<TlsFacts>>,
    authorization: Option<&str>,
) -> Result<Who, Refused> {
    let service = &admin.service;
    let Some(authorization) = authorization else {
        return Err(Refused::new(401, "log in, as a user whose role is admin"));
    };
    let message = plain(authorization).ok_or_else(|| Refused::new(401, "log in with HTTP's Basic"))?;
    let network = peer.network(service.settings().ipv6_prefix);
    let transport = Transport { loopback: peer.is_local(), network, tls: tls.cloned() };
    let mut login = service.auth.login(transport, format!("{peer} (admin)"));
    let step = AuthStep::Start { mechanism: "PLAIN".into(), initial: Some(message.to_vec()) };
    let reply = match login.step(step) {
        LoginStep::Reply(reply) => reply,
        LoginStep::Verify(credentials) => {
            let (done, verified) = mpsc::sync_channel(1);
            service.auth.check(credentials, Box::new(move |reply| drop(done.try_send(reply))));
            verified
                .recv_timeout(VERIFIED)
                .map_err(|_| Refused::new(503, "the password could not be verified"))?
        }
        LoginStep::Cancelled => return Err(Refused::new(401, "log in with HTTP's Basic")),
    };
    match reply {
        AuthReply::Accepted { principal } => {
            if *service.permits.roles().speaker(&principal).role == PeerRole::Admin {
                return Ok(Who::User(principal));
            }
            warn!(user = principal, %peer, "refused at the admin interface: the role is not admin");
            Err(Refused::new(403, "this user's role is not admin"))
        }
        AuthReply::Rejected { text, delay } => {
            let until = Instant::now() + delay;
            while Instant::now() < until && wire.rest(Some(until)).is_ok_and(|goes_on| goes_on) {}
            Err(Refused::new(401, text))
        }
        AuthReply::Challenge(_) => Err(Refused::new(401, "log in with HTTP's Basic")),
    }
}

/// The message of PLAIN (RFC 4616) that says what this field does (RFC 7617).
fn plain(authorization: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, rest) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(decode_base64(rest.trim().as_bytes()).ok()?);
    let colon = decoded.iter().position(|octet| *octet == b':')?;
    if decoded.contains(&0) {
        return None;
    }
    let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
    Some(Zeroizing::new([&[0], user, &[0], password].concat()))
}

#[cfg(test)]
mod tests {
    use mupdate_proto::encode_base64;

    use super::*;

    #[test]
    fn basic_is_plain() {
        let message = |text: &str| plain(&format!("bAsIc {}", encode_base64(text.as_bytes())));
        assert_eq!(message("op:se:cret").as_deref().map(Vec::as_slice), Some(&b"\0op\0se:cret"[..]));
        assert_eq!(message(":").as_deref().map(Vec::as_slice), Some(&b"\0\0"[..]));
        for wrong in ["op", "o\0p:secret", ""] {
            assert_eq!(message(wrong), None, "{wrong:?}");
        }
        assert_eq!((plain("Bearer eDp5"), plain("Basic"), plain("Basic ?")), (None, None, None));
    }
}
