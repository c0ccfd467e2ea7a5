//! The blocking client with words for tests: names as text, rows that can be compared, and one login.

use std::io::{ErrorKind, Read, Write};

use bytes::Bytes;
use mupdate_core::client::Event;
use mupdate_proto::{Acl, Banner, Location, MailboxName, Response, ServerName, Tag, Verb};
use mupdate_sync::client as sync;
pub use mupdate_sync::client::ClientError;

use crate::player::LOGIN;

/// A line of data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// An active mailbox.
    Mailbox {
        /// Its name.
        name: String,
        /// Its location.
        location: String,
        /// Its ACL.
        acl: String,
    },
    /// A reservation.
    Reserve {
        /// Its name.
        name: String,
        /// Its location.
        location: String,
    },
    /// On a stream: it is no more.
    Delete {
        /// Its name.
        name: String,
    },
}

impl Row {
    /// An active mailbox.
    pub fn mailbox(name: &str, location: &str, acl: &str) -> Self {
        Self::Mailbox { name: name.into(), location: location.into(), acl: acl.into() }
    }

    /// A reservation.
    pub fn reserve(name: &str, location: &str) -> Self {
        Self::Reserve { name: name.into(), location: location.into() }
    }

    /// Whose line it is.
    pub fn name(&self) -> &str {
        match self {
            Self::Mailbox { name, .. } | Self::Reserve { name, .. } | Self::Delete { name } => name,
        }
    }

    /// Where the mailbox is.
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::Mailbox { location, .. } | Self::Reserve { location, .. } => Some(location),
            Self::Delete { .. } => None,
        }
    }
}

/// What a command brought.
pub type Answer<T> = Result<T, ClientError>;

/// A connection.
pub struct Client<S>(sync::Client<S>);

impl<S: Read + Write> Client<S> {
    /// Reads the banner.
    ///
    /// # Errors
    /// The server has none for us.
    pub fn greet(stream: S) -> Answer<(Self, Banner)> {
        sync::Client::greet(stream).map(|(client, banner)| (Self(client), banner))
    }

    /// Reads the banner and logs in as [`LOGIN`].
    ///
    /// # Errors
    /// The server wants nothing of us.
    pub fn login(stream: S) -> Answer<Self> {
        let (mut client, _) = Self::greet(stream)?;
        client.authenticate(LOGIN.0, LOGIN.1)?;
        Ok(client)
    }

    /// PLAIN with an initial response.
    ///
    /// # Errors
    /// The login is refused.
    pub fn authenticate(&mut self, user: &str, password: &str) -> Answer<()> {
        self.0.login_plain(user, password)
    }

    /// Queues a command; it leaves with the next flush, or when an answer is waited for.
    pub fn send(&mut self, verb: Verb) -> Tag {
        self.0.send(verb)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> Answer<()> {
        self.0.flush()
    }

    /// Waits for the oldest answer; the rows that came before it.
    ///
    /// # Errors
    /// It was NO or BAD, or the connection ended.
    pub fn answer(&mut self) -> Answer<Vec<Row>> {
        let mut rows = Vec::new();
        self.0.answer(|data| rows.extend(row(data)))?;
        Ok(rows)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn call(&mut self, verb: Verb) -> Answer<Vec<Row>> {
        self.send(verb);
        self.answer()
    }

    /// The next line of a stream.
    ///
    /// # Errors
    /// The connection ended.
    pub fn streamed(&mut self) -> Answer<Row> {
        loop {
            if let Event::Data(data) = self.0.event()?
                && let Some(row) = row(data)
            {
                return Ok(row);
            }
        }
    }

    /// Reads to the end of the stream; the text of the `* BYE`, if one came.
    ///
    /// # Errors
    /// The connection broke.
    pub fn end(&mut self) -> Answer<Option<String>> {
        let mut bye = None;
        loop {
            match self.0.event() {
                Ok(_) => {}
                Err(ClientError::Bye(text)) => bye = Some(text),
                Err(ClientError::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(bye),
                Err(error) => return Err(error),
            }
        }
    }

    /// The socket.
    pub fn stream(&self) -> &S {
        self.0.stream()
    }
}

/// Shorthands; their errors are those of [`Client::call`].
#[allow(clippy::missing_errors_doc)]
impl<S: Read + Write> Client<S> {
    /// RESERVE.
    pub fn reserve(&mut self, mailbox: &str, location: &str) -> Answer<()> {
        self.call(reserve(mailbox, location)).map(drop)
    }

    /// ACTIVATE.
    pub fn activate(&mut self, mailbox: &str, location: &str, acl: &str) -> Answer<()> {
        self.call(activate(mailbox, location, acl)).map(drop)
    }

    /// DELETE.
    pub fn delete(&mut self, mailbox: &str) -> Answer<()> {
        self.call(delete(mailbox)).map(drop)
    }

    /// FIND.
    pub fn find(&mut self, mailbox: &str) -> Answer<Option<Row>> {
        self.call(find(mailbox)).map(|rows| rows.into_iter().next())
    }

    /// LIST.
    pub fn list(&mut self, prefix: Option<&str>) -> Answer<Vec<Row>> {
        self.call(Verb::List { prefix: prefix.map(|prefix| Bytes::copy_from_slice(prefix.as_bytes())) })
    }

    /// UPDATE; everything that is there.
    pub fn update(&mut self, servers: &[&str]) -> Answer<Vec<Row>> {
        let legal = |server: &&str| ServerName::new((*server).to_owned()).expect("a legal server name");
        self.call(Verb::Update { servers: servers.iter().map(legal).collect() })
    }

    /// NOOP; on a stream, all that changed.
    pub fn noop(&mut self) -> Answer<Vec<Row>> {
        self.call(Verb::Noop)
    }

    /// LOGOUT.
    pub fn logout(&mut self) -> Answer<()> {
        self.call(Verb::Logout).map(drop)
    }
}

/// RESERVE.
pub fn reserve(mailbox: &str, location: &str) -> Verb {
    Verb::Reserve { mailbox: name(mailbox), location: place(location) }
}

/// ACTIVATE.
pub fn activate(mailbox: &str, location: &str, acl: &str) -> Verb {
    Verb::Activate { mailbox: name(mailbox), location: place(location), acl: Acl::new(acl.to_owned()) }
}

/// DEACTIVATE.
pub fn deactivate(mailbox: &str, location: &str) -> Verb {
    Verb::Deactivate { mailbox: name(mailbox), location: place(location) }
}

/// DELETE.
pub fn delete(mailbox: &str) -> Verb {
    Verb::Delete { mailbox: name(mailbox) }
}

/// FIND.
pub fn find(mailbox: &str) -> Verb {
    Verb::Find { mailbox: name(mailbox) }
}

fn name(mailbox: &str) -> MailboxName {
    MailboxName::new(mailbox.to_owned()).expect("a legal name")
}

fn place(location: &str) -> Location {
    Location::new(location.to_owned()).expect("a legal location")
}

fn row(data: Response) -> Option<Row> {
    match data {
        Response::Mailbox { name, location, acl, .. } => {
            Some(Row::Mailbox { name: lossy(&name), location: lossy(&location), acl: lossy(&acl) })
        }
        Response::Reserve { name, location, .. } => {
            Some(Row::Reserve { name: lossy(&name), location: lossy(&location) })
        }
        Response::Delete { name, .. } => Some(Row::Delete { name: lossy(&name) }),
        Response::Status { .. } | Response::GoAhead => None,
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
