//! A blocking MUPDATE client on the core's client session: what the tests of the daemons and of Cyrus talk with.

use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
};

use bytes::{Bytes, BytesMut};
use mupdate_core::client::{ClientSession, Event, Output, Reason};
use mupdate_proto::{
    Acl, Banner, Limits, Location, MailboxName, Response, ServerName, Status, Tag, Verb, encode_base64,
};

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

/// Why a command brought nothing.
#[derive(Debug)]
pub enum ClientError {
    /// The server said NO or BAD.
    Refused(Status, String),
    /// The server said `* BYE`.
    Bye(String),
    /// The connection ended, or broke.
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status, text) => write!(f, "{status} {text}"),
            Self::Bye(text) => write!(f, "BYE {text}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a command brought.
pub type Answer<T> = Result<T, ClientError>;

/// A connection.
pub struct Client<S> {
    stream: S,
    session: ClientSession,
    out: BytesMut,
}

impl<S: Read + Write> Client<S> {
    /// Reads the banner.
    ///
    /// # Errors
    /// The server has none for us.
    pub fn greet(stream: S) -> Answer<(Self, Banner)> {
        let limits = Limits { line: 1 << 20, literal: 16 << 20, message: 32 << 20 };
        let (session, out) = (ClientSession::new(limits), BytesMut::new());
        let mut client = Self { stream, session, out };
        loop {
            if let Event::Banner(banner) = client.event()? {
                return Ok((client, banner));
            }
        }
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
        let initial = encode_base64(format!("\0{user}\0{password}").as_bytes());
        let verb = Verb::Authenticate { mechanism: "PLAIN".into(), initial: Some(initial.into()) };
        self.call(verb).map(drop)
    }

    /// Queues a command; it leaves with the next flush, or when an answer is waited for.
    pub fn send(&mut self, verb: Verb) -> Tag {
        self.session.send(verb, &mut self.out)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> Answer<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Waits for the oldest answer; the rows that came before it.
    ///
    /// # Errors
    /// It was NO or BAD, or the connection ended.
    pub fn answer(&mut self) -> Answer<Vec<Row>> {
        self.flush()?;
        let mut rows = Vec::new();
        loop {
            match self.event()? {
                Event::Data(data) => rows.extend(row(data)),
                Event::Completed { status: Status::Ok, .. } => return Ok(rows),
                Event::Completed { status, text, .. } => {
                    return Err(ClientError::Refused(status, lossy(&text)));
                }
                _ => {}
            }
        }
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
            if let Event::Data(data) = self.event()?
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
            match self.event() {
                Ok(_) => {}
                Err(ClientError::Bye(text)) => bye = Some(text),
                Err(ClientError::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(bye),
                Err(error) => return Err(error),
            }
        }
    }

    /// The socket.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    fn event(&mut self) -> Answer<Event> {
        loop {
            match self.session.poll() {
                Output::Event(Event::Untagged { status: Status::Bye, text }) => {
                    return Err(ClientError::Bye(lossy(&text)));
                }
                Output::Event(event) => return Ok(event),
                Output::Closed(Reason::EndOfInput) => {
                    return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
                }
                Output::Closed(reason) => return Err(io::Error::other(format!("{reason:?}")).into()),
                Output::Blocked => {
                    let mut octets = [0; 16 * 1024];
                    match self.stream.read(&mut octets) {
                        Ok(0) => self.session.receive_eof(),
                        Ok(length) => self.session.receive(&octets[..length]),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
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
