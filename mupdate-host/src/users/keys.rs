//! What is kept of one user's password: keys for one or more mechanisms, or none.

use std::fmt;
use std::str::FromStr;

use super::UsersError;
use crate::scram::{BOUNDS, Hash, ITERATIONS, ScramRecord};

/// Stands in the users file for a user who has no password.
const NONE: &str = "*";

/// The hashes that PLAIN and LOGIN are checked by, the best first: SHA-256 is the quickest of the good ones.
const BY_CHOICE: [Hash; 3] = [Hash::Sha256, Hash::Sha512, Hash::Sha1];

/// The keys of one user, of each hash once at most. A user without any logs in with a certificate, or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<ScramRecord>);

/// How new keys are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKeys {
    /// For which hashes; what is there twice counts once.
    pub hashes: Vec<Hash>,
    /// How often each is iterated; within [`BOUNDS`].
    pub iterations: u32,
}

impl Default for NewKeys {
    /// SCRAM-SHA-256, which every client with SCRAM speaks that is not very old.
    fn default() -> Self {
        Self { hashes: vec![Hash::Sha256], iterations: ITERATIONS }
    }
}

impl NewKeys {
    /// The keys of a password that [`prepare`](crate::scram::prepare) has prepared.
    ///
    /// # Errors
    /// The operating system gives no random octets.
    pub fn of(&self, password: &[u8]) -> Result<Keys, UsersError> {
        debug_assert!(BOUNDS.contains(&self.iterations));
        let mut keys = Keys::default();
        for hash in Hash::ALL.into_iter().filter(|hash| self.hashes.contains(hash)) {
            let record = ScramRecord::new(hash, password, self.iterations).map_err(UsersError::Random)?;
            keys.0.push(record);
        }
        Ok(keys)
    }
}

impl Keys {
    /// The keys for this hash.
    pub fn of(&self, hash: Hash) -> Option<&ScramRecord> {
        self.0.iter().find(|record| record.hash() == hash)
    }

    /// What a password that was sent is checked by.
    pub fn for_password(&self) -> Option<&ScramRecord> {
        BY_CHOICE.into_iter().find_map(|hash| self.of(hash))
    }

    /// All of them.
    pub fn records(&self) -> &[ScramRecord] {
        &self.0
    }
}

impl fmt::Display for Keys {
    /// As in the users file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (index, record) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{record}")?;
        }
        Ok(())
    }
}

impl FromStr for Keys {
    type Err = &'static str;

    /// # Errors
    /// What is wrong with the text.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut keys = Self::default();
        if text.trim() == NONE {
            return Ok(keys);
        }
        for record in text.split(',') {
            let record: ScramRecord = record.parse()?;
            if keys.of(record.hash()).is_some() {
                return Err("two records of one hash");
            }
            keys.0.push(record);
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_and_read_and_one_is_chosen() {
        let new = NewKeys { hashes: vec![Hash::Sha512, Hash::Sha1, Hash::Sha512], iterations: 4096 };
        let keys = new.of(b"secret").unwrap();
        let hashes = |keys: &Keys| keys.records().iter().map(ScramRecord::hash).collect::<Vec<_>>();
        assert_eq!(hashes(&keys), [Hash::Sha1, Hash::Sha512]);
        assert_eq!(keys.for_password().map(ScramRecord::hash), Some(Hash::Sha512));
        assert!(keys.records().iter().all(|record| bool::from(record.verify(b"secret"))));
        assert_eq!(keys.to_string().parse(), Ok(keys.clone()));
        assert_eq!(keys.to_string().replace(',', " , ").parse(), Ok(keys.clone()));

        let more = format!("{keys},{}", NewKeys::default().of(b"secret").unwrap()).parse::<Keys>().unwrap();
        assert_eq!(more.for_password().map(ScramRecord::hash), Some(Hash::Sha256));
        assert_eq!(format!("{more},{more}").parse::<Keys>(), Err("two records of one hash"));
        assert!(format!("{more},").parse::<Keys>().is_err());
        assert!(format!("{more},*").parse::<Keys>().is_err());
    }

    #[test]
    fn no_keys_are_a_star() {
        assert_eq!(Keys::default().to_string(), "*");
        assert_eq!(" * ".parse(), Ok(Keys::default()));
        assert_eq!(Keys::default().for_password(), None);
        assert!("".parse::<Keys>().is_err());
    }
}
