//! One connection: its requests, one after the other.

use std::{
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use tracing::{debug, error, info};

use super::{
    Body, Long, Out, Who,
    login::log_in,
    socket::{PIECE, Wire},
};
use crate::{
    admin::{
        Admin,
        http::{Framing, Head, Method, Reader, Refused, Request},
        routes::{Answer, Call, Content, find},
    },
    auth::TlsFacts,
    link::Peer,
};

/// A head has to come within this time, from its first octet on; and the first one of a connection, with its TLS
/// handshake, from the connection's beginning on.
const TIME: Duration = Duration::from_secs(10);

/// How long a connection may be silent between two requests.
const IDLE: Duration = Duration::from_secs(60);

/// A connection and what has come of it.
pub(super) struct Conversation<'a> {
    admin: &'a Arc<Admin>,
    peer: Peer,
    wire: Wire,
    reader: Reader,
    tls: Option<Arc<TlsFacts>>,
    /// The peer of a Unix socket.
    local: Option<Who>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(admin: &'a Arc<Admin>, peer: Peer, wire: Wire) -> Self {
        let local = matches!(peer, Peer::Unix).then(|| Who::Local(wire.peer_uid()));
        Self { admin, peer, wire, reader: Reader::default(), tls: None, local }
    }

    /// Answer until the peer has asked enough.
    pub(super) fn run(mut self) -> io::Result<()> {
        let talked = self.talk();
        self.wire.close();
        match talked {
            // Nothing is wrong with a peer that asks no more.
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionAborted) => {
                Ok(())
            }
            other => other,
        }
    }

    fn talk(&mut self) -> io::Result<()> {
        let mut deadline = Instant::now() + TIME;
        if self.local.is_none() && self.wire.begins_with_tls(deadline)? {
            let Some(tls) = self.admin.service.settings().tls.clone() else {
                return Err(io::Error::other("it awaits TLS, and there is no certificate"));
            };
            self.tls = Some(Arc::new(self.wire.encrypt(&tls, deadline)?));
        }
        loop {
            let request = match self.request(deadline)? {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                Err(refused) => {
                    self.say(None, refused.into(), true)?;
                    return Ok(());
                }
            };
            if !self.answer(&request)? {
                return Ok(());
            }
            deadline = Instant::now() + IDLE;
        }
    }

    /// The next request, if another comes.
    fn request(&mut self, mut deadline: Instant) -> io::Result<Result<Option<Request>, Refused>> {
        let mut piece = [0; PIECE];
        loop {
            match self.reader.request() {
                Ok(Some(request)) => return Ok(Ok(Some(request))),
                Ok(None) => {}
                Err(refused) => return Ok(Err(refused)),
            }
            let idle = self.reader.is_idle();
            match self.wire.read(&mut piece, deadline) {
                Ok(0) if idle => return Ok(Ok(None)),
                Ok(0) => return Ok(Err(Refused::bad("the request ends in its midst"))),
                Ok(length) => {
                    self.reader.push(&piece[..length]);
                    if idle {
                        deadline = deadline.min(Instant::now() + TIME);
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut && !idle => {
                    return Ok(Err(Refused::new(408, "the request did not come in time")));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Answer a request; true if another may follow.
    fn answer(&mut self, request: &Request) -> io::Result<bool> {
        let (who, answer) = match self.carry_out(request) {
            Ok((who, answer)) => (Some(who), answer),
            Err((who, answer)) => (who, *answer),
        };
        self.log(request, who.as_ref(), answer.status);
        // Whoever could not log in begins anew; and what is left of a body is not read only to be thrown away.
        let close = !request.keep_alive
            || answer.status == 401
            || answer.last
            || self.reader.body_left() > 0
            || self.wire.is_closing();
        self.say(Some(request), answer, close)?;
        Ok(!close)
    }

    /// What is to be said, and to whom.
    fn carry_out(&mut self, request: &Request) -> Result<(Who, Answer), (Option<Who>, Box<Answer>)> {
        let found = find(request);
        let open = found.as_ref().is_ok_and(|found| found.route.open);
        let who = self.who(request, open).map_err(|refused| (None, Box::new(refused.into())))?;
        let refuse = |answer: Answer| (Some(who.clone()), Box::new(answer));
        let found = found.map_err(&refuse)?;
        let route = found.route;
        request.query.only(route.parameters).map_err(|refused| refuse(refused.into()))?;
        if request.length > route.body {
            let text = match route.body {
                0 => "this takes no body".to_owned(),
                most => format!("the body is longer than {most} octets"),
            };
            return Err(refuse(Refused::new(413, text).into()));
        }
        let body = Body::new(&mut self.wire, &mut self.reader, request.expects);
        let mut call = Call { admin: self.admin, request, who: &who, parameter: found.parameter, body };
        let answered = catch_unwind(AssertUnwindSafe(|| (route.handler)(&mut call)));
        match answered {
            Ok(Ok(answer)) => Ok((who, answer)),
            Ok(Err(refused)) => Err(refuse(refused.into())),
            Err(_) => Err(refuse(Refused::new(500, "this is a fault of the daemon; see its log").into())),
        }
    }

    /// Who asks, and may.
    fn who(&self, request: &Request, open: bool) -> Result<Who, Refused> {
        if request.has_origin {
            return Err(Refused::new(403, "nothing is said to the pages of other sites"));
        }
        if let Some(local) = &self.local {
            // Through a tunnel a browser comes here without a login, and for a page whose name is made to mean this host.
            return match request.names_this_host(&self.admin.service.settings().session.host) {
                true => Ok(local.clone()),
                false => Err(Refused::new(421, "this is not that host; ask it as localhost")),
            };
        }
        if self.tls.is_none() && !self.peer.is_local() {
            return Err(Refused::new(403, "from other hosts, TLS is needed: https"));
        }
        if open {
            return Ok(Who::Anybody);
        }
        let authorization = request.authorization.as_ref().map(|text| text.as_str());
        log_in(self.admin, &self.wire, self.peer, self.tls.as_ref(), authorization)
    }

    /// Write an answer.
    fn say(&mut self, request: Option<&Request>, answer: Answer, close: bool) -> io::Result<()> {
        let Answer { status, kind, fields, content, .. } = answer;
        let headless = request.is_some_and(|request| request.method == Method::Head);
        let framing = match &content {
            Content::Whole(octets) => Framing::Length(octets.len() as u64),
            Content::Stream { length: Some(length), .. } => Framing::Length(*length),
            Content::Stream { .. } if request.is_some_and(|request| request.modern) => Framing::Chunked,
            Content::Stream { .. } => Framing::Close,
        };
        // Streams have a bound of their own.
        let long = match &content {
            Content::Stream { long, .. } if !headless => match self.wire.seat().long(*long) {
                Some(share) => Some(share),
                None => {
                    let text = match long {
                        Long::List => "too many long answers are under way; try again",
                        Long::Page => "too many status pages are open; close one",
                    };
                    return self.say(request, Refused::new(503, text).into(), close);
                }
            },
            _ => None,
        };
        let mut out = BytesMut::new();
        let close = close || framing == Framing::Close;
        Head { status, kind, framing, close, fields: &fields }.encode(SystemTime::now(), &mut out);
        match content {
            Content::Whole(octets) => {
                if !headless {
                    out.extend_from_slice(&octets);
                }
                self.wire.write(&out)
            }
            Content::Stream { .. } if headless => self.wire.write(&out),
            Content::Stream { write, .. } => {
                self.wire.write(&out)?;
                let mut body = Out::new(&mut self.wire, framing);
                let written = catch_unwind(AssertUnwindSafe(|| write(&mut body)))
                    .unwrap_or_else(|_| Err(io::Error::other("a fault of the daemon")));
                drop(long);
                match written {
                    Ok(()) => body.finish(),
                    Err(error) => {
                        if error.kind() == ErrorKind::Other {
                            error!(peer = %self.peer, %error, "an answer of the admin interface ends early");
                        }
                        // Without its end, the peer knows that it is not whole.
                        Err(error)
                    }
                }
            }
        }
    }

    fn log(&self, request: &Request, who: Option<&Who>, status: u16) {
        let (method, path) = (request.method.as_str(), request.path.escape_debug());
        let who = who.map(ToString::to_string);
        if request.method == Method::Post && status < 400 {
            info!(who, peer = %self.peer, status, "admin: {method} {path}");
        } else {
            debug!(who, peer = %self.peer, status, "admin: {method} {path}");
        }
    }
}
