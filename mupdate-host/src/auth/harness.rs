//! Clients, and exchanges with any octets: what tests and fuzz targets call.

use mupdate_proto::{decode_base64, encode_base64};

use super::Mechanism;
use crate::scram::Hash;

/// Who a client says to be.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Whose password it has.
    pub user: String,
    /// The password.
    pub password: String,
    /// As whom it wants to act.
    pub acting_as: Option<String>,
    /// What it binds to: name and data.
    pub binding: Option<(String, Vec<u8>)>,
}

/// The client's side of an exchange of SCRAM (RFC 5802).
#[derive(Debug)]
pub struct ScramClient {
    hash: Hash,
    identity: Identity,
    nonce: String,
    header: String,
    bare: String,
    /// What the server has to say at last.
    verifier: Option<String>,
}

impl ScramClient {
    /// A client that uses this mechanism.
    ///
    /// # Panics
    /// It is not one of SCRAM.
    pub fn new(mechanism: &str, identity: Identity) -> Self {
        let Some(Mechanism::Scram { hash, .. }) = Mechanism::named(mechanism) else {
            panic!("{mechanism} is not SCRAM")
        };
        let mut drawn = [0; 18];
        getrandom::fill(&mut drawn).expect("random octets");
        let nonce = encode_base64(&drawn);
        let escaped = |name: &str| name.replace('=', "=3D").replace(',', "=2C");
        let flag = identity.binding.as_ref().map_or("n".into(), |(name, _)| format!("p={name}"));
        let acting_as =
            identity.acting_as.as_ref().map_or(String::new(), |name| format!("a={}", escaped(name)));
        let (header, bare) =
            (format!("{flag},{acting_as},"), format!("n={},r={nonce}", escaped(&identity.user)));
        Self { hash, identity, nonce, header, bare, verifier: None }
    }

    /// What the client says next.
    ///
    /// # Errors
    /// What the server said is wrong, or shows that it has not the user's keys.
    pub fn step(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let Some(challenge) = challenge else {
            return Ok(format!("{}{}", self.header, self.bare).into_bytes());
        };
        let challenge = String::from_utf8(challenge.to_vec()).map_err(|error| error.to_string())?;
        match &self.verifier {
            Some(verifier) if *verifier == challenge => Ok(Vec::new()),
            Some(_) => Err(format!("the server has not the keys: {challenge}")),
            None => {
                self.prove(&challenge).ok_or_else(|| format!("not the server's first message: {challenge}"))
            }
        }
    }

    fn prove(&mut self, server_first: &str) -> Option<Vec<u8>> {
        let mut parts = server_first.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = decode_base64(parts.next()?.strip_prefix("s=")?.as_bytes()).ok()?;
        let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        nonce.strip_prefix(&self.nonce).filter(|theirs| !theirs.is_empty())?;
        let bound = self.identity.binding.as_ref().map_or(&[][..], |(_, data)| data);
        let without_proof =
            format!("c={},r={nonce}", encode_base64(&[self.header.as_bytes(), bound].concat()));
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let (hash, signed) = (self.hash, signed.as_bytes());
        let salted = hash.salted(self.identity.password.as_bytes(), &salt, iterations);
        let client_key = hash.mac(&salted, b"Client Key");
        let signature = hash.mac(&hash.digest(&client_key), signed);
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
        let server_key = hash.mac(&salted, b"Server Key");
        self.verifier = Some(format!("v={}", encode_base64(&hash.mac(&server_key, signed))));
        Some(format!("{without_proof},p={}", encode_base64(&proof)).into_bytes())
    }
}
