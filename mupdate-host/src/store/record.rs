//! How a mailbox's record is kept: state, location id, revision, and the ACL octet for octet.

use mupdate_core::directory::Revision;

use super::error::StoreError;
use super::tables::{be_u32, be_u64};

const RESERVED: u8 = 1;
const ACTIVE: u8 = 2;

/// State, location id, revision.
const HEAD: usize = 1 + 4 + 8;

/// A mailbox's record as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    /// The id of its location.
    pub location: u32,
    /// The revision that changed it last.
    pub revision: Revision,
    /// Its ACL; `None` for a reservation.
    pub acl: Option<&'a [u8]>,
}

impl<'a> Stored<'a> {
    /// Append the stored form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(HEAD + self.acl.map_or(0, <[u8]>::len));
        out.push(if self.acl.is_some() { ACTIVE } else { RESERVED });
        out.extend_from_slice(&self.location.to_be_bytes());
        out.extend_from_slice(&self.revision.to_be_bytes());
        out.extend_from_slice(self.acl.unwrap_or_default());
    }

    /// Read the stored form.
    pub(super) fn decode(octets: &'a [u8]) -> Result<Self, StoreError> {
        Self::split(octets).ok_or(StoreError::Corrupt("mailbox record"))
    }

    fn split(octets: &'a [u8]) -> Option<Self> {
        let (head, acl) = octets.split_at_checked(HEAD)?;
        let acl = match (head[0], acl) {
            (ACTIVE, acl) => Some(acl),
            (RESERVED, []) => None,
            _ => return None,
        };
        Some(Self { location: be_u32(&head[1..5])?, revision: be_u64(&head[5..])?, acl })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for acl in [None, Some(&b""[..]), Some(b"anyone\tlrs\t\xff\x00")] {
            let stored = Stored { location: 0xfeed_face, revision: u64::MAX - 1, acl };
            let mut octets = Vec::new();
            stored.encode(&mut octets);
            assert_eq!(Stored::decode(&octets).expect("just encoded"), stored);
        }
    }

    #[test]
    fn damage_is_seen() {
        for octets in [&b""[..], b"\x01\0\0\0\0", b"\x01\0\0\0\0\0\0\0\0\0\0\0\0acl", &[3; 20]] {
            assert!(Stored::decode(octets).is_err(), "{octets:?}");
        }
    }
}
