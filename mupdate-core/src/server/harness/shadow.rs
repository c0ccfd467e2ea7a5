//! What a session must say and ask, told from what it was given: a second reading of both directions.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use mupdate_proto::{
    BannerReader, Command, Frame, FrameError, Framer, Limits, Response, Role, SaslLine, Status, Tag, Verb,
};

use super::super::{AuthReply, AuthStep, Layer, Reason, Reply, Request, Scope, ServerConfig};
use crate::directory::{Action, Filter};

/// The conversation as an onlooker sees it.
pub(super) struct Shadow {
    config: Arc<ServerConfig>,
    input: Framer,
    /// What the peer has sent and nobody has answered, oldest first.
    frames: VecDeque<Result<Frame, FrameError>>,
    output: Framer,
    /// A banner is due.
    banner: Option<BannerReader>,
    /// The AUTHENTICATE that is under way.
    login: Option<Tag>,
    /// The mechanism's challenge, which is to be sent next.
    challenge: Option<Vec<u8>>,
    /// The next frame is the answer to a challenge.
    line_due: bool,
    logged_in: bool,
    /// So many of the oldest commands are changes that have been submitted.
    submitted: usize,
    /// UPDATE's tag, once it is answered OK.
    stream: Option<Tag>,
    logged_out: bool,
    bye: bool,
    /// This side ends the session: what is unanswered may stay so.
    shutdown: bool,
    /// Nobody hears the answers: only changes are carried out.
    abandoned: bool,
}

impl Shadow {
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            input: Framer::new(config.limits),
            config,
            frames: VecDeque::new(),
            output: Framer::new(Limits::default()),
            banner: Some(BannerReader::new()),
            login: None,
            challenge: None,
            line_due: false,
            logged_in: false,
            submitted: 0,
            stream: None,
            logged_out: false,
            bye: false,
            shutdown: false,
            abandoned: false,
        }
    }

    /// The session was given these octets.
    pub fn received(&mut self, octets: &[u8]) {
        self.input.push(octets);
        while let Some(frame) = self.input.next().transpose() {
            let last = frame.is_err();
            if last && self.frames.back() == Some(&frame) {
                return;
            }
            self.frames.push_back(frame);
            if last {
                return;
            }
        }
    }

    pub fn shutdown(&mut self) {
        self.shutdown = true;
    }

    pub fn abandoned(&mut self) {
        self.abandoned = true;
        self.frames.drain(..std::mem::take(&mut self.submitted));
    }

    pub fn resumed(&mut self, layer: Layer) {
        if layer == Layer::Tls {
            self.banner = Some(BannerReader::new());
        }
    }

    /// The world has answered.
    pub fn replied(&mut self, reply: &Reply) {
        match reply {
            Reply::Auth(AuthReply::Challenge(data)) => {
                self.challenge = Some(data.clone());
                self.line_due = true;
            }
            Reply::Auth(AuthReply::Accepted { .. }) => self.logged_in = true,
            Reply::Reannounced { .. } if self.abandoned => self.stream = Some(self.oldest().tag),
            // A stream that misses changes has to end.
            Reply::Failed(_) if self.stream.is_some() => self.shutdown = true,
            _ => {}
        }
    }

    /// The session has written these octets.
    pub fn said(&mut self, octets: &[u8]) {
        if self.abandoned {
            return;
        }
        self.output.push(octets);
        while let Some(frame) = self.output.next().expect("our own lines can be framed") {
            let Frame::Message(message) = frame else { panic!("{frame:?} from a server") };
            assert!(!self.bye && !self.logged_out, "{message:?} after the last word");
            self.line(message);
        }
        assert_eq!(self.output.buffered(), 0, "half a line was written");
    }

    fn line(&mut self, message: Bytes) {
        if let Some(banner) = &mut self.banner {
            if banner.push(message).expect("a banner").is_some() {
                self.banner = None;
            }
            return;
        }
        if let Some(challenge) = self.challenge.take() {
            assert_eq!(SaslLine::parse(&message), Ok(SaslLine::Data(challenge)));
            return;
        }
        match Response::parse(message).expect("a response") {
            Response::GoAhead => assert_eq!(self.frames.pop_front(), Some(Ok(Frame::GoAhead))),
            Response::Status { tag: None, status: Status::Bye, .. } => self.bye = true,
            Response::Status { tag: None, status, .. } => {
                assert_eq!(status, Status::Bad);
                match self.frames.pop_front() {
                    Some(Ok(Frame::Message(message))) => {
                        let malformed = Command::parse(message).expect_err("a good command has a tag");
                        assert_eq!(malformed.tag, None);
                    }
                    Some(Ok(Frame::TooLong { tag, .. })) => assert_eq!(tag, None),
                    other => panic!("an untagged BAD answers {other:?}"),
                }
            }
            Response::Status { tag: Some(tag), status, .. } => self.answered(&tag, status),
            Response::Mailbox { tag, .. } | Response::Reserve { tag, .. } => self.row(&tag, false),
            Response::Delete { tag, .. } => self.row(&tag, true),
        }
    }

    /// A line of data came: on the stream, or for the oldest command.
    fn row(&self, tag: &[u8], gone: bool) {
        if let Some(stream) = &self.stream {
            assert_eq!(stream.as_bytes(), tag, "a row of a stream");
            return;
        }
        let command = self.oldest();
        assert_eq!(command.tag.as_bytes(), tag, "a row");
        assert!(!gone, "DELETE before the stream");
        assert!(matches!(command.verb, Verb::Find { .. } | Verb::List { .. } | Verb::Update { .. }));
    }

    /// A tagged answer came: that of the login under way, or of the oldest frame.
    fn answered(&mut self, tag: &[u8], status: Status) {
        self.submitted = self.submitted.saturating_sub(1);
        if let Some(login) = self.login.take() {
            assert_eq!(login.as_bytes(), tag, "the answer to a login");
            assert_eq!(self.logged_in, status == Status::Ok);
            if std::mem::take(&mut self.line_due) {
                match self.frames.pop_front() {
                    Some(Ok(Frame::Message(line))) => {
                        assert!(!matches!(SaslLine::parse(&line), Ok(SaslLine::Data(_))));
                    }
                    other => assert!(matches!(other, Some(Ok(Frame::TooLong { .. }))), "{other:?}"),
                }
            }
            return;
        }
        match self.frames.pop_front() {
            Some(Ok(Frame::Message(message))) => match Command::parse(message) {
                Ok(command) => {
                    assert_eq!(command.tag.as_bytes(), tag, "commands are answered in order");
                    match command.verb {
                        Verb::Update { .. } if status == Status::Ok => self.stream = Some(command.tag),
                        Verb::Logout => self.logged_out = true,
                        _ => {}
                    }
                }
                Err(malformed) => {
                    assert_eq!(malformed.tag.as_ref().map(Tag::as_bytes), Some(tag));
                    assert_eq!(malformed.status(), status);
                }
            },
            Some(Ok(Frame::TooLong { tag: dropped, .. })) => {
                assert_eq!(dropped.as_ref().map(Tag::as_bytes), Some(tag));
                assert_eq!(status, Status::Bad);
            }
            other => panic!("{} is answered, but it is the turn of {other:?}", tag.escape_ascii()),
        }
    }

    /// The session asks for something: it must be what the oldest command wants.
    pub fn asked(&mut self, request: &Request) {
        assert!(
            self.submitted == 0 || matches!(request, Request::Submit(_)),
            "{request:?} overtakes a change"
        );
        match request {
            Request::Authenticate(AuthStep::Start { .. }) => {
                let command = self.oldest();
                assert!(matches!(command.verb, Verb::Authenticate { .. }));
                assert!(!self.logged_in && self.login.is_none());
                self.login = Some(command.tag);
                self.frames.pop_front();
            }
            Request::Authenticate(AuthStep::Continue(data)) => {
                assert!(std::mem::take(&mut self.line_due), "an answer to no challenge");
                let Some(Ok(Frame::Message(line))) = self.frames.pop_front() else { panic!("no line came") };
                assert_eq!(SaslLine::parse(&line), Ok(SaslLine::Data(data.clone())));
            }
            Request::Authenticate(AuthStep::Cancel) => assert!(self.abandoned || self.login.is_none()),
            Request::Submit(action) => self.submitted(action),
            Request::Find(mailbox) => assert_eq!(self.oldest().verb, Verb::Find { mailbox: mailbox.clone() }),
            Request::Walk(scope) => match (self.oldest().verb, scope) {
                (Verb::List { prefix: None }, Scope::All) => {}
                (Verb::List { prefix: Some(prefix) }, Scope::Prefix(asked)) => assert_eq!(prefix, asked),
                (Verb::Update { servers }, Scope::All) => assert!(servers.is_empty()),
                (Verb::Update { servers }, Scope::Servers(asked)) => {
                    assert_eq!(servers.into_iter().collect::<BTreeSet<_>>(), *asked);
                }
                (verb, scope) => panic!("{verb:?} is no walk of {scope:?}"),
            },
            Request::More => assert!(matches!(self.oldest().verb, Verb::List { .. } | Verb::Update { .. })),
            Request::Subscribe(filter) => match (self.oldest().verb, filter) {
                (Verb::Update { servers }, Filter::All) => assert!(servers.is_empty()),
                (Verb::Update { servers }, Filter::Servers(asked)) => {
                    assert_eq!(servers.into_iter().collect::<BTreeSet<_>>(), *asked);
                }
                (verb, _) => panic!("{verb:?} subscribes to nothing"),
            },
            Request::Reannounce => assert!(matches!(self.oldest().verb, Verb::Update { .. })),
            Request::Drain => assert!(self.stream.is_some()),
            Request::Barrier => {
                assert!(self.stream.is_some());
                assert_eq!(self.oldest().verb, Verb::Noop);
            }
        }
    }

    /// Changes are carried out in order, also those of a peer that is gone.
    fn submitted(&mut self, action: &Action) {
        assert!(self.logged_in && self.stream.is_none());
        while self.abandoned && self.change(&self.frames[0]).is_none() {
            self.frames.pop_front();
        }
        assert_eq!(self.change(&self.frames[self.submitted]).as_ref(), Some(action));
        if self.abandoned {
            self.frames.pop_front();
        } else {
            self.submitted += 1;
        }
    }

    /// The session waits for its peer, and for the answers to changes.
    pub fn rests_behind_changes(&self) {
        assert!(self.abandoned || self.frames.len() == self.submitted, "passed over: {:?}", self.frames);
    }

    /// The session waits for its peer.
    pub fn rests(&self, streams: bool) {
        assert!(self.abandoned || self.frames.is_empty(), "a command was passed over: {:?}", self.frames);
        assert!(self.abandoned || streams == self.stream.is_some());
        assert!(!self.logged_out && !self.bye, "goes on after the last word");
        assert!(self.login.is_none() || self.line_due, "a login was forgotten");
    }

    /// The session is over. In the middle of a TLS handshake it has no words for that.
    pub fn closed(&self, reason: &Reason, shaking: bool) {
        match reason {
            Reason::Logout => assert!(self.logged_out || self.abandoned),
            Reason::EndOfInput if self.abandoned => {
                let undone = self.logged_in
                    && self.stream.is_none()
                    && self.frames.iter().any(|frame| self.change(frame).is_some());
                assert!(!undone, "a change was dropped: {:?}", self.frames);
            }
            Reason::EndOfInput => assert!(self.frames.is_empty(), "commands were dropped: {:?}", self.frames),
            Reason::Protocol(_) => assert!(self.abandoned || self.frames[0].is_err()),
            Reason::Bye(_) => assert!(self.shutdown),
            Reason::Injected(_) | Reason::TimedOut(_) | Reason::LoginsFailed => {}
        }
        let told = !shaking && !matches!(reason, Reason::Logout | Reason::EndOfInput | Reason::Injected(_));
        assert!(self.abandoned || self.bye == told, "BYE at the end");
    }

    /// The oldest command that is not answered.
    fn oldest(&self) -> Command {
        match self.frames.front() {
            Some(Ok(Frame::Message(message))) => Command::parse(message.clone()).expect("a command"),
            other => panic!("no command: {other:?}"),
        }
    }

    /// The change that a frame asks for, if it is one for the writer.
    fn change(&self, frame: &Result<Frame, FrameError>) -> Option<Action> {
        let Ok(Frame::Message(message)) = frame else { return None };
        let action = match Command::parse(message.clone()).ok()?.verb {
            Verb::Reserve { mailbox, location } => Action::Reserve { mailbox, location },
            Verb::Activate { mailbox, location, acl } => Action::Activate { mailbox, location, acl },
            Verb::Deactivate { mailbox, location } => Action::Deactivate { mailbox, location },
            Verb::Delete { mailbox } => Action::Delete { mailbox },
            _ => return None,
        };
        let legal = action.mailbox().as_bytes().len() <= self.config.name_limit;
        (legal && self.config.role == Role::Master).then_some(action)
    }
}
