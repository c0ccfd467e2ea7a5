//! Clients, and exchanges with any octets: what tests and fuzz targets call.

use std::sync::OnceLock;

use mupdate_proto::{decode_base64, encode_base64};

use super::Mechanism;
use super::scram::{ClientFinal, ClientFirst, Exchange};
use crate::scram::{Hash, ScramRecord};

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

/// What the server adds to the nonce in [`scram`].
const DRAWN: &str = "of-the-server";

/// A password's record, and the key that only whoever knows the password has.
fn keys() -> &'static (ScramRecord, Vec<u8>) {
    static KEYS: OnceLock<(ScramRecord, Vec<u8>)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let (hash, password, salt) = (Hash::Sha256, b"secret", [7; 16]);
        let client_key = hash.mac(&hash.salted(password, &salt, 4096), b"Client Key");
        (ScramRecord::derive(hash, password, salt.to_vec(), 4096), client_key)
    })
}

/// Read `data` as the two messages of a SCRAM client, a line each, and panic at the first broken promise:
///
/// - the header and the rest of a first message are all of it, and names are what their escaped form says;
/// - whoever knows the password is let in, whatever the first message looks like;
/// - whoever does not is not: a final message that is let in has the one proof that fits what it says.
pub fn scram(data: &[u8]) {
    let mut lines = data.splitn(2, |octet| *octet == b'\n');
    let (first_text, last_text) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let last = ClientFinal::parse(last_text);
    let Ok(first) = ClientFirst::parse(first_text) else { return };
    assert_eq!([first.header, first.bare].concat().as_bytes(), first_text);
    let escaped = first.user.replace('=', "=3D").replace(',', "=2C");
    assert!(first.bare.starts_with(&format!("n={escaped},r={}", first.nonce)));

    let (record, client_key) = keys();
    let hash = record.hash();
    let begin = || Exchange::with_nonce(record.clone(), None, &first, DRAWN);
    let proof = |without_proof: &str, challenge: &[u8]| -> Vec<u8> {
        let signed = [first.bare.as_bytes(), b",", challenge, b",", without_proof.as_bytes()].concat();
        let signature = hash.mac(&hash.digest(client_key), &signed);
        client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect()
    };
    let (exchange, challenge) = begin();
    let nonce = format!("{}{DRAWN}", first.nonce);
    let without_proof = format!("c={},r={nonce}", encode_base64(first.header.as_bytes()));
    let honest = format!("{without_proof},p={}", encode_base64(&proof(&without_proof, &challenge)));
    // A header may be so long that its base64 makes the next message too long.
    if let Ok(honest) = ClientFinal::parse(honest.as_bytes()) {
        assert!(exchange.finish(&honest).is_some(), "the password is right");
    } else {
        assert!(first.header.len() > 2048, "an honest message is understood");
    }
    if let Ok(last) = last
        && begin().0.finish(&last).is_some()
    {
        assert_eq!(last.proof, proof(last.without_proof, &challenge));
        assert_eq!((last.nonce, &last.binding[..]), (&nonce[..], first.header.as_bytes()));
    }
}
