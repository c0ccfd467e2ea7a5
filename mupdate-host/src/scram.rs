//! Passwords as they are kept: the SCRAM-SHA-256 keys of RFC 5802 and RFC 7677, in the text form of RFC 5803.
//!
//! The keys do not hold the password, and whoever reads them cannot log in with them; they serve PLAIN and LOGIN now, and SCRAM
//! itself can use them as they are.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use mupdate_proto::{decode_base64, encode_base64};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// How often the hash of a new record is iterated.
///
/// RFC 7677 asks for 4,096 at least. The price is paid by both sides: by us once in a while, thanks to the cache of verified
/// logins, but by a Cyrus backend that logs in by SCRAM at every single operation on a mailbox. These passwords are secrets
/// between machines, long and random where we make them, and stand in the clear in `imapd.conf`; so some milliseconds are right,
/// and half a second (what people's passwords deserve) is not.
pub const ITERATIONS: u32 = 10_000;

/// Records outside these bounds are refused: below is what RFC 7677 forbids, above is a way to keep the hashing threads busy.
const BOUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;
const SCHEME: &str = "SCRAM-SHA-256";
const SALT_OCTETS: usize = 16;

type Key = [u8; 32];

/// What is kept of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramRecord {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl ScramRecord {
    /// The record of a password that [`prepare`] has prepared, with a fresh salt and [`ITERATIONS`].
    ///
    /// # Errors
    /// The operating system gives no random octets.
    pub fn new(password: &[u8]) -> Result<Self, getrandom::Error> {
        let mut salt = vec![0; SALT_OCTETS];
        getrandom::fill(&mut salt)?;
        Ok(Self::derive(password, salt, ITERATIONS))
    }

    fn derive(password: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let mut salted = Zeroizing::new(Key::default());
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, iterations, &mut *salted);
        let client_key = Zeroizing::new(keyed(&*salted, &[b"Client Key"]));
        let stored_key = Sha256::digest(*client_key).into();
        let server_key = keyed(&*salted, &[b"Server Key"]);
        Self { iterations, salt, stored_key, server_key }
    }

    /// A record that no password matches, to be hashed in place of a user that does not exist.
    pub fn nobody(iterations: u32) -> Self {
        Self {
            iterations,
            salt: vec![0; SALT_OCTETS],
            stored_key: Key::default(),
            server_key: Key::default(),
        }
    }

    /// How often the hash is iterated.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Whether this is the password. Slow on purpose: never call it from an executor's thread.
    pub fn verify(&self, password: &[u8]) -> Choice {
        let given = Self::derive(password, self.salt.clone(), self.iterations);
        self.stored_key.ct_eq(&given.stored_key)
    }

    /// Octets that differ between any two records: what a cached login is bound to.
    pub fn identity(&self) -> [&[u8]; 2] {
        [&self.salt, &self.stored_key]
    }
}

/// HMAC-SHA-256 of the parts in sequence.
pub(crate) fn keyed(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl fmt::Display for ScramRecord {
    /// The authPassword of RFC 5803: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stored, server) = (encode_base64(&self.stored_key), encode_base64(&self.server_key));
        write!(f, "{SCHEME}${}:{}${stored}:{server}", self.iterations, encode_base64(&self.salt))
    }
}

impl fmt::Debug for ScramRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramRecord").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl FromStr for ScramRecord {
    type Err = &'static str;

    /// # Errors
    /// What is wrong with the text.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey";
        let mut parts = text.split('$').map(str::trim);
        let (Some(scheme), Some(info), Some(value), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SHAPE);
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err("not a SCRAM-SHA-256 record");
        }
        let (iterations, salt) = info.split_once(':').ok_or(SHAPE)?;
        let (stored_key, server_key) = value.split_once(':').ok_or(SHAPE)?;
        let iterations = iterations.parse().map_err(|_| "the number of iterations is no number")?;
        if !BOUNDS.contains(&iterations) {
            return Err("the number of iterations is not between 4096 and 1000000");
        }
        let salt = decode_base64(salt.as_bytes()).map_err(|_| "the salt is not base64")?;
        if salt.is_empty() || salt.len() > 1024 {
            return Err("the salt has no octets, or more than 1024");
        }
        let key = |text: &str| -> Result<Key, &'static str> {
            let octets = decode_base64(text.as_bytes()).map_err(|_| "a key is not base64")?;
            octets.try_into().map_err(|_| "a key has not 32 octets")
        };
        Ok(Self { iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }
}

/// A password in the form in which it is hashed: SASLprep (RFC 4013), as RFC 5802 section 2.2 asks. One that is not UTF-8 is
/// taken as it is.
///
/// # Errors
/// The password is empty, or has a character that SASLprep forbids.
pub fn prepare(password: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let prepared = match std::str::from_utf8(password) {
        Ok(text) => match stringprep::saslprep(text) {
            Ok(Cow::Borrowed(text)) => Zeroizing::new(text.as_bytes().to_vec()),
            Ok(Cow::Owned(text)) => Zeroizing::new(text.into_bytes()),
            Err(_) => return Err("the password has a character that is not allowed in one"),
        },
        Err(_) => Zeroizing::new(password.to_vec()),
    };
    if prepared.is_empty() { Err("the password is empty") } else { Ok(prepared) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The user "user" with the password "pencil" of RFC 7677 section 3.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
                          $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn the_example_of_rfc_7677() {
        let record: ScramRecord = PENCIL.parse().unwrap();
        assert!(bool::from(record.verify(b"pencil")));
        assert!(!bool::from(record.verify(b"pencils")));
        assert!(!bool::from(record.verify(b"")));
        assert_eq!(ScramRecord::derive(b"pencil", record.salt.clone(), 4096), record);
        assert_eq!(record.to_string(), PENCIL);
    }

    #[test]
    fn a_new_record_knows_its_password_and_no_two_are_alike() {
        let (one, two) = (ScramRecord::new(b"secret").unwrap(), ScramRecord::new(b"secret").unwrap());
        assert!(bool::from(one.verify(b"secret")) && !bool::from(one.verify(b"Secret")));
        assert_ne!(one, two);
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn what_is_wrong_with_a_record_is_said() {
        let keys = &PENCIL[PENCIL.rfind('$').unwrap()..];
        let table = [
            ("", "not of the form"),
            ("secret", "not of the form"),
            ("SCRAM-SHA-256$4096:AA==", "not of the form"),
            (&PENCIL.replace("SHA-256", "SHA-1"), "not a SCRAM-SHA-256 record"),
            (&PENCIL.replace("4096", "many"), "the number of iterations is no number"),
            (&PENCIL.replace("4096", "4095"), "the number of iterations is not between"),
            (&PENCIL.replace("4096", "4000000000"), "the number of iterations is not between"),
            (&PENCIL.replace("W22", "*22"), "the salt is not base64"),
            (&format!("SCRAM-SHA-256$4096:{keys}"), "the salt has no octets"),
            (&PENCIL.replace("wfP", "*fP"), "a key is not base64"),
            (&PENCIL.replace("wfPL", ""), "a key has not 32 octets"),
            (&format!("{PENCIL}$"), "not of the form"),
        ];
        for (text, start) in table {
            let error = text.parse::<ScramRecord>().unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }

    #[test]
    fn nobody_has_no_password() {
        let nobody = ScramRecord::nobody(4096);
        assert!([&b""[..], b"nobody", &[0; 32]].iter().all(|password| !bool::from(nobody.verify(password))));
    }

    #[test]
    fn debug_shows_no_key() {
        let record: ScramRecord = PENCIL.parse().unwrap();
        assert_eq!(format!("{record:?}"), "ScramRecord { iterations: 4096, .. }");
    }

    #[test]
    fn passwords_are_prepared() {
        assert_eq!(prepare(b"secret").unwrap().as_slice(), b"secret");
        // RFC 4013 section 3: soft hyphen, ordinal indicator, roman numeral nine, BELL.
        assert_eq!(prepare("I\u{AD}X".as_bytes()).unwrap().as_slice(), b"IX");
        assert_eq!(prepare("\u{AA}".as_bytes()).unwrap().as_slice(), b"a");
        assert_eq!(prepare("\u{2168}".as_bytes()).unwrap().as_slice(), b"IX");
        assert!(prepare(b"\x07").is_err());
        assert!(prepare(b"").is_err() && prepare("\u{AD}".as_bytes()).is_err());
        assert_eq!(prepare(b"\xFFx").unwrap().as_slice(), b"\xFFx");
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, octets: Vec<u8>) {
            let _ = text.parse::<ScramRecord>();
            let _ = prepare(&octets);
        }

        #[test]
        fn no_damaged_record_panics(at in 0..PENCIL.len(), with: char) {
            let mut text: Vec<char> = PENCIL.chars().collect();
            text[at] = with;
            let _ = text.into_iter().collect::<String>().parse::<ScramRecord>();
        }
    }
}
