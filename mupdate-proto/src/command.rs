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
        let mut cursor = Cursor::new(message);
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
        self.verb.for_each_argument(|argument| {
            out.put_u8(b' ');
            put_string(argument, out);
        });
        out.put_slice(b"\r\n");
    }
}

/// The tag at the beginning of a message.
pub(crate) fn tag(cursor: &mut Cursor) -> Result<Tag, Malformed> {
    let untagged = |reason| Malformed { tag: None, reason };
    let atom = cursor.atom();
    if atom.is_empty() {
        cursor.spaces();
        let reason = if cursor.is_at_end() { MalformedReason::NeedCommand } else { MalformedReason::BadTag };
        return Err(untagged(reason));
    }
    Tag::new(atom).map_err(|_| untagged(MalformedReason::BadTag))
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
    fn parse(cursor: &mut Cursor) -> Result<Verb, MalformedReason> {
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
    fn for_each_argument(&self, mut each: impl FnMut(&[u8])) {
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
