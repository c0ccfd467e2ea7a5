//! The client's side of one connection, without its socket: the mirror image of [`server`](crate::server).
//!
//! Commands go out through [`ClientSession::send`], which may be called any number of times before the first answer;
//! what the server says comes back through [`ClientSession::poll`].

#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod output;
mod state;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use mupdate_proto::{BannerReader, Command, Frame, Framer, Limits, Response, SaslLine, Status, Tag, Verb};

use self::state::Expected;
pub use self::{
    output::{Event, Output, Reason},
    state::Violation,
};

/// A client's session.
///
/// - Answers are matched to commands in order; a server that answers out of turn ends the session.
/// - Memory is bounded by the limits and by the commands that its user leaves unanswered.
/// - No input makes it panic.
#[derive(Debug)]
pub struct ClientSession {
    framer: Framer,
    expected: Expected,
    /// Collects the banner while one is due.
    banner: Option<BannerReader>,
    next_tag: u64,
    eof: bool,
    closed: Option<Reason>,
}

impl ClientSession {
    /// A session for a fresh connection, which awaits the banner.
    pub fn new(limits: Limits) -> Self {
        Self {
            framer: Framer::new(limits),
            expected: Expected::default(),
            banner: Some(BannerReader::default()),
            next_tag: 1,
            eof: false,
            closed: None,
        }
    }

    /// Send a command; returns the tag that its answers will carry.
    pub fn send(&mut self, verb: Verb, out: &mut BytesMut) -> Tag {
        let tag = Tag::new(format!("C{}", self.next_tag)).expect("a letter and digits are a tag");
        self.next_tag += 1;
        self.expected.sent(tag.clone(), &verb);
        let command = Command { tag, verb };
        command.encode(out);
        command.tag
    }

    /// Answer a challenge, or cancel the exchange.
    pub fn respond(&mut self, line: &SaslLine, out: &mut BytesMut) {
        line.encode(out);
    }

    /// How many commands are unanswered.
    pub fn unanswered(&self) -> usize {
        self.expected.len()
    }

    /// Octets from the server.
    pub fn receive(&mut self, octets: &[u8]) {
        if self.closed.is_none() {
            self.framer.push(octets);
        }
    }

    /// The server has closed its side.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// The next thing that the server said.
    pub fn poll(&mut self) -> Output {
        self.poll_behind(|_| false)
    }

    /// The same behind the mailboxes that answer the oldest unanswered command, which are only counted.
    pub fn poll_counting(&mut self, mailboxes: &mut u64) -> Output {
        let Some(tag) = self.expected.asked().cloned() else { return self.poll() };
        self.poll_behind(|message| {
            let is_one =
                message.strip_prefix(tag.as_bytes()).is_some_and(|rest| rest.starts_with(b" MAILBOX "));
            *mailboxes += u64::from(is_one);
            is_one
        })
    }

    fn poll_behind(&mut self, mut passes: impl FnMut(&[u8]) -> bool) -> Output {
        loop {
            if let Some(reason) = &self.closed {
                return Output::Closed(reason.clone());
            }
            let taken = match self.framer.next_behind(&mut passes) {
                Ok(Some(Frame::Message(message))) => self.take(message),
                Ok(Some(Frame::GoAhead)) => {
                    Err(Violation::Unreadable("a server's literals are not synchronising".into()))
                }
                Ok(Some(Frame::TooLong { .. })) => {
                    Err(Violation::Unreadable("line or literal too long".into()))
                }
                Ok(None) if self.eof => {
                    self.closed = Some(Reason::EndOfInput);
                    continue;
                }
                Ok(None) => return Output::Blocked,
                Err(error) => Err(Violation::Unreadable(error.to_string())),
            };
            match taken {
                Ok(Some(event)) => return Output::Event(event),
                Ok(None) => {}
                Err(violation) => self.closed = Some(Reason::Violation(violation)),
            }
        }
    }

    fn take(&mut self, message: Bytes) -> Result<Option<Event>, Violation> {
        if let Some(reader) = &mut self.banner {
            // A server that refuses the connection says BYE in place of its banner.
            if let Ok(Response::Status { tag: None, status: status @ (Status::Bye | Status::Bad), text }) =
                Response::parse(message.clone())
            {
                return Ok(Some(Event::Untagged { status, text }));
            }
            let banner = reader.push(message).map_err(|error| Violation::Unreadable(error.to_string()))?;
            return Ok(banner.map(|banner| {
                self.banner = None;
                Event::Banner(banner)
            }));
        }
        if self.expected.challenge() && !message.contains(&b' ') {
            return match SaslLine::parse(&message) {
                Ok(SaslLine::Data(data)) => Ok(Some(Event::Challenge(data))),
                Ok(SaslLine::Cancel) | Err(_) => Err(Violation::Unreadable("challenge is not base64".into())),
            };
        }
        let response = Response::parse(message).map_err(|error| Violation::Unreadable(error.to_string()))?;
        self.response(response).map(Some)
    }

    fn response(&mut self, response: Response) -> Result<Event, Violation> {
        match response {
            Response::Status { tag: None, status, text } => Ok(Event::Untagged { status, text }),
            Response::Status { tag: Some(tag), status, text } => {
                let tag = self.tag(tag)?;
                if self.expected.completed(&tag, status)? {
                    self.banner = Some(BannerReader::default());
                }
                Ok(Event::Completed { tag, status, text })
            }
            Response::GoAhead => Ok(Event::GoAhead),
            Response::Mailbox { ref tag, .. } | Response::Reserve { ref tag, .. } => {
                self.expected.data(&self.tag(tag.clone())?, false)?;
                Ok(Event::Data(response))
            }
            Response::Delete { ref tag, .. } => {
                self.expected.data(&self.tag(tag.clone())?, true)?;
                Ok(Event::Data(response))
            }
        }
    }

    fn tag(&self, octets: Bytes) -> Result<Tag, Violation> {
        Tag::new(octets).map_err(|error| Violation::Unreadable(error.to_string()))
    }
}
