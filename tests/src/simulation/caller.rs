//! A client's end of a connection, up to the login: what backends and frontends have in common.

use bytes::{Bytes, BytesMut};
use mupdate_core::client::{ClientSession, Event, Output};
use mupdate_proto::{Limits, Response, Status, Verb};

use crate::player::login_base64;

/// What came.
#[derive(Debug)]
#[expect(dead_code, reason = "what is odd is shown to whoever looks for the reason")]
pub enum Heard {
    /// Logged in: commands can be sent.
    Ready,
    /// A line of data.
    Data(Response),
    /// The oldest open command is answered.
    Answer(Status),
    /// The server has said farewell, or what no server must say.
    Odd(Output),
}

/// A connection's end.
#[derive(Debug)]
pub struct Caller {
    session: ClientSession,
    user: String,
    logged_in: bool,
}

impl Caller {
    /// Waits for the banner, to log in as this user.
    pub fn new(user: &str) -> Self {
        Self { user: user.to_owned(), session: ClientSession::new(Limits::default()), logged_in: false }
    }

    /// Octets came.
    pub fn hear(&mut self, octets: &[u8]) {
        self.session.receive(octets);
    }

    /// Sends a command.
    pub fn send(&mut self, verb: Verb, out: &mut BytesMut) {
        self.session.send(verb, out);
    }

    /// The next thing that came, if it is all there. Logs in by itself.
    pub fn next(&mut self, out: &mut BytesMut) -> Option<Heard> {
        loop {
            let event = match self.session.poll() {
                Output::Event(event) => event,
                Output::Blocked => return None,
                odd @ Output::Closed(_) => return Some(Heard::Odd(odd)),
            };
            return Some(match event {
                Event::Banner(_) => {
                    let (mechanism, initial) =
                        (Bytes::from("PLAIN"), Some(Bytes::from(login_base64(&self.user))));
                    self.session.send(Verb::Authenticate { mechanism, initial }, out);
                    continue;
                }
                Event::Completed { status: Status::Ok, .. } if !self.logged_in => {
                    self.logged_in = true;
                    Heard::Ready
                }
                Event::Completed { status, .. } => Heard::Answer(status),
                Event::Data(data) => Heard::Data(data),
                odd @ (Event::Challenge(_) | Event::GoAhead | Event::Untagged { .. }) => {
                    Heard::Odd(Output::Event(odd))
                }
            });
        }
    }
}
