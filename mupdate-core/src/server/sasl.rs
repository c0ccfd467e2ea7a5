//! AUTHENTICATE: lines of base64 between the peer and the mechanism (RFC 3656 section 4.3, RFC 4422).

use std::time::{Duration, Instant};

use bytes::BytesMut;
use mupdate_proto::{SaslLine, Status, Tag, encode_challenge};

use super::{AuthReply, AuthStep, CommandKind, Job, On, Output, Phase, Reason, Request, ServerSession, Task};

/// The answer to a failed login, held back so that guessing takes time.
#[derive(Debug)]
pub(super) struct Penalty {
    pub tag: Tag,
    pub text: String,
    pub delay: Duration,
    /// Unset until the poll after the refusal, the first to know the time.
    pub until: Option<Instant>,
}

impl ServerSession {
    pub(super) fn authenticate(
        &mut self,
        tag: Tag,
        mechanism: &[u8],
        initial: Option<&[u8]>,
        out: &mut BytesMut,
    ) {
        // RFC 4422 leaves "=" for an initial response that is there and empty.
        let initial = match initial {
            None => None,
            Some(b"=") => Some(Vec::new()),
            Some(text) => match SaslLine::parse(text) {
                Ok(SaslLine::Data(data)) => Some(data),
                Ok(SaslLine::Cancel) | Err(_) => {
                    let text = "initial response is not base64";
                    return self.say(CommandKind::Authenticate, &tag, Status::Bad, text, out);
                }
            },
        };
        let mechanism = String::from_utf8_lossy(mechanism).into_owned();
        let step = AuthStep::Start { mechanism, initial };
        self.task = Task::Ask(Job::Login { tag }, Request::Authenticate(step));
    }

    /// A line of a running exchange.
    pub(super) fn sasl_line(&mut self, tag: Tag, line: &[u8], out: &mut BytesMut) {
        let (status, text) = match SaslLine::parse(line) {
            Ok(SaslLine::Data(data)) => {
                self.task = Task::Ask(Job::Login { tag }, Request::Authenticate(AuthStep::Continue(data)));
                return;
            }
            Ok(SaslLine::Cancel) => (Status::No, "authentication cancelled"),
            Err(_) => (Status::Bad, "response is not base64"),
        };
        self.say(CommandKind::Authenticate, &tag, status, text, out);
        self.task = Task::Cancel;
    }

    pub(super) fn auth_reply(&mut self, tag: Tag, reply: AuthReply, out: &mut BytesMut) {
        match reply {
            AuthReply::Challenge(data) => {
                encode_challenge(&data, out);
                self.task = Task::SaslLine(tag);
            }
            AuthReply::Accepted { principal } => {
                self.principal = Some(principal);
                self.phase = Phase::Ready;
                self.say(CommandKind::Authenticate, &tag, Status::Ok, "Authenticated", out);
            }
            AuthReply::Rejected { text, delay } => {
                self.failures += 1;
                let delay = delay.max(self.config.login_delay);
                self.task = Task::Penalty(Penalty { tag, text, delay, until: None });
            }
        }
    }

    /// Answer the failed login when its time has come.
    pub(super) fn serve_penalty(
        &mut self,
        mut penalty: Penalty,
        out: &mut BytesMut,
        now: Instant,
    ) -> Option<Output> {
        if now < *penalty.until.get_or_insert(now + penalty.delay) {
            self.task = Task::Penalty(penalty);
            return Some(Output::Blocked(On::Reply));
        }
        self.say(CommandKind::Authenticate, &penalty.tag, Status::No, &penalty.text, out);
        if self.failures >= self.config.login_failures {
            self.farewell = Some(Reason::LoginsFailed);
        }
        None
    }
}
