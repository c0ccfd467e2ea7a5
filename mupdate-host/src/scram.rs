//! Passwords as they are kept: the keys of SCRAM (RFC 5802, RFC 7677), in the text form of RFC 5803.
//!
//! The keys do not hold the password, and whoever reads them cannot log in with them. They serve PLAIN, LOGIN and SCRAM itself.

pub mod client;

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use mupdate_proto::{decode_base64, encode_base64};
use ring::{digest, hmac, pbkdf2};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// How often the hash of a new record is iterated.
///
/// RFC 7677 asks for 4,096 at least. The price is paid by both sides: by us once in a while, thanks to the cache of verified
/// logins, but by a Cyrus backend that logs in by SCRAM at every single operation on a mailbox. These passwords are secrets
/// between machines, long and random where we make them, and stand in the clear in `imapd.conf`; so some milliseconds are right,
/// and half a second (what people's passwords deserve) is not.
pub const ITERATIONS: u32 = 10_000;

/// Octets of the salt of a new record.
pub const SALT_OCTETS: usize = 16;

/// Records outside these bounds are refused: below is what RFC 5802 forbids, above is a way to keep the hashing threads busy.
pub const BOUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

const LONGEST_SALT: usize = 1024;

/// The hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// Of SCRAM-SHA-1.
    Sha1,
    /// Of SCRAM-SHA-256.
    Sha256,
    /// Of SCRAM-SHA-512.
    Sha512,
}

impl Hash {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The mechanism, which is also the scheme of RFC 5803.
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Octets of a key.
    pub fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// H of RFC 5802.
    pub(crate) fn digest(self, octets: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, octets).as_ref().to_vec()
    }

    /// HMAC of RFC 5802.
    pub(crate) fn mac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }

    /// Hi of RFC 5802: the slow one.
    pub(crate) fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = Zeroizing::new(vec![0; self.octets()]);
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    /// As the command line says it: `sha1`, `sha256`, `sha512`.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err("allowed: sha1, sha256, sha512"),
        }
    }
}

/// What is kept of one password for one hash.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramRecord {
    hash: Hash,
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ScramRecord {
    /// The record of a password that [`prepare`] has prepared, with a fresh salt. `iterations` lies within [`BOUNDS`].
    ///
    /// # Errors
    /// The operating system gives no random octets.
    pub fn new(hash: Hash, password: &[u8], iterations: u32) -> Result<Self, getrandom::Error> {
        let mut salt = vec![0; SALT_OCTETS];
        getrandom::fill(&mut salt)?;
        Ok(Self::derive(hash, password, salt, iterations))
    }

    pub(crate) fn derive(hash: Hash, password: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let salted = hash.salted(password, &salt, iterations);
        let client_key = Zeroizing::new(hash.mac(&salted, b"Client Key"));
        let (stored_key, server_key) = (hash.digest(&client_key), hash.mac(&salted, b"Server Key"));
        Self { hash, iterations, salt, stored_key, server_key }
    }

    /// A record that no password matches, to be hashed in place of a user that does not exist.
    pub fn nobody(hash: Hash, iterations: u32) -> Self {
        let key = vec![0; hash.octets()];
        Self { hash, iterations, salt: vec![0; SALT_OCTETS], stored_key: key.clone(), server_key: key }
    }

    /// A record that looks like others and that no password is known for. The keys have as many octets as the hash.
    pub(crate) fn invented(hash: Hash, iterations: u32, salt: Vec<u8>, key: Vec<u8>) -> Self {
        Self { hash, iterations, salt, stored_key: key.clone(), server_key: key }
    }

    /// Which hash it is for.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How often the hash is iterated.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// What is hashed with the password, and no secret.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// StoredKey and ServerKey, which the server side of SCRAM needs.
    pub(crate) fn keys(&self) -> [&[u8]; 2] {
        [&self.stored_key, &self.server_key]
    }

    /// Whether this is the password. Slow on purpose: never call it from an executor's thread.
    pub fn verify(&self, password: &[u8]) -> Choice {
        let given = Self::derive(self.hash, password, self.salt.clone(), self.iterations);
        self.stored_key.ct_eq(&given.stored_key)
    }

    /// Octets that differ between any two records: what a cached login is bound to.
    pub fn identity(&self) -> [&[u8]; 2] {
        [&self.salt, &self.stored_key]
    }
}

/// HMAC-SHA-256 of the parts in sequence.
pub(crate) fn keyed(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        mac.update(part);
    }
    mac.sign().as_ref().try_into().expect("SHA-256 gives 32 octets")
}

impl fmt::Display for ScramRecord {
    /// The authPassword of RFC 5803, as in `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stored, server) = (encode_base64(&self.stored_key), encode_base64(&self.server_key));
        let (scheme, salt) = (self.hash.mechanism(), encode_base64(&self.salt));
        write!(f, "{scheme}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl fmt::Debug for ScramRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, iterations, .. } = self;
        f.debug_struct("ScramRecord")
            .field("hash", hash)
            .field("iterations", iterations)
            .finish_non_exhaustive()
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
        let hash = Hash::ALL
            .into_iter()
            .find(|hash| scheme.eq_ignore_ascii_case(hash.mechanism()))
            .ok_or("not a record for SCRAM-SHA-1, SCRAM-SHA-256 or SCRAM-SHA-512")?;
        let (iterations, salt) = info.split_once(':').ok_or(SHAPE)?;
        let (stored_key, server_key) = value.split_once(':').ok_or(SHAPE)?;
        let iterations = iterations.parse().map_err(|_| "the number of iterations is no number")?;
        if !BOUNDS.contains(&iterations) {
            return Err("the number of iterations is not between 4096 and 1000000");
        }
        let salt = decode_base64(salt.as_bytes()).map_err(|_| "the salt is not base64")?;
        if salt.is_empty() || salt.len() > LONGEST_SALT {
            return Err("the salt has no octets, or more than 1024");
        }
        let key = |text: &str| match decode_base64(text.as_bytes()) {
            Ok(key) if key.len() == hash.octets() => Ok(key),
            Ok(_) => Err("a key has not as many octets as its hash"),
            Err(_) => Err("a key is not base64"),
        };
        Ok(Self { hash, iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
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
        assert_eq!(ScramRecord::derive(Hash::Sha256, b"pencil", record.salt.clone(), 4096), record);
        assert_eq!(record.to_string(), PENCIL);
    }

    #[test]
    fn the_example_of_rfc_5802() {
        // Section 5: the same user, SHA-1.
        let salt = decode_base64(b"QSXCR+Q6sek8bf92").unwrap();
        let record = ScramRecord::derive(Hash::Sha1, b"pencil", salt, 4096);
        let text =
            "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";
        assert_eq!(record.to_string(), text);
        assert_eq!(text.parse(), Ok(record));
    }

    #[test]
    fn a_new_record_knows_its_password_and_no_two_are_alike() {
        for hash in Hash::ALL {
            let [one, two] = [(); 2].map(|()| ScramRecord::new(hash, b"secret", 4096).unwrap());
            assert!(bool::from(one.verify(b"secret")) && !bool::from(one.verify(b"Secret")));
            assert_ne!(one, two);
            assert_eq!((one.salt().len(), one.keys().map(<[u8]>::len)), (SALT_OCTETS, [hash.octets(); 2]));
            assert_eq!(one.to_string().parse(), Ok(one));
        }
    }

    #[test]
    fn what_is_wrong_with_a_record_is_said() {
        let keys = &PENCIL[PENCIL.rfind('$').unwrap()..];
        let table = [
            ("", "not of the form"),
            ("secret", "not of the form"),
            ("SCRAM-SHA-256$4096:AA==", "not of the form"),
            (&PENCIL.replace("SHA-256", "SHA-1"), "a key has not as many octets"),
            (&PENCIL.replace("SHA-256", "SHA-224"), "not a record for SCRAM-SHA-1"),
            (&PENCIL.replace("4096", "many"), "the number of iterations is no number"),
            (&PENCIL.replace("4096", "4095"), "the number of iterations is not between"),
            (&PENCIL.replace("4096", "4000000000"), "the number of iterations is not between"),
            (&PENCIL.replace("W22", "*22"), "the salt is not base64"),
            (&format!("SCRAM-SHA-256$4096:{keys}"), "the salt has no octets"),
            (&PENCIL.replace("wfP", "*fP"), "a key is not base64"),
            (&PENCIL.replace("wfPL", ""), "a key has not as many octets"),
            (&format!("{PENCIL}$"), "not of the form"),
        ];
        for (text, start) in table {
            let error = text.parse::<ScramRecord>().unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }

    #[test]
    fn nobody_has_no_password() {
        let nobody = ScramRecord::nobody(Hash::Sha256, 4096);
        assert!([&b""[..], b"nobody", &[0; 32]].iter().all(|password| !bool::from(nobody.verify(password))));
    }

    #[test]
    fn debug_shows_no_key() {
        let record: ScramRecord = PENCIL.parse().unwrap();
        assert_eq!(format!("{record:?}"), "ScramRecord { hash: Sha256, iterations: 4096, .. }");
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
