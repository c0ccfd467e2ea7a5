//! What a SCRAM client is told of a user that does not exist.
//!
//! A server tells the salt and the iterations of whoever a client says to be, before it has proved anything. For who does
//! not exist, or has no keys for that hash, they are made up: the same whenever they are asked for, after a restart too, and
//! like those of most users.

use std::fmt;

use crate::scram::{Hash, ScramRecord, keyed};
use crate::users::{LoginSecret, Users};

pub(super) struct Strangers(LoginSecret);

impl Strangers {
    pub fn new(secret: LoginSecret) -> Self {
        Self(secret)
    }

    /// Keys that nobody has a password for. The name is in the form that [`user_name`](crate::users::user_name) gives.
    pub fn record(&self, users: &Users, hash: Hash, name: &str) -> ScramRecord {
        let (iterations, salt_octets) =
            users.usual(hash).unwrap_or((crate::scram::ITERATIONS, crate::scram::SALT_OCTETS));
        let drawn = |what: &str, octets: usize| {
            let mut drawn = Vec::with_capacity(octets.next_multiple_of(32));
            for block in 0_u32.. {
                if drawn.len() >= octets {
                    break;
                }
                let parts: [&[u8]; 4] =
                    [what.as_bytes(), hash.mechanism().as_bytes(), &block.to_be_bytes(), name.as_bytes()];
                drawn.extend_from_slice(&keyed(&*self.0, &parts));
            }
            drawn.truncate(octets);
            drawn
        };
        ScramRecord::invented(hash, iterations, drawn("salt ", salt_octets), drawn("key ", hash.octets()))
    }
}

impl fmt::Debug for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strangers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn a_stranger_is_told_the_same_every_time_and_no_two_the_same() {
        let users = Users::parse(
            "a:SCRAM-SHA-256$4242:W22ZaJ0SNY7soEsUEjb6gQAA$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        )
        .unwrap();
        let [strangers, again, others] = [1, 1, 2].map(|octet| Strangers::new(Zeroizing::new([octet; 32])));
        let told = strangers.record(&users, Hash::Sha256, "nobody");
        assert_eq!((told.iterations(), told.salt().len()), (4242, 18));
        assert_eq!(told, again.record(&users, Hash::Sha256, "nobody"));
        assert_ne!(told, others.record(&users, Hash::Sha256, "nobody"));
        assert_ne!(told, strangers.record(&users, Hash::Sha256, "nobodi"));
        let other_hash = strangers.record(&users, Hash::Sha512, "nobody");
        assert_eq!((other_hash.salt().len(), other_hash.keys().map(<[u8]>::len)), (16, [64, 64]));
        assert_ne!(told.salt()[..16], *other_hash.salt());
    }
}
