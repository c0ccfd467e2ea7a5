//! Octet strings of the protocol, checked once when they are made.
//!
//! All of them are cheap to clone, and compare and hash as their octets do. One that came out of a message keeps the
//! whole message in memory: what is to be kept for long should be [`detached`](MailboxName::detached).

use bytes::Bytes;
use std::{borrow::Borrow, error::Error, fmt};

/// What all the newtypes have in common.
macro_rules! octet_string {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Bytes);

        impl $name {
            /// The octets as they go over the wire, unquoted.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The octets, without copying them.
            pub fn into_bytes(self) -> Bytes {
                self.0
            }

            /// The same octets in memory of their own, so that the message they came in can be freed.
            pub fn detached(&self) -> Self {
                Self(Bytes::copy_from_slice(&self.0))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl Borrow<[u8]> for $name {
            fn borrow(&self) -> &[u8] {
                &self.0
            }
        }

        /// Escaped, so that it can go into a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.0.escape_ascii())
            }
        }

        /// Lossy where the octets are no UTF-8.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&String::from_utf8_lossy(&self.0))
            }
        }
    };
}

octet_string! {
    /// What a client calls one of its commands (RFC 3656, section 2).
    ///
    /// Wider than the RFC's fifteen alphanumerics, since Cyrus takes almost anything: 1 to 64 printable ASCII octets
    /// without space, `"`, `{`, `}` and `\`, and not `*` or `+` alone, which mean something else.
    Tag
}

octet_string! {
    /// The name of a mailbox: any octets but NUL, CR and LF, and at least one.
    ///
    /// Its length is not limited here.
    MailboxName
}

octet_string! {
    /// The name of a backend: what stands before the `!` of a [`Location`].
    ServerName
}

octet_string! {
    /// Where a mailbox lives: `server!partition`.
    ///
    /// The partition may be empty (`server!`), and even the `!` may be missing (`server`); both mean that the
    /// partition was not said. Two locations are equal when their octets are; see [`same_place`](Self::same_place)
    /// for the comparison that ownership needs.
    Location
}

octet_string! {
    /// An access control list: opaque octets, kept as they came.
    ///
    /// Backends compare what they get back with what they sent, octet for octet.
    #[derive(Default)]
    Acl
}

impl Tag {
    /// The longest tag accepted, in octets.
    pub const MAX: usize = 64;

    /// Checks that `octets` can be a tag.
    pub fn new(octets: impl Into<Bytes>) -> Result<Tag, InvalidTag> {
        let octets = octets.into();
        let length = (1..=Tag::MAX).contains(&octets.len());
        let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'{' | b'}' | b'\\');
        let reserved = matches!(&octets[..], b"*" | b"+");
        if length && !reserved && octets.iter().all(plain) { Ok(Tag(octets)) } else { Err(InvalidTag) }
    }
}

impl MailboxName {
    /// Checks that `octets` can name a mailbox.
    pub fn new(octets: impl Into<Bytes>) -> Result<MailboxName, InvalidName> {
        let octets = octets.into();
        if octets.is_empty() {
            return Err(InvalidName::Empty);
        }
        match forbidden(&octets) {
            Some(octet) => Err(InvalidName::Forbidden(octet)),
            None => Ok(MailboxName(octets)),
        }
    }
}

impl ServerName {
    /// Checks that `octets` can name a server: not empty, without `!`, NUL, CR and LF.
    pub fn new(octets: impl Into<Bytes>) -> Result<ServerName, InvalidServer> {
        let octets = octets.into();
        if octets.is_empty() {
            return Err(InvalidServer::Empty);
        }
        if memchr::memchr(b'!', &octets).is_some() {
            return Err(InvalidServer::Bang);
        }
        match forbidden(&octets) {
            Some(octet) => Err(InvalidServer::Forbidden(octet)),
            None => Ok(ServerName(octets)),
        }
    }
}

impl Location {
    /// Checks that `octets` are `server!partition`, `server!` or `server`, without NUL, CR and LF.
    pub fn new(octets: impl Into<Bytes>) -> Result<Location, InvalidLocation> {
        let octets = octets.into();
        if forbidden(&octets).is_some() {
            return Err(InvalidLocation::Forbidden);
        }
        let (server, partition) = split(&octets);
        if server.is_empty() {
            return Err(InvalidLocation::NoServer);
        }
        if memchr::memchr(b'!', partition).is_some() {
            return Err(InvalidLocation::TwoBangs);
        }
        Ok(Location(octets))
    }

    /// The server's name; never empty.
    pub fn server(&self) -> &[u8] {
        Self::server_of(&self.0)
    }

    /// The server's name in a location that is at hand as octets, such as a row of a store.
    pub fn server_of(location: &[u8]) -> &[u8] {
        split(location).0
    }

    /// The partition; empty when it was not said.
    pub fn partition(&self) -> &[u8] {
        split(&self.0).1
    }

    /// The server's name as a value of its own, sharing the octets.
    pub fn server_name(&self) -> ServerName {
        ServerName(self.0.slice(..self.server().len()))
    }

    /// Whether both can mean the same place: the same server, and the same partition or one that was not said.
    ///
    /// Real replicas rename to `server!`, so an empty partition must match any (see [`merged`](Self::merged)).
    /// This is no equivalence: `s!a` and `s!b` are two places, and `s!` is the same as either.
    pub fn same_place(&self, other: &Location) -> bool {
        let ((server, partition), (other_server, other_partition)) = (split(&self.0), split(&other.0));
        server == other_server
            && (partition == other_partition || partition.is_empty() || other_partition.is_empty())
    }

    /// What is known after `said` was said of a mailbox at `self`: a partition that is said is taken, one that is not
    /// said does not overwrite what is known, and when neither says one `self` stays as it is.
    ///
    /// When `said` names another server, nothing that is known applies, and `said` is taken as it is.
    pub fn merged(&self, said: &Location) -> Location {
        let keeps = self.server() == said.server() && said.partition().is_empty();
        if keeps { self.clone() } else { said.clone() }
    }
}

impl Acl {
    /// Takes any octets.
    pub fn new(octets: impl Into<Bytes>) -> Acl {
        Acl(octets.into())
    }
}

/// Splits at the first `!`; without one, all of it is the server.
fn split(location: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'!', location) {
        Some(bang) => (&location[..bang], &location[bang + 1..]),
        None => (location, &[]),
    }
}

/// The first octet that no name may hold.
fn forbidden(octets: &[u8]) -> Option<u8> {
    memchr::memchr3(0, b'\r', b'\n', octets).map(|at| octets[at])
}

/// The peer's tag is none (see [`Tag`] for the rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTag;

/// Why octets cannot name a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidName {
    /// There are none.
    Empty,
    /// They hold this NUL, CR or LF.
    Forbidden(u8),
}

/// Why octets cannot name a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidServer {
    /// There are none.
    Empty,
    /// They hold a `!`: this is a location.
    Bang,
    /// They hold this NUL, CR or LF.
    Forbidden(u8),
}

/// Why octets cannot be a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidLocation {
    /// Nothing stands before the `!`, or nothing is there at all.
    NoServer,
    /// More than one `!`: real clients refuse to send this, and could not read it.
    TwoBangs,
    /// A NUL, CR or LF.
    Forbidden,
}

impl fmt::Display for InvalidTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invalid tag")
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidName::Empty => f.write_str("mailbox name is empty"),
            InvalidName::Forbidden(octet) => write!(f, "mailbox name holds {}", control(*octet)),
        }
    }
}

impl fmt::Display for InvalidServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidServer::Empty => f.write_str("server name is empty"),
            InvalidServer::Bang => f.write_str("server name holds a !"),
            InvalidServer::Forbidden(octet) => write!(f, "server name holds {}", control(*octet)),
        }
    }
}

impl fmt::Display for InvalidLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidLocation::NoServer => "location has no server",
            InvalidLocation::TwoBangs => "location has more than one !",
            InvalidLocation::Forbidden => "location holds a NUL, CR or LF",
        })
    }
}

impl Error for InvalidTag {}
impl Error for InvalidName {}
impl Error for InvalidServer {}
impl Error for InvalidLocation {}

/// What to call a forbidden octet.
fn control(octet: u8) -> &'static str {
    match octet {
        0 => "a NUL",
        b'\r' => "a CR",
        _ => "an LF",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(octets: &'static str) -> Location {
        Location::new(octets).expect("a location")
    }

    #[test]
    fn tags() {
        for tag in ["X1", "A01", "a.b", "**", "*1", "+1", "(x)", "x".repeat(64).as_str()] {
            assert!(Tag::new(tag.to_owned()).is_ok(), "{tag}");
        }
        for tag in ["", "*", "+", "a b", "a\"", "a{", "}", "a\\b", "a\t", "\u{e9}", "x".repeat(65).as_str()] {
            assert_eq!(Tag::new(tag.to_owned()), Err(InvalidTag), "{tag}");
        }
    }

    #[test]
    fn mailbox_names() {
        assert_eq!(MailboxName::new(&b"user.\xfc \"\\{3}!"[..]).map(|name| name.as_bytes().len()), Ok(13));
        assert_eq!(MailboxName::new(""), Err(InvalidName::Empty));
        for octet in [0, b'\r', b'\n'] {
            assert_eq!(MailboxName::new(vec![b'a', octet]), Err(InvalidName::Forbidden(octet)));
        }
    }

    #[test]
    fn server_names() {
        assert!(ServerName::new("be1.murder.test").is_ok());
        assert_eq!(ServerName::new(""), Err(InvalidServer::Empty));
        assert_eq!(ServerName::new("be1!"), Err(InvalidServer::Bang));
        assert_eq!(ServerName::new("be\n1"), Err(InvalidServer::Forbidden(b'\n')));
    }

    #[test]
    fn locations_and_their_parts() {
        for (octets, server, partition) in
            [("be1!default", "be1", "default"), ("be1!", "be1", ""), ("be1", "be1", "")]
        {
            let location = location(octets);
            assert_eq!(location.server(), server.as_bytes());
            assert_eq!(location.partition(), partition.as_bytes());
            assert_eq!(location.server_name().as_bytes(), server.as_bytes());
        }
        assert_eq!(Location::new(""), Err(InvalidLocation::NoServer));
        assert_eq!(Location::new("!default"), Err(InvalidLocation::NoServer));
        assert_eq!(Location::new("be1!a!b"), Err(InvalidLocation::TwoBangs));
        assert_eq!(Location::new("be1!\0"), Err(InvalidLocation::Forbidden));
    }

    #[test]
    fn an_unsaid_partition_is_the_same_place_as_any() {
        let same = |a, b| location(a).same_place(&location(b));
        assert!(same("s!a", "s!a"));
        assert!(same("s!a", "s!"));
        assert!(same("s", "s!a"));
        assert!(same("s", "s!"));
        assert!(!same("s!a", "s!b"));
        assert!(!same("s!a", "t!a"));
        assert!(!same("s!", "t!"));
    }

    #[test]
    fn merging_keeps_what_is_known_and_takes_what_is_said() {
        let merged = |known, said| location(known).merged(&location(said));
        assert_eq!(merged("s!a", "s!"), location("s!a"));
        assert_eq!(merged("s!a", "s"), location("s!a"));
        assert_eq!(merged("s!", "s!a"), location("s!a"));
        assert_eq!(merged("s!a", "s!b"), location("s!b"));
        assert_eq!(merged("s", "s!"), location("s"));
        assert_eq!(merged("s!", "s"), location("s!"));
        assert_eq!(merged("s!a", "t!"), location("t!"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (octet, text) in [(0, "a NUL"), (b'\r', "a CR"), (b'\n', "an LF")] {
            assert_eq!(InvalidName::Forbidden(octet).to_string(), format!("mailbox name holds {text}"));
            assert_eq!(InvalidServer::Forbidden(octet).to_string(), format!("server name holds {text}"));
        }
        assert_eq!(InvalidName::Empty.to_string(), "mailbox name is empty");
        assert_eq!(InvalidServer::Empty.to_string(), "server name is empty");
        assert_eq!(InvalidServer::Bang.to_string(), "server name holds a !");
        assert_eq!(InvalidLocation::NoServer.to_string(), "location has no server");
        assert_eq!(InvalidLocation::TwoBangs.to_string(), "location has more than one !");
        assert_eq!(InvalidLocation::Forbidden.to_string(), "location holds a NUL, CR or LF");
        assert_eq!(InvalidTag.to_string(), "Invalid tag");
    }

    /// A map with names as its keys is asked with what stands in a message.
    #[test]
    fn a_checked_string_is_as_good_as_its_octets() {
        let acl = Acl::new("a\tlrs\t");
        assert_eq!(acl.as_ref(), b"a\tlrs\t");
        assert_eq!(acl.clone().into_bytes(), "a\tlrs\t");
        let servers = std::collections::BTreeSet::from([ServerName::new("be1").expect("a name")]);
        assert!(servers.contains(&b"be1"[..]) && !servers.contains(&b"be2"[..]));
    }

    #[test]
    fn what_goes_into_logs_is_escaped() {
        let acl = Acl::new("a\tlrs\t\"\r\n\u{e9}");
        assert_eq!(format!("{acl:?}"), r#""a\tlrs\t\"\r\n\xc3\xa9""#);
        assert_eq!(MailboxName::new(vec![0xff]).expect("a name").to_string(), "\u{fffd}");
    }

    #[test]
    fn a_detached_value_shares_nothing() {
        let message = Bytes::from(vec![b'x'; 1000]);
        let name = MailboxName::new(message.slice(10..20)).expect("a name");
        let detached = name.detached();
        assert_eq!(detached, name);
        assert!(!message.as_ptr_range().contains(&detached.as_bytes().as_ptr()));
    }
}
