//! Clients, and exchanges with any octets: what tests and fuzz targets call.

use std::sync::OnceLock;

use mupdate_proto::encode_base64;

use super::Mechanism;
use super::scram::{ClientFinal, ClientFirst, Exchange};
pub use crate::scram::client::{Identity, ScramClient};
use crate::scram::{Hash, ScramRecord};

/// A client that uses this mechanism.
///
/// # Panics
/// It is not one of SCRAM.
pub fn scram_client(mechanism: &str, identity: Identity) -> ScramClient {
    let Some(Mechanism::Scram { hash, .. }) = Mechanism::named(mechanism) else {
        panic!("{mechanism} is not SCRAM")
    };
    ScramClient::new(hash, identity).expect("random octets")
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
