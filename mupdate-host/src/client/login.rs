//! Logging in: by SCRAM where the server has it, else by the password itself, if it may be sent.

use std::{
    fmt,
    io::{Read, Write},
};

use crate::scram::{
    Hash,
    client::{Identity, ScramClient, ScramError},
};
use mupdate_core::client::Event;
use mupdate_proto::{SaslLine, Status, Verb, encode_base64};
use zeroize::Zeroizing;

use super::{Client, ClientError};

/// The mechanisms of SCRAM, best first.
const SCRAM: [Hash; 3] = [Hash::Sha512, Hash::Sha256, Hash::Sha1];

/// What may be used to log in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Means<'a> {
    /// The password may be sent as it is: whoever reads the connection is trusted, or nobody can.
    pub clear: bool,
    /// The client has shown a certificate, which may say who it is.
    pub certificate: bool,
    /// This mechanism and no other.
    pub only: Option<&'a str>,
}

/// Why a login failed.
#[derive(Debug)]
pub enum LoginError {
    /// The server offers nothing that may be used.
    Mechanisms {
        /// What it offers.
        offered: Vec<String>,
        /// It would take the password itself, but that may not be sent.
        only_clear: bool,
    },
    /// The exchange of SCRAM cannot go on.
    Scram(ScramError),
    /// The server says no ([`ClientError::Refused`]), or the connection is over.
    Client(ClientError),
}

impl<S: Read + Write> Client<S> {
    /// Logs in by the best mechanism that is offered: SCRAM, strongest hash first, and bound to TLS if the identity has a
    /// binding that the server knows; PLAIN where the password may be sent; EXTERNAL where there is a certificate and no password. Returns the
    /// mechanism.
    ///
    /// # Errors
    /// There is none, the login is refused, or the connection is over.
    pub fn login(
        &mut self,
        offered: &[String],
        identity: &Identity,
        means: Means<'_>,
    ) -> Result<String, LoginError> {
        let offers = |name: &str| {
            means.only.is_none_or(|only| only.eq_ignore_ascii_case(name))
                && offered.iter().any(|offered| offered.eq_ignore_ascii_case(name))
        };
        if identity.password.is_empty() && means.certificate && offers("EXTERNAL") {
            let acting_as = identity.acting_as.as_deref().unwrap_or_default();
            // An empty initial response is a `=`; none at all would ask for a challenge.
            let initial = if acting_as.is_empty() { "=".into() } else { encode_base64(acting_as.as_bytes()) };
            self.call(Verb::Authenticate { mechanism: "EXTERNAL".into(), initial: Some(initial.into()) })?;
            return Ok("EXTERNAL".into());
        }
        for hash in SCRAM {
            let plus = format!("{}-PLUS", hash.mechanism());
            if identity.binding.is_some() && offers(&plus) {
                // There are several bindings, and no server says which it knows: Cyrus's knows another than ours.
                match self.scram(&plus, hash, identity.clone()) {
                    Ok(()) => return Ok(plus),
                    Err(LoginError::Client(ClientError::Refused { .. }))
                    | Err(LoginError::Scram(ScramError::Refused(_)))
                        if offers(hash.mechanism()) => {}
                    Err(error) => return Err(error),
                }
            }
            if offers(hash.mechanism()) {
                self.scram(hash.mechanism(), hash, Identity { binding: None, ..identity.clone() })?;
                return Ok(hash.mechanism().into());
            }
        }
        if means.clear && offers("PLAIN") {
            let (acting_as, user) = (identity.acting_as.as_deref().unwrap_or_default(), &identity.user);
            let said = Zeroizing::new(format!("{acting_as}\0{user}\0{}", *identity.password));
            let initial = encode_base64(said.as_bytes());
            self.call(Verb::Authenticate { mechanism: "PLAIN".into(), initial: Some(initial.into()) })?;
            return Ok("PLAIN".into());
        }
        Err(LoginError::Mechanisms { offered: offered.to_vec(), only_clear: !means.clear && offers("PLAIN") })
    }

    fn scram(&mut self, mechanism: &str, hash: Hash, identity: Identity) -> Result<(), LoginError> {
        let mut scram = ScramClient::new(hash, identity)?;
        let first = encode_base64(&scram.step(None)?);
        self.send(Verb::Authenticate { mechanism: mechanism.to_owned().into(), initial: Some(first.into()) });
        loop {
            match self.event()? {
                Event::Challenge(challenge) => match scram.step(Some(&challenge)) {
                    Ok(response) => self.session.respond(&SaslLine::Data(response), &mut self.out),
                    Err(error) => {
                        self.session.respond(&SaslLine::Cancel, &mut self.out);
                        // That it is over is answered, too.
                        return match self.answer(drop) {
                            Ok(()) | Err(ClientError::Refused { .. }) => Err(error.into()),
                            Err(broken) => Err(broken.into()),
                        };
                    }
                },
                // A server that has not shown the user's keys is not the one that it says to be.
                Event::Completed { status: Status::Ok, .. } => {
                    return if scram.verified() { Ok(()) } else { Err(ScramError::Impostor.into()) };
                }
                Event::Completed { status, text, .. } => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(ClientError::Refused { status, text }.into());
                }
                Event::Banner(_) | Event::Data(_) | Event::GoAhead | Event::Untagged { .. } => {}
            }
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mechanisms { offered, .. } if offered.is_empty() => {
                f.write_str("the server offers no way to log in")
            }
            Self::Mechanisms { offered, .. } => {
                write!(f, "no mechanism that can be used is among those offered: {}", offered.join(", "))
            }
            Self::Scram(error) => error.fmt(f),
            Self::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoginError {}

impl From<ScramError> for LoginError {
    fn from(error: ScramError) -> Self {
        Self::Scram(error)
    }
}

impl From<ClientError> for LoginError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
