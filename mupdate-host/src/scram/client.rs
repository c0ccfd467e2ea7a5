//! The client's side of one SCRAM exchange (RFC 5802, RFC 7677): what tools and replicas log in by.
//!
//! The password never leaves the client, and the server has to show that it has the user's keys.

use std::fmt;

use mupdate_proto::{decode_base64, encode_base64};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{BOUNDS, Hash, prepare};

/// Octets that the client draws for each exchange.
const NONCE_OCTETS: usize = 18;

/// Octets of a server's message. What is longer is none.
const LONGEST: usize = 4096;

/// Who a client says to be.
#[derive(Clone, Default)]
pub struct Identity {
    /// Whose password it has.
    pub user: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// As whom it wants to act.
    pub acting_as: Option<String>,
    /// What it binds to: name and data.
    pub binding: Option<(String, Vec<u8>)>,
}

/// The client's side of an exchange.
///
/// [`step`](Self::step) without a challenge gives the first message, then an answer to each challenge. A login that the server
/// calls successful is one only if [`verified`](Self::verified) says so too.
pub struct ScramClient {
    hash: Hash,
    identity: Identity,
    nonce: String,
    header: String,
    bare: String,
    /// What the server has to say at last.
    verifier: Option<String>,
    verified: bool,
}

/// Why an exchange cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScramError {
    /// The operating system gives no random octets.
    Random(getrandom::Error),
    /// The password cannot be one.
    Password(&'static str),
    /// The server's message is none of SCRAM's.
    Malformed,
    /// The server wants the hash iterated this often, which is outside [`BOUNDS`]: too weak, or a way to keep us busy.
    Iterations(u32),
    /// The server said no, with this word of RFC 5802 section 7.
    Refused(String),
    /// The server has not the user's keys: it is another than it says to be.
    Impostor,
}

impl ScramClient {
    /// A client for a mechanism with this hash; with -PLUS, if the identity has a binding.
    ///
    /// # Errors
    /// The operating system gives no random octets.
    pub fn new(hash: Hash, identity: Identity) -> Result<Self, ScramError> {
        let mut drawn = [0; NONCE_OCTETS];
        getrandom::fill(&mut drawn).map_err(ScramError::Random)?;
        Ok(Self::with_nonce(hash, identity, encode_base64(&drawn)))
    }

    fn with_nonce(hash: Hash, identity: Identity, nonce: String) -> Self {
        let escaped = |name: &str| {
            let prepared = stringprep::saslprep(name).unwrap_or(name.into());
            prepared.replace('=', "=3D").replace(',', "=2C")
        };
        let flag = identity.binding.as_ref().map_or("n".into(), |(name, _)| format!("p={name}"));
        let acting_as =
            identity.acting_as.as_ref().map_or(String::new(), |name| format!("a={}", escaped(name)));
        let (header, bare) =
            (format!("{flag},{acting_as},"), format!("n={},r={nonce}", escaped(&identity.user)));
        Self { hash, identity, nonce, header, bare, verifier: None, verified: false }
    }

    /// What the client says next. The answer to the server's first message is slow on purpose: it takes the hash that keeps
    /// passwords from being guessed.
    ///
    /// # Errors
    /// What the server said is wrong, or shows that it has not the user's keys.
    pub fn step(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, ScramError> {
        let Some(challenge) = challenge else {
            return Ok(format!("{}{}", self.header, self.bare).into_bytes());
        };
        let challenge = match std::str::from_utf8(challenge) {
            Ok(text) if text.len() <= LONGEST => text,
            _ => return Err(ScramError::Malformed),
        };
        if let Some(word) = challenge.strip_prefix("e=") {
            return Err(ScramError::Refused(word.to_owned()));
        }
        match &self.verifier {
            Some(verifier) if bool::from(verifier.as_bytes().ct_eq(challenge.as_bytes())) => {
                self.verified = true;
                Ok(Vec::new())
            }
            Some(_) => Err(ScramError::Impostor),
            None => self.prove(challenge),
        }
    }

    /// The server has shown that it has the user's keys.
    pub fn verified(&self) -> bool {
        self.verified
    }

    fn prove(&mut self, server_first: &str) -> Result<Vec<u8>, ScramError> {
        let (nonce, salt, iterations) = self.parse(server_first).ok_or(ScramError::Malformed)?;
        if !BOUNDS.contains(&iterations) {
            return Err(ScramError::Iterations(iterations));
        }
        let password = prepare(self.identity.password.as_bytes()).map_err(ScramError::Password)?;
        let bound = self.identity.binding.as_ref().map_or(&[][..], |(_, data)| data);
        let without_proof =
            format!("c={},r={nonce}", encode_base64(&[self.header.as_bytes(), bound].concat()));
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let (hash, signed) = (self.hash, signed.as_bytes());
        let salted = hash.salted(&password, &salt, iterations);
        let client_key = Zeroizing::new(hash.mac(&salted, b"Client Key"));
        let signature = hash.mac(&hash.digest(&client_key), signed);
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
        let server_key = hash.mac(&salted, b"Server Key");
        self.verifier = Some(format!("v={}", encode_base64(&hash.mac(&server_key, signed))));
        Ok(format!("{without_proof},p={}", encode_base64(&proof)).into_bytes())
    }

    /// Nonce, salt and iterations of the server's first message. An extension that has to be understood (`m=`) is not.
    fn parse<'a>(&self, server_first: &'a str) -> Option<(&'a str, Vec<u8>, u32)> {
        let mut parts = server_first.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = decode_base64(parts.next()?.strip_prefix("s=")?.as_bytes()).ok()?;
        let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        nonce.strip_prefix(&self.nonce).filter(|theirs| !theirs.is_empty())?;
        Some((nonce, salt, iterations))
    }
}

impl fmt::Debug for Identity {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramClient").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl fmt::Display for ScramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(error) => write!(f, "no random octets: {error}"),
            Self::Password(reason) => f.write_str(reason),
            Self::Malformed => f.write_str("the server does not speak SCRAM as RFC 5802 has it"),
            Self::Iterations(number) => {
                let (least, most) = (BOUNDS.start(), BOUNDS.end());
                write!(f, "the server wants {number} iterations; between {least} and {most} are taken")
            }
            Self::Refused(word) => write!(f, "the server refused: {word}"),
            Self::Impostor => {
                f.write_str("the server has not the user's keys: it is not the one it says to be")
            }
        }
    }
}

impl std::error::Error for ScramError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pencil(hash: Hash, nonce: &str) -> ScramClient {
        let identity = Identity {
            user: "user".into(),
            password: Zeroizing::new("pencil".into()),
            ..Identity::default()
        };
        ScramClient::with_nonce(hash, identity, nonce.into())
    }

    /// RFC 7677 section 3.
    const FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    #[test]
    fn the_example_of_rfc_7677() {
        let mut client = pencil(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(client.step(None).unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = client.step(Some(FIRST.as_bytes())).unwrap();
        assert_eq!(
            String::from_utf8(proof).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!client.verified());
        assert_eq!(client.step(Some(LAST.as_bytes())), Ok(Vec::new()));
        assert!(client.verified());
    }

    #[test]
    fn a_server_that_lies_is_found_out() {
        let begun = || {
            let mut client = pencil(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO");
            client.step(Some(FIRST.as_bytes())).unwrap();
            client
        };
        assert_eq!(begun().step(Some(b"v=AAAA")), Err(ScramError::Impostor));
        assert_eq!(begun().step(Some(b"")), Err(ScramError::Impostor));
        assert_eq!(begun().step(Some(b"e=other-error")), Err(ScramError::Refused("other-error".into())));
        let mut fresh = pencil(Hash::Sha256, "mine");
        for wrong in [
            "",
            "r=yours,s=AA==,i=4096",
            "r=mine,s=AA==,i=4096",
            "r=mine1,s=?,i=4096",
            "m=x,r=mine1,s=AA==,i=1",
        ] {
            assert_eq!(fresh.step(Some(wrong.as_bytes())), Err(ScramError::Malformed), "{wrong}");
        }
        assert_eq!(
            fresh.step(Some(b"r=mine1,s=AA==,i=4000000000")),
            Err(ScramError::Iterations(4_000_000_000))
        );
        assert_eq!(fresh.step(Some(&[b'x'; LONGEST + 1])), Err(ScramError::Malformed));
        assert_eq!(fresh.step(Some(b"\xff")), Err(ScramError::Malformed));
    }

    #[test]
    fn names_are_escaped_and_passwords_not_shown() {
        let identity = Identity {
            user: "a,b=c".into(),
            password: Zeroizing::new("secret".into()),
            acting_as: Some("d,".into()),
            ..Identity::default()
        };
        let mut client = ScramClient::with_nonce(Hash::Sha1, identity.clone(), "x".into());
        assert_eq!(client.step(None).unwrap(), b"n,a=d=2C,n=a=2Cb=3Dc,r=x");
        assert!(!format!("{identity:?} {client:?}").contains("secret"));
    }
}
