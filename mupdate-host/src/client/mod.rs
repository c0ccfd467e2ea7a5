//! A MUPDATE client that waits: the core's client session on any stream of octets.

mod login;

use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
};

pub use self::login::{LoginError, Means};

use bytes::BytesMut;
use mupdate_core::client::{ClientSession, Event, Output, Reason, Violation};
use mupdate_proto::{Banner, Limits, Response, Status, Tag, Verb, encode_base64};

/// What a server may send. Its lines and literals are as long as the names and ACLs that backends gave it.
const LIMITS: Limits = Limits { line: 1 << 20, literal: 16 << 20, message: 32 << 20 };

/// Octets that are read at once.
const PIECE: usize = 64 << 10;

/// One connection.
///
/// - Commands are queued by [`send`](Self::send) and leave with the next [`flush`](Self::flush), or when something is
///   waited for; any number of them may be unanswered.
/// - Answers come in the order of the commands; a server that answers otherwise ends the connection.
/// - After an error the connection is of no more use, unless the error is [`ClientError::Refused`].
pub struct Client<S> {
    stream: S,
    session: ClientSession,
    out: BytesMut,
    piece: Box<[u8]>,
}

/// Why there is no answer, or no good one.
#[derive(Debug)]
pub enum ClientError {
    /// The server said NO or BAD to a command.
    Refused {
        /// Which of the two.
        status: Status,
        /// What it said.
        text: String,
    },
    /// The server said `* BYE`, and why.
    Bye(String),
    /// The server broke the protocol.
    Violation(Violation),
    /// The connection broke, or ended ([`ErrorKind::UnexpectedEof`]).
    Io(io::Error),
}

impl<S: Read + Write> Client<S> {
    /// Reads the server's banner from a fresh connection.
    ///
    /// # Errors
    /// The server turns us away, or is none.
    pub fn greet(stream: S) -> Result<(Self, Banner), ClientError> {
        let (session, piece) = (ClientSession::new(LIMITS), vec![0; PIECE].into());
        let mut client = Self { stream, session, out: BytesMut::new(), piece };
        loop {
            if let Event::Banner(banner) = client.event()? {
                return Ok((client, banner));
            }
        }
    }

    /// Logs in by PLAIN with an initial response. Whoever reads the connection reads the password.
    ///
    /// # Errors
    /// The login is refused, or the connection is over.
    pub fn login_plain(&mut self, user: &str, password: &str) -> Result<(), ClientError> {
        let initial = encode_base64(format!("\0{user}\0{password}").as_bytes());
        self.call(Verb::Authenticate { mechanism: "PLAIN".into(), initial: Some(initial.into()) })
    }

    /// Asks for TLS, has `shake` put it around the stream, and reads the banner that comes inside.
    ///
    /// What the server said after its OK and before TLS is thrown away: it may be anybody's.
    ///
    /// # Errors
    /// The server refuses, hands cannot be shaken, or the connection is over.
    pub fn start_tls<T: Read + Write>(
        mut self,
        shake: impl FnOnce(S) -> io::Result<T>,
    ) -> Result<(Client<T>, Banner), ClientError> {
        self.call(Verb::StartTls)?;
        Client::greet(shake(self.stream)?)
    }

    /// Queues a command; returns the tag that its answers will carry.
    pub fn send(&mut self, verb: Verb) -> Tag {
        self.session.send(verb, &mut self.out)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Waits for the answer to the oldest unanswered command; `row` is given the lines of data that come before it.
    ///
    /// # Errors
    /// The answer is NO or BAD, or the connection is over.
    pub fn answer(&mut self, mut row: impl FnMut(Response)) -> Result<(), ClientError> {
        loop {
            match self.event()? {
                Event::Data(data) => row(data),
                Event::Completed { status, text, .. } => return completed(status, &text),
                Event::Banner(_) | Event::Challenge(_) | Event::GoAhead | Event::Untagged { .. } => {}
            }
        }
    }

    /// Waits for the answer to the oldest unanswered command, and counts the mailboxes that come before it without looking
    /// at them.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn count(&mut self) -> Result<u64, ClientError> {
        let mut mailboxes = 0;
        loop {
            let output = self.session.poll_counting(&mut mailboxes);
            match heard(output)? {
                Some(Event::Completed { status, text, .. }) => {
                    return completed(status, &text).map(|()| mailboxes);
                }
                Some(_) => {}
                None => self.read()?,
            }
        }
    }

    /// Sends a command and waits for its answer; lines of data are dropped.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn call(&mut self, verb: Verb) -> Result<(), ClientError> {
        self.send(verb);
        self.answer(drop)
    }

    /// Waits for whatever the server says next; what is queued is sent before.
    ///
    /// # Errors
    /// The connection is over.
    pub fn event(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.heard()? {
                return Ok(event);
            }
            self.read()?;
        }
    }

    /// What the server has said and nobody has taken yet: does not wait.
    ///
    /// # Errors
    /// The connection is over.
    pub fn heard(&mut self) -> Result<Option<Event>, ClientError> {
        heard(self.session.poll())
    }

    /// Waits until the server has sent something, no longer than the stream's own read timeout; what is queued is sent
    /// before. False: nothing came in that time.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn wait(&mut self) -> Result<bool, ClientError> {
        match self.read() {
            Err(ClientError::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                Ok(false)
            }
            read => read.map(|()| true),
        }
    }

    /// The stream alone; what the server has said and nobody has taken is thrown away.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    fn read(&mut self) -> Result<(), ClientError> {
        if !self.out.is_empty() {
            self.flush()?;
        }
        match self.stream.read(&mut self.piece) {
            Ok(0) => self.session.receive_eof(),
            Ok(length) => self.session.receive(&self.piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// What the server has said, as far as that is no error.
fn heard(output: Output) -> Result<Option<Event>, ClientError> {
    match output {
        Output::Event(Event::Untagged { status: Status::Bye, text }) => {
            Err(ClientError::Bye(String::from_utf8_lossy(&text).into_owned()))
        }
        Output::Event(event) => Ok(Some(event)),
        Output::Closed(Reason::EndOfInput) => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
        Output::Closed(Reason::Violation(violation)) => Err(ClientError::Violation(violation)),
        Output::Blocked => Ok(None),
    }
}

/// What an answer is to whoever waits for it.
fn completed(status: Status, text: &[u8]) -> Result<(), ClientError> {
    match status {
        Status::Ok => Ok(()),
        status => Err(ClientError::Refused { status, text: String::from_utf8_lossy(text).into_owned() }),
    }
}

impl<S> fmt::Debug for Client<S> {
    /// Without what is queued, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("unanswered", &self.session.unanswered()).finish_non_exhaustive()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, text } => write!(f, "the server answered {status} \"{text}\""),
            Self::Bye(text) => write!(f, "the server said goodbye: \"{text}\""),
            Self::Violation(violation) => violation.fmt(f),
            Self::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                f.write_str("the server closed the connection")
            }
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
