//! What a client says: RFC 3656, section 4.

use crate::scan::{Cursor, put_string};
use crate::{Acl, Location, MailboxName, Malformed, MalformedReason, ServerName, Tag};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

/// A command with the tag that its answers carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What the client calls it.
    pub tag: Tag,
    /// What it wants.
    pub verb: Verb,
}

/// What a client wants.
///
/// Its `Debug` does not show the initial response of [`Authenticate`](Verb::Authenticate), which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub enum Verb {
    /// Log in by a SASL mechanism (RFC 3656, section 4.2).
    Authenticate {
        /// The mechanism's name as it came; names are case-insensitive.
        mechanism: Bytes,
        /// The initial response, still in base64.
        initial: Option<Bytes>,
    },
    /// Go on within TLS (section 4.10).
    StartTls,
    /// Go on compressed (Cyrus's extension).
    Compress {
        /// The algorithm's name as it came; names are case-insensitive.
        algorithm: Bytes,
    },
    /// Say good-bye (section 4.6).
    Logout,
    /// Take a name before the mailbox is there (section 4.9).
    Reserve {
        /// The name.
        mailbox: MailboxName,
        /// Where the mailbox will be.
        location: Location,
    },
    /// The mailbox is there (section 4.1).
    Activate {
        /// Its name.
        mailbox: MailboxName,
        /// Where it is.
        location: Location,
        /// Who may do what with it.
        acl: Acl,
    },
    /// The mailbox is going away, and its name stays taken (section 4.3).
    Deactivate {
        /// Its name.
        mailbox: MailboxName,
        /// Where it is going.
        location: Location,
    },
    /// The mailbox is no more (section 4.4).
    Delete {
        /// Its name.
        mailbox: MailboxName,
    },
    /// Tell of one mailbox (section 4.5).
    Find {
        /// Its name.
        mailbox: MailboxName,
    },
    /// Tell of all mailboxes (section 4.7).
    List {
        /// Only those whose location begins so.
        prefix: Option<Bytes>,
    },
    /// Tell of all mailboxes, and then of every change (section 4.11).
    Update {
        /// Only those at these servers; none means all (PARTIAL-UPDATE, Cyrus's extension).
        servers: Vec<ServerName>,
    },
    /// Nothing, but on a stream every change so far (section 4.8).
    Noop,
}

impl Command {
    /// Parses a message as [`Frame::Message`](crate::Frame::Message) gives it.
    ///
    /// The strings of the command share the message's memory, except those with escapes in them.
    ///
    /// # Errors
    /// The first thing wrong, in this order: the tag, the command's name, the number and form of its arguments (left
    /// to right), what they say (left to right).
    pub fn parse(message: Bytes) -> Result<Command, Malformed> {
        let mut cursor = Cursor::new(&message);
        let tag = tag(&mut cursor)?;
        cursor.spaces();
        match Verb::parse(&mut cursor) {
            Ok(verb) => Ok(Command { tag, verb }),
            Err(reason) => Err(Malformed { tag: Some(tag), reason }),
        }
    }

    /// Writes the command as it goes over the wire, line end and all. Literals are non-synchronising.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.tag.as_bytes());
        out.put_u8(b' ');
        out.put_slice(self.verb.name().as_bytes());
        self.verb.for_each_argument(|argument| put_string(argument, out));
        out.put_slice(b"\r\n");
    }
}

/// The tag at the beginning of a message.
pub(crate) fn tag(cursor: &mut Cursor<'_>) -> Result<Tag, Malformed> {
    let untagged = |reason| Malformed { tag: None, reason };
    let atom = cursor.atom();
    if atom.is_empty() {
        cursor.spaces();
        let reason = if cursor.is_at_end() { MalformedReason::NeedCommand } else { MalformedReason::BadTag };
        return Err(untagged(reason));
    }
    Tag::new(cursor.keep(atom)).map_err(|_| untagged(MalformedReason::BadTag))
}

impl Verb {
    /// The command's name on the wire, in capitals.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Authenticate { .. } => "AUTHENTICATE",
            Verb::StartTls => "STARTTLS",
            Verb::Compress { .. } => "COMPRESS",
            Verb::Logout => "LOGOUT",
            Verb::Reserve { .. } => "RESERVE",
            Verb::Activate { .. } => "ACTIVATE",
            Verb::Deactivate { .. } => "DEACTIVATE",
            Verb::Delete { .. } => "DELETE",
            Verb::Find { .. } => "FIND",
            Verb::List { .. } => "LIST",
            Verb::Update { .. } => "UPDATE",
            Verb::Noop => "NOOP",
        }
    }

    /// Reads the name and the arguments.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Verb, MalformedReason> {
        let name = cursor.atom();
        let is = |expected: &str| name.eq_ignore_ascii_case(expected.as_bytes());
        if name.is_empty() {
            Err(MalformedReason::NullCommand)
        } else if is("AUTHENTICATE") {
            let mechanism = cursor.argument()?.ok_or(MalformedReason::MissingArguments)?;
            let initial = cursor.argument()?;
            cursor.end()?;
            Ok(Verb::Authenticate { mechanism, initial })
        } else if is("RESERVE") {
            let [mailbox, location] = cursor.arguments()?;
            Ok(Verb::Reserve { mailbox: MailboxName::new(mailbox)?, location: Location::new(location)? })
        } else if is("ACTIVATE") {
            let [mailbox, location, acl] = cursor.arguments()?;
            let (mailbox, location) = (MailboxName::new(mailbox)?, Location::new(location)?);
            Ok(Verb::Activate { mailbox, location, acl: Acl::new(acl) })
        } else if is("DEACTIVATE") {
            let [mailbox, location] = cursor.arguments()?;
            Ok(Verb::Deactivate { mailbox: MailboxName::new(mailbox)?, location: Location::new(location)? })
        } else if is("DELETE") {
            let [mailbox] = cursor.arguments()?;
            Ok(Verb::Delete { mailbox: MailboxName::new(mailbox)? })
        } else if is("FIND") {
            let [mailbox] = cursor.arguments()?;
            Ok(Verb::Find { mailbox: MailboxName::new(mailbox)? })
        } else if is("LIST") {
            let prefix = cursor.argument()?;
            cursor.end()?;
            Ok(Verb::List { prefix })
        } else if is("UPDATE") {
            let mut names = Vec::new();
            while let Some(name) = cursor.argument()? {
                names.push(name);
            }
            Ok(Verb::Update { servers: names.into_iter().map(ServerName::new).collect::<Result<_, _>>()? })
        } else if is("NOOP") {
            cursor.end().map(|()| Verb::Noop)
        } else if is("LOGOUT") {
            cursor.end().map(|()| Verb::Logout)
        } else if is("STARTTLS") {
            cursor.end().map(|()| Verb::StartTls)
        } else if is("COMPRESS") {
            let [algorithm] = cursor.arguments()?;
            Ok(Verb::Compress { algorithm })
        } else {
            Err(MalformedReason::UnknownCommand)
        }
    }

    /// The arguments in the order in which they are written.
    pub(crate) fn for_each_argument(&self, mut each: impl FnMut(&[u8])) {
        match self {
            Verb::Authenticate { mechanism, initial } => {
                each(mechanism);
                if let Some(initial) = initial {
                    each(initial);
                }
            }
            Verb::Compress { algorithm } => each(algorithm),
            Verb::Reserve { mailbox, location } | Verb::Deactivate { mailbox, location } => {
                each(mailbox.as_bytes());
                each(location.as_bytes());
            }
            Verb::Activate { mailbox, location, acl } => {
                each(mailbox.as_bytes());
                each(location.as_bytes());
                each(acl.as_bytes());
            }
            Verb::Delete { mailbox } | Verb::Find { mailbox } => each(mailbox.as_bytes()),
            Verb::List { prefix } => {
                if let Some(prefix) = prefix {
                    each(prefix);
                }
            }
            Verb::Update { servers } => servers.iter().for_each(|server| each(server.as_bytes())),
            Verb::StartTls | Verb::Logout | Verb::Noop => {}
        }
    }
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Verb::Authenticate { mechanism, initial } = self {
            let initial = if initial.is_some() { " <hidden>" } else { "" };
            return write!(f, "AUTHENTICATE \"{}\"{initial}", mechanism.escape_ascii());
        }
        f.write_str(self.name())?;
        let mut result = Ok(());
        self.for_each_argument(|argument| {
            result = result.and_then(|()| write!(f, " \"{}\"", argument.escape_ascii()));
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BadString, InvalidLocation, InvalidName, InvalidServer};

    fn parse(message: &'static str) -> Result<Command, Malformed> {
        Command::parse(Bytes::from_static(message.as_bytes()))
    }

    fn verb(message: &'static str) -> Verb {
        let command = parse(message).unwrap_or_else(|error| panic!("{message}: {error}"));
        assert_eq!(command.tag.as_bytes(), b"X1");
        command.verb
    }

    fn reason(message: &'static str) -> MalformedReason {
        let malformed = parse(message).expect_err(message);
        assert_eq!(malformed.tag.as_ref().map(Tag::as_bytes), Some(&b"X1"[..]), "{message}");
        malformed.reason
    }

    fn mailbox(name: &'static str) -> MailboxName {
        MailboxName::new(name).expect("a name")
    }

    fn location(octets: &'static str) -> Location {
        Location::new(octets).expect("a location")
    }

    #[test]
    fn every_command() {
        let (m, l) = (mailbox("user.a"), location("be1!default"));
        assert_eq!(
            verb("X1 AUTHENTICATE \"PLAIN\" {4+}\r\nAAAA"),
            Verb::Authenticate { mechanism: "PLAIN".into(), initial: Some("AAAA".into()) }
        );
        assert_eq!(
            verb("X1 AUTHENTICATE \"LOGIN\""),
            Verb::Authenticate { mechanism: "LOGIN".into(), initial: None }
        );
        assert_eq!(verb("X1 STARTTLS"), Verb::StartTls);
        assert_eq!(verb("X1 COMPRESS \"DEFLATE\""), Verb::Compress { algorithm: "DEFLATE".into() });
        assert_eq!(verb("X1 LOGOUT"), Verb::Logout);
        assert_eq!(
            verb("X1 RESERVE {6+}\r\nuser.a {11+}\r\nbe1!default"),
            Verb::Reserve { mailbox: m.clone(), location: l.clone() }
        );
        assert_eq!(
            verb("X1 ACTIVATE \"user.a\" {11}\nbe1!default \"a\tlrs\t\""),
            Verb::Activate { mailbox: m.clone(), location: l.clone(), acl: Acl::new("a\tlrs\t") }
        );
        assert_eq!(
            verb("X1 DEACTIVATE \"user.a\" \"be1!default\""),
            Verb::Deactivate { mailbox: m.clone(), location: l }
        );
        assert_eq!(verb("X1 DELETE \"user.a\""), Verb::Delete { mailbox: m.clone() });
        assert_eq!(verb("X1 FIND \"user.a\""), Verb::Find { mailbox: m });
        assert_eq!(verb("X1 LIST"), Verb::List { prefix: None });
        assert_eq!(verb("X1 LIST \"\""), Verb::List { prefix: Some(Bytes::new()) });
        assert_eq!(verb("X1 LIST {4+}\r\nbe1!"), Verb::List { prefix: Some("be1!".into()) });
        assert_eq!(verb("X1 UPDATE"), Verb::Update { servers: vec![] });
        let servers = ["be1", "be2", "be1"].map(|name| ServerName::new(name).expect("a name"));
        assert_eq!(verb("X1 UPDATE \"be1\" {3+}\r\nbe2 \"be1\""), Verb::Update { servers: servers.into() });
        assert_eq!(verb("X1 NOOP"), Verb::Noop);
    }

    #[test]
    fn case_and_spaces_do_not_matter() {
        assert_eq!(verb("X1 nOOp"), Verb::Noop);
        assert_eq!(verb("X1   NOOP  "), Verb::Noop);
        assert_eq!(verb("X1  find   \"a\"  "), Verb::Find { mailbox: mailbox("a") });
        assert_eq!(verb("X1 UPDATE "), Verb::Update { servers: vec![] });
    }

    #[test]
    fn a_reservation_may_name_a_bare_server_and_an_acl_may_be_empty() {
        assert_eq!(
            verb("X1 ACTIVATE \"a\" \"be1\" \"\""),
            Verb::Activate { mailbox: mailbox("a"), location: location("be1"), acl: Acl::default() }
        );
    }

    #[test]
    fn names_may_hold_any_octets_that_end_no_line() {
        let message = Bytes::from_static(b"X1 FIND \"user.\xfc\\\"\\\\\"");
        let Ok(Command { verb: Verb::Find { mailbox }, .. }) = Command::parse(message) else {
            panic!("no FIND")
        };
        assert_eq!(mailbox.as_bytes(), b"user.\xfc\"\\");
    }

    #[test]
    fn without_a_command() {
        for message in ["X1", "X1 ", "X1   "] {
            assert_eq!(reason(message), MalformedReason::NullCommand);
        }
        for (message, expected) in [
            ("", MalformedReason::NeedCommand),
            ("  ", MalformedReason::NeedCommand),
            (" X1 NOOP", MalformedReason::BadTag),
            ("* NOOP", MalformedReason::BadTag),
            ("+", MalformedReason::BadTag),
            ("X1\tNOOP", MalformedReason::BadTag),
            ("\u{fc} NOOP", MalformedReason::BadTag),
            ("{3+}\r\nabc", MalformedReason::BadTag),
            ("\"X1\" NOOP", MalformedReason::BadTag),
        ] {
            assert_eq!(parse(message), Err(Malformed { tag: None, reason: expected }), "{message}");
        }
    }

    #[test]
    fn unknown_commands_are_unknown_whatever_follows() {
        for message in
            ["X1 FROB", "X1 FROB \"x", "X1 FIND\"a\"", "X1 FIND\t\"a\"", "X1 FIND{1+}\r\na", "X1 \"FIND\""]
        {
            assert_eq!(reason(message), MalformedReason::UnknownCommand, "{message}");
        }
    }

    #[test]
    fn too_few_and_too_many_arguments() {
        for message in [
            "X1 FIND",
            "X1 DELETE ",
            "X1 RESERVE \"a\"",
            "X1 ACTIVATE \"a\" \"b\"",
            "X1 DEACTIVATE \"a\"",
            "X1 COMPRESS",
            "X1 AUTHENTICATE",
        ] {
            assert_eq!(reason(message), MalformedReason::MissingArguments, "{message}");
        }
        for message in [
            "X1 NOOP x",
            "X1 LOGOUT \"x\"",
            "X1 STARTTLS {1+}\r\nx",
            "X1 FIND \"\" \"b\"",
            "X1 LIST \"a\" \"b\"",
            "X1 AUTHENTICATE \"a\" \"b\" \"c\"",
            "X1 ACTIVATE \"a\" \"b\" \"c\" \"d\"",
        ] {
            assert_eq!(reason(message), MalformedReason::ExtraArguments, "{message}");
        }
    }

    #[test]
    fn arguments_are_strings_apart() {
        for message in
            ["X1 FIND a", "X1 LIST be1!", "X1 UPDATE be1", "X1 AUTHENTICATE PLAIN", "X1 RESERVE \"a\" b"]
        {
            assert_eq!(reason(message), MalformedReason::UnquotedArgument, "{message}");
        }
        for message in ["X1 RESERVE \"a\"\"b\"", "X1 FIND \"a\"\t", "X1 FIND {1+}\r\nab", "X1 LIST \"a\"x"] {
            assert_eq!(reason(message), BadString::NoSpace.into(), "{message}");
        }
        assert_eq!(reason("X1 FIND {-1}"), BadString::BadLiteral.into());
    }

    #[test]
    fn what_arguments_say_is_checked_last_and_from_left_to_right() {
        assert_eq!(reason("X1 FIND \"\""), InvalidName::Empty.into());
        assert_eq!(reason("X1 DELETE {3+}\r\na\r\n"), InvalidName::Forbidden(b'\r').into());
        assert_eq!(reason("X1 RESERVE \"\" \"a!b!c\""), InvalidName::Empty.into());
        assert_eq!(reason("X1 RESERVE \"a\" \"a!b!c\""), InvalidLocation::TwoBangs.into());
        assert_eq!(reason("X1 DEACTIVATE \"a\" \"\""), InvalidLocation::NoServer.into());
        assert_eq!(reason("X1 ACTIVATE \"a\" \"!x\""), MalformedReason::MissingArguments);
        assert_eq!(reason("X1 UPDATE \"be1\" \"be2!\""), InvalidServer::Bang.into());
    }

    #[test]
    fn encoded_as_real_servers_read_it() {
        let encoded = |verb| {
            let mut out = BytesMut::new();
            Command { tag: Tag::new("U01").expect("a tag"), verb }.encode(&mut out);
            out
        };
        assert_eq!(encoded(Verb::Update { servers: vec![] }), "U01 UPDATE\r\n");
        assert_eq!(
            encoded(Verb::Reserve { mailbox: mailbox("a\"b"), location: location("be1!") }),
            "U01 RESERVE {3+}\r\na\"b \"be1!\"\r\n"
        );
        assert_eq!(
            encoded(Verb::Authenticate { mechanism: "PLAIN".into(), initial: Some("AAAA".into()) }),
            "U01 AUTHENTICATE \"PLAIN\" \"AAAA\"\r\n"
        );
    }

    #[test]
    fn debug_hides_passwords() {
        assert_eq!(
            format!("{:?}", verb("X1 AUTHENTICATE \"PLAIN\" \"c2VjcmV0\"")),
            "AUTHENTICATE \"PLAIN\" <hidden>"
        );
        assert_eq!(format!("{:?}", verb("X1 RESERVE \"a\" \"b!\"")), "RESERVE \"a\" \"b!\"");
    }
}
