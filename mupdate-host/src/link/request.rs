//! Carrying out what a session asks for.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use mupdate_core::{
    directory::{Filter, Revision},
    server::{AuthReply, AuthStep, LayerFacts, Note, Reply, Request, ServerSession, Ticket},
};
use mupdate_proto::MailboxName;
use tracing::{error, info, warn};

use super::{Peer, Turns, clients::ClientStream};
use crate::{
    auth::{Login, LoginStep, TlsFacts, Transport},
    connections::Facts,
    feeds::Subscription,
    inbox::Inbox,
    metrics::LinkCounts,
    pace::{Pace, Rate},
    permits::Refused,
    service::Service,
    store::{Pager, Reannounce, Snapshot, StoreError},
    sync::lock,
    tally::Share,
    writer::{Job, Memo, Origin},
};

/// What the peer is told when the store cannot be read; the log has the rest.
const UNREADABLE: &str = "the directory cannot be read; see the server's log";

/// The right password, but one connection too many. Only whoever knows the password hears of it.
const CROWDED: &str = "too many connections of this user";

/// Changes, times the streams that are told of them at once, that are so many that to read them is long work.
const MANY: usize = 512;

/// What is not done at once, but in a [turn](super::Turns).
#[derive(Debug)]
enum Long {
    /// The next page of the walk under way.
    Page,
    /// The changes that wait.
    Drain,
    /// What the subscriber can have lost is being looked for.
    Search(Reannounce),
}

/// How fast the commands of one connection are taken.
#[derive(Debug)]
struct Pacing {
    pace: Arc<Pace>,
    rate: Rate,
    /// That of the next command.
    moment: Option<Instant>,
}

/// One connection's side of everything that is shared.
#[derive(Debug)]
pub(super) struct Requests {
    service: Arc<Service>,
    peer: Peer,
    inbox: Arc<Inbox>,
    /// What others see of the connection.
    facts: Arc<Facts>,
    login: Login,
    /// The connection counts for the user that it is logged in as.
    user: Option<Share<String>>,
    /// How fast his commands are taken, if there is a limit.
    pacing: Option<Pacing>,
    /// Who the writer's log names; set by the first change.
    origin: Option<Origin>,
    /// Where the walk begun last has come to.
    pager: Option<Pager>,
    subscription: Option<Subscription>,
    /// For the FINDs of one burst, which all came before it was taken.
    snapshot: Option<Snapshot>,
    /// Work that takes long, to be gone on with.
    long: Option<(Ticket, Long)>,
    /// Under which name the subscriber is remembered, if under any.
    pub client: Option<ClientStream>,
}

impl Requests {
    pub fn new(service: Arc<Service>, peer: Peer, inbox: Arc<Inbox>, facts: Arc<Facts>) -> Self {
        let network = peer.network(service.settings().ipv6_prefix);
        let transport = Transport { loopback: peer.is_local(), network, tls: None };
        let login = service.auth.login(transport, peer.to_string());
        Self {
            service,
            peer,
            inbox,
            facts,
            login,
            user: None,
            pacing: None,
            origin: None,
            pager: None,
            subscription: None,
            snapshot: None,
            long: None,
            client: None,
        }
    }

    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What logins have to do with what is true of the connection now.
    pub fn facts(&self) -> LayerFacts {
        LayerFacts { mechanisms: self.login.mechanisms(), ..LayerFacts::default() }
    }

    /// The connection is encrypted from now on.
    pub fn encrypted(&mut self, facts: TlsFacts) {
        self.login.encrypted(Arc::new(facts));
    }

    /// Where links count.
    pub fn counts(&self) -> &LinkCounts {
        &self.service.metrics.links
    }

    /// What the daemon is now.
    pub fn role(&self) -> mupdate_proto::Role {
        self.service.role()
    }

    /// The turns of long work.
    pub fn turns(&self) -> &Arc<Turns> {
        &self.service.turns
    }

    /// The turns of handshakes.
    pub fn handshakes(&self) -> &Arc<Turns> {
        &self.service.handshakes
    }

    /// There is long work to go on with.
    pub fn are_long(&self) -> bool {
        self.long.is_some()
    }

    /// Do what the session asks for: short reads at once, long ones by and by with [`go_on`](Self::go_on), the rest
    /// by others, who answer through the inbox.
    pub fn carry_out(
        &mut self,
        session: &mut ServerSession,
        out: &mut BytesMut,
        ticket: Ticket,
        request: Request,
    ) {
        if request.reads()
            && let Err(text) = self.may_read(session)
        {
            return session.reply(ticket, Reply::Failed(text));
        }
        // Whatever else is done, the FINDs behind it may have to see.
        let snapshot = self.snapshot.take();
        let done = match request {
            Request::Authenticate(step) => {
                self.authenticate(session, ticket, step);
                Ok(())
            }
            Request::Submit(action) => {
                let (origin, inbox) = (self.origin(session), Arc::clone(&self.inbox));
                self.service.writer.submit(Job::Action { action, origin, ticket, inbox });
                Ok(())
            }
            Request::Find(mailbox) => self.find(session, out, ticket, snapshot, &mailbox),
            Request::Walk(scope) => self.service.store.pager(scope).map(|pager| {
                self.pager = Some(pager);
                self.long = Some((ticket, Long::Page));
            }),
            Request::More => {
                self.long = Some((ticket, Long::Page));
                Ok(())
            }
            Request::Subscribe(filter) => {
                self.subscribe(session, filter);
                session.reply(ticket, Reply::Subscribed);
                Ok(())
            }
            Request::Reannounce => self.reannounce(session, ticket),
            Request::Drain if self.drain_is_long() => {
                self.long = Some((ticket, Long::Drain));
                Ok(())
            }
            Request::Drain => self.drain(session, out, ticket),
            Request::Barrier => {
                self.barrier(session, ticket);
                Ok(())
            }
        };
        if let Err(error) = done {
            self.unreadable(session, ticket, &error);
        }
    }

    /// Take notice.
    pub fn note(&mut self, note: Note) {
        let memo = match note {
            Note::Learned { server, order } => {
                let known = self.service.store.order_of(&server).ok().flatten();
                if known.is_some_and(|known| known != order) {
                    self.counts().order_mismatches.one();
                }
                self.service.store.learn(&server, order);
                Memo::Learned { server, order }
            }
            Note::Synced(revision) => match &self.client {
                Some(client) => match client.proved(revision) {
                    Some(revision) => synced(client, revision),
                    None => return,
                },
                None => return,
            },
            Note::Guarded { .. } => return self.counts().guarded.one(),
            Note::TooLong(_) => return,
        };
        self.service.writer.submit(Job::Note(memo));
    }

    fn authenticate(&mut self, session: &mut ServerSession, ticket: Ticket, step: AuthStep) {
        match self.login.step(step) {
            LoginStep::Reply(reply) => self.answer(session, ticket, Reply::Auth(reply)),
            LoginStep::Verify(credentials) => {
                let inbox = Arc::clone(&self.inbox);
                let done = move |reply| inbox.deliver(ticket, Reply::Auth(reply));
                self.service.auth.check(credentials, Box::new(done));
            }
            LoginStep::Cancelled => {}
        }
    }

    /// Hand the session an answer from elsewhere. A login counts for its user, if there is room for one more.
    pub fn answer(&mut self, session: &mut ServerSession, ticket: Ticket, reply: Reply) {
        let reply = match reply {
            Reply::Auth(AuthReply::Accepted { principal }) => Reply::Auth(self.log_in(session, principal)),
            other => other,
        };
        session.reply(ticket, reply);
    }

    fn log_in(&mut self, session: &mut ServerSession, principal: String) -> AuthReply {
        let settings = self.service.settings();
        let limit = settings.connections_per_user;
        self.user = self.service.connections.log_in(&principal, limit);
        if self.user.is_some() {
            self.facts.logged_in(&principal);
            self.pacing = settings.rate.map(|rate| Pacing {
                pace: self.service.paces.of(&principal, Instant::now()),
                rate,
                moment: None,
            });
            if self.pacing.is_some() {
                session.hold_commands();
            }
            return AuthReply::Accepted { principal };
        }
        self.counts().crowded.one();
        warn!(peer = %self.peer, user = principal, limit, "login refused: too many connections (limits.connections_per_user)");
        AuthReply::Rejected { text: CROWDED.to_owned(), delay: Duration::ZERO }
    }

    /// May the session take the next command now? If not, [`held_until`](Self::held_until) says when.
    pub fn permit(&mut self, now: Instant) -> bool {
        let Some(Pacing { pace, rate, moment }) = &mut self.pacing else { return true };
        let permitted = *moment.get_or_insert_with(|| pace.next(*rate, now)) <= now;
        if permitted {
            *moment = None;
        }
        permitted
    }

    /// When the command comes that is held, if one is.
    pub fn held_until(&self) -> Option<Instant> {
        self.pacing.as_ref()?.moment
    }

    /// The session is over, and nobody had logged in.
    pub fn left(&self) {
        self.login.left();
    }

    /// The session is over: whoever hears of that finds the user's place free. (That of the connection itself is free
    /// when nothing of it is left.)
    pub fn log_out(&mut self) {
        self.user = None;
    }

    fn origin(&mut self, session: &ServerSession) -> Origin {
        let peer = self.peer;
        let origin = self.origin.get_or_insert_with(|| Origin {
            principal: session.principal().unwrap_or_default().into(),
            peer: peer.to_string().into(),
        });
        origin.clone()
    }

    /// Roles can change while a connection is open.
    fn may_read(&self, session: &ServerSession) -> Result<(), String> {
        let principal = session.principal().unwrap_or_default();
        let permits = &self.service.permits;
        permits.permit_reading(principal).map_err(|refusal| {
            if permits.tells(principal, Instant::now()) {
                info!(%principal, peer = %self.peer, "refused: {refusal}");
                permits.keep(Refused::now(principal, &self.peer.to_string(), None, &refusal));
            }
            refusal.to_string()
        })
    }

    fn find(
        &mut self,
        session: &mut ServerSession,
        out: &mut BytesMut,
        ticket: Ticket,
        snapshot: Option<Snapshot>,
        mailbox: &MailboxName,
    ) -> Result<(), StoreError> {
        let store = &self.service.store;
        let snapshot = snapshot.map_or_else(|| store.snapshot(), Ok)?;
        let found = store.find(&snapshot, mailbox, session.rows(ticket, out));
        self.snapshot = Some(snapshot);
        found
    }

    /// What comes from here on is another burst.
    pub fn end_burst(&mut self) {
        self.snapshot = None;
    }

    /// The next page of the walk under way.
    fn page(
        &mut self,
        session: &mut ServerSession,
        out: &mut BytesMut,
        ticket: Ticket,
    ) -> Result<(), StoreError> {
        match &mut self.pager {
            Some(pager) => self.service.store.page(pager, session.rows(ticket, out)),
            None => missing(session, ticket, "walk"),
        }
    }

    fn subscribe(&mut self, session: &ServerSession, filter: Filter) {
        // A name says when its client had everything, which a subscriber to a part never has.
        let whole = matches!(filter, Filter::All);
        let name = format!("{}@{}", session.principal().unwrap_or_default(), self.peer.host());
        let inbox = Arc::clone(&self.inbox);
        let subscription = self.service.feeds.subscribe_as(&name, filter, inbox);
        self.facts.follows(subscription.followed());
        self.subscription = Some(subscription);
        self.client = match (session.principal(), self.peer.remote_address()) {
            (Some(principal), Some(address)) if whole => Some(self.service.clients.open(principal, address)),
            _ => None,
        };
        if let Some((client, revision)) = self.client.as_ref().and_then(|c| Some((c, c.opened()?))) {
            self.service.writer.submit(Job::Note(synced(client, revision)));
        }
    }

    /// Begin to put what the subscriber can have lost into its feed; [`go_on`](Self::go_on) does the rest.
    fn reannounce(&mut self, session: &mut ServerSession, ticket: Ticket) -> Result<(), StoreError> {
        let since = match &self.client {
            Some(client) => client.in_sync_until(self.service.store.client_synced(client.name().as_bytes())?),
            None => None,
        };
        match &self.subscription {
            Some(subscription) => {
                self.long = Some((ticket, Long::Search(self.service.store.reannounce(since, subscription))));
                Ok(())
            }
            None => missing(session, ticket, "subscription"),
        }
    }

    /// Go on with what takes long; false if there is nothing.
    pub fn go_on(&mut self, session: &mut ServerSession, out: &mut BytesMut) -> bool {
        let Some((ticket, long)) = self.long.take() else { return false };
        let done = match long {
            Long::Page => self.page(session, out, ticket),
            Long::Drain => self.drain(session, out, ticket),
            Long::Search(search) => self.search(session, ticket, search),
        };
        if let Err(error) = done {
            self.unreadable(session, ticket, &error);
        }
        true
    }

    /// The feed is to be kept in order even while the peer takes nothing.
    pub fn sort_in(&self) {
        if let Some(subscription) = &self.subscription {
            lock(subscription.feed()).sort_in();
        }
    }

    /// Much has come for the stream that is not sorted in yet.
    pub fn is_unsorted(&self) -> bool {
        self.subscription.as_ref().is_some_and(|subscription| lock(subscription.feed()).is_unsorted())
    }

    /// Reading what waits keeps others waiting, as all other streams were woken by the same changes.
    fn drain_is_long(&self) -> bool {
        let behind = self.subscription.as_ref().map_or(0, Subscription::behind);
        behind * self.service.feeds.subscribers() > MANY
    }

    fn search(
        &mut self,
        session: &mut ServerSession,
        ticket: Ticket,
        mut search: Reannounce,
    ) -> Result<(), StoreError> {
        let Some(subscription) = &self.subscription else { return missing(session, ticket, "subscription") };
        match self.service.store.reannounce_some(&mut search, subscription)? {
            Some(revision) => session.reply(ticket, Reply::Reannounced { revision }),
            None => self.long = Some((ticket, Long::Search(search))),
        }
        Ok(())
    }

    fn unreadable(&self, session: &mut ServerSession, ticket: Ticket, error: &StoreError) {
        error!(peer = %self.peer, user = session.principal(), %error, "the directory cannot be read");
        session.reply(ticket, Reply::Failed(UNREADABLE.to_owned()));
    }

    fn drain(
        &mut self,
        session: &mut ServerSession,
        out: &mut BytesMut,
        ticket: Ticket,
    ) -> Result<(), StoreError> {
        match &self.subscription {
            Some(subscription) => {
                let published = self.service.feeds.published();
                self.service.store.drain(subscription, published, session.rows(ticket, out))
            }
            None => missing(session, ticket, "subscription"),
        }
    }

    fn barrier(&mut self, session: &mut ServerSession, ticket: Ticket) {
        match &self.subscription {
            Some(subscription) => {
                let (inbox, feed) = (Arc::clone(&self.inbox), Arc::clone(subscription.feed()));
                self.service.writer.submit(Job::Barrier { ticket, inbox, feed });
            }
            None => drop(missing(session, ticket, "subscription")),
        }
    }
}

fn synced(client: &ClientStream, revision: Revision) -> Memo {
    Memo::Synced { client: Bytes::copy_from_slice(client.name().as_bytes()), revision }
}

/// The session asked for more of what it never began: a fault of ours, which costs no more than one command.
fn missing(session: &mut ServerSession, ticket: Ticket, what: impl fmt::Display) -> Result<(), StoreError> {
    debug_assert!(false, "no {what} was begun");
    error!("a session asked for a {what} that was never begun");
    session.reply(ticket, Reply::Failed("internal error".to_owned()));
    Ok(())
}
