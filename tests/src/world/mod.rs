//! A whole MUPDATE server in memory: the bare core with a directory in maps, connections without sockets and a clock
//! that only moves when it is told to.
//!
//! - Nothing happens by itself. [`World::work`] lists what could happen next, [`World::perform`] lets one of these
//!   happen: whoever chooses decides the interleaving, and the same choices give the same octets.
//! - Time passes in [`World::advance_to`] only; [`World::next_timeout`] says when there will be work again.
//! - The writer is a queue: changes wait in it until [`Work::Commit`], which takes all of them, as group commit does.
//!   They are durable then and can be read; subscribers and backends hear of them in [`Work::Publish`].
//! - [`World::crash`] loses what was not durable.
//!
//! [`WorldStage`] plays transcripts on it.

mod auth;
mod directory;
mod link;
mod settings;
mod stage;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use mupdate_core::{
    directory::{
        Action, Batch, Durable, Edit, Event, Feed, Filter, Fuses, Mass, News, Order, Policy, Refusal,
        Revision, Roles, Speaker, Verdict, Victim, View, permit_reading,
    },
    server::{AuthReply, Note, On, Output, Reason, Reply, Request, Scope, ServerConfig, Ticket},
};
use mupdate_host::link::Clients;
use mupdate_proto::ServerName;

pub use self::{
    directory::Directory,
    settings::Settings,
    stage::{Pace, WorldStage},
};
use self::{directory::Walk, link::Link};

/// Names a connection; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection(u64);

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A connection's session takes a step.
    Step(Connection),
    /// The writer commits all that waits.
    Commit,
    /// The writer tells subscribers and backends of what it has committed.
    Publish,
    /// The writer commits what nothing else has taken along.
    Memos,
}

/// The server.
pub struct World {
    session: Arc<ServerConfig>,
    starttls: bool,
    policy: Policy,
    connections_per_user: Option<usize>,
    orders: BTreeMap<ServerName, Order>,
    roles: Roles,
    fuses: Fuses,
    users: BTreeSet<String>,
    now: Instant,
    directory: Directory,
    links: BTreeMap<Connection, Link>,
    next: u64,
    queue: VecDeque<Job>,
    /// What is durable, and nobody has been told of.
    committed: Option<Committed>,
    /// The revision up to which all feeds are served.
    published: Revision,
    clients: Arc<Clients>,
}

/// A transaction of the writer.
struct Committed {
    durable: Durable<(Connection, Ticket)>,
    /// Who caused each event.
    causes: Vec<Connection>,
    barriers: Vec<(Connection, Ticket)>,
}

/// What waits for the writer.
enum Job {
    Action { connection: Connection, ticket: Ticket, principal: String, action: Action },
    Barrier(Connection, Ticket),
}

impl World {
    /// A server with an empty directory. `start` is what its clock shows.
    pub fn new(settings: Settings, start: Instant) -> Self {
        Self {
            session: Arc::new(settings.session),
            starttls: settings.starttls,
            policy: settings.policy,
            connections_per_user: settings.connections_per_user,
            orders: settings.orders,
            roles: settings.roles,
            fuses: Fuses::new(settings.fuse),
            users: settings.users,
            now: start,
            directory: Directory::default(),
            links: BTreeMap::new(),
            next: 0,
            queue: VecDeque::new(),
            committed: None,
            published: 0,
            clients: Arc::default(),
        }
    }

    /// Opens a connection; `peer` is the address of another machine, if it comes from one.
    pub fn connect(&mut self, peer: Option<IpAddr>) -> Connection {
        let connection = Connection(self.next);
        self.next += 1;
        self.links.insert(connection, Link::new(&self.session, self.starttls, peer, self.now));
        connection
    }

    /// Octets from a client. Those for a connection that is closed are lost.
    pub fn send(&mut self, connection: Connection, octets: &[u8]) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.receive(octets);
        }
    }

    /// A client begins a TLS handshake, which is complete as soon as the server does too.
    pub fn encrypt(&mut self, connection: Connection) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.encrypt(self.now);
        }
    }

    /// A client closes its sending side.
    pub fn finish_sending(&mut self, connection: Connection) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.finish();
        }
    }

    /// A client is gone: nobody reads what is said to it. The changes that its session has received are still carried
    /// out.
    pub fn disconnect(&mut self, connection: Connection) {
        match self.links.get_mut(&connection) {
            Some(link) if link.closed.is_none() => link.abandon(),
            _ => drop(self.links.remove(&connection)),
        }
    }

    /// The server dies and is started again at once: connections, what waits for the writer, and what only memory knew
    /// are gone.
    pub fn crash(&mut self) {
        self.committed = None;
        self.queue.clear();
        self.links.clear();
        self.clients = Arc::default();
        self.directory.forget_memos();
        self.published = self.directory.revision();
    }

    /// Of what waits for the writer all but the first so many commands is lost, as in a crash in the middle of a
    /// commit.
    pub fn lose_waiting(&mut self, survivors: usize) {
        self.queue.truncate(survivors);
    }

    /// The changes of the commit that nobody has been told of yet, and which connection caused each.
    pub fn unpublished(&self) -> impl Iterator<Item = (&Event, Connection)> {
        let committed = self.committed.iter();
        committed.flat_map(|committed| committed.durable.events.iter().zip(committed.causes.iter().copied()))
    }

    /// How many commands of that commit were refused because of who said them.
    pub fn denials(&self) -> u64 {
        let verdicts = self.committed.iter().flat_map(|committed| &committed.durable.verdicts);
        let denied = |(_, verdict): &&(_, Verdict)| verdict.as_ref().is_err_and(Refusal::is_of_the_principal);
        verdicts.filter(denied).map(|_| 1).sum()
    }

    /// Takes what a client can read by now.
    pub fn take_output(&mut self, connection: Connection) -> Vec<u8> {
        self.links.get_mut(&connection).map(Link::take_sent).unwrap_or_default()
    }

    /// Why the server has closed a connection, if it has.
    pub fn closed(&self, connection: Connection) -> Option<&Reason> {
        self.links.get(&connection)?.closed.as_ref()
    }

    /// Has a server take no new names.
    pub fn drain(&mut self, server: &str) {
        self.directory.set_draining(server);
    }

    /// What the server knows.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Makes names what somebody else has decided, as a replica's writer does, and gives the changes that this came to. It
    /// must not be serving changes of its own.
    pub fn edit(&mut self, edits: &[Edit]) -> Vec<Event> {
        self.directory.set_followed();
        let mut batch = Batch::new(self.directory.revision());
        for edit in edits {
            let Ok(()) = batch.set(&mut self.directory, edit, ());
        }
        let events = batch.seal().durable(self.directory.revision()).events;
        self.tell_feeds(&events);
        events
    }

    /// What the clock shows.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Tells every session to say farewell with this text.
    pub fn shutdown(&mut self, text: &str) {
        for link in self.links.values_mut() {
            link.session.shutdown(text);
            link.awake = true;
        }
    }

    /// All that can happen now.
    pub fn work(&self) -> Vec<Work> {
        let awake = self.links.iter().filter(|(_, link)| link.awake && link.closed.is_none());
        let steps = awake.map(|(&connection, _)| Work::Step(connection));
        let writer = if self.committed.is_some() {
            Some(Work::Publish)
        } else if !self.queue.is_empty() {
            Some(Work::Commit)
        } else {
            self.directory.has_memos().then_some(Work::Memos)
        };
        steps.chain(writer).collect()
    }

    /// Lets one thing happen.
    pub fn perform(&mut self, work: Work) {
        match work {
            Work::Step(connection) => self.step(connection),
            Work::Commit => self.commit(),
            Work::Publish => self.publish(),
            Work::Memos => self.directory.write_memos(),
        }
    }

    /// Lets everything happen that can without time or input, the first thing first.
    pub fn settle(&mut self) {
        while let Some(&work) = self.work().first() {
            self.perform(work);
        }
    }

    /// When time alone will make something happen.
    pub fn next_timeout(&self) -> Option<Instant> {
        let open = self.links.values().filter(|link| link.closed.is_none());
        open.filter_map(|link| link.session.poll_timeout()).min()
    }

    /// Lets time pass. It never runs backwards.
    pub fn advance_to(&mut self, now: Instant) {
        self.now = self.now.max(now);
        for link in self.links.values_mut() {
            if link.closed.is_none() && link.session.poll_timeout().is_some_and(|at| at <= self.now) {
                link.session.handle_timeout(self.now);
                link.awake = true;
            }
        }
    }

    /// One poll of a session, and what follows from it.
    fn step(&mut self, connection: Connection) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        link.feed_session(self.now);
        if link.closed.is_some() {
            return;
        }
        match link.session.poll(&mut link.out, self.now) {
            Output::Request(ticket, request) => self.request(connection, ticket, request),
            Output::Note(note) => self.note(connection, note),
            Output::Upgrade(layer) => link.upgrade(layer, self.now),
            Output::Blocked(on) => {
                // Flushing is progress: the session may wait for just that.
                link.awake = !link.out.is_empty() || on == On::Flush;
                link.flush();
            }
            Output::Closed(reason) => {
                link.flush();
                link.closed = Some(reason);
                link.feed = None;
                link.client = None;
                if link.gone {
                    self.links.remove(&connection);
                }
            }
        }
    }

    /// A login counts for its user, if there is room for one more.
    fn answer_login(&mut self, connection: Connection, ticket: Ticket, reply: AuthReply) {
        let open = self.links.values().filter(|link| link.closed.is_none());
        let crowded = |principal: &str| {
            let same = open.filter(|link| link.session.principal() == Some(principal)).count();
            self.connections_per_user.is_some_and(|limit| same >= limit)
        };
        let reply = match reply {
            AuthReply::Accepted { principal } if crowded(&principal) => {
                auth::rejected("too many connections of this user")
            }
            other => other,
        };
        if let Some(link) = self.links.get_mut(&connection) {
            link.session.reply(ticket, Reply::Auth(reply));
        }
    }

    fn request(&mut self, connection: Connection, ticket: Ticket, request: Request) {
        let Self { directory, links, queue, orders, roles, users, published, clients, .. } = self;
        let Some(link) = links.get_mut(&connection) else { return };
        let principal = link.session.principal().unwrap_or_default();
        if request.reads()
            && let Err(refusal) = permit_reading(roles.speaker(principal))
        {
            return link.session.reply(ticket, Reply::Failed(refusal.to_string()));
        }
        match request {
            Request::Authenticate(step) => {
                if let Some(reply) = link.exchange.step(step, users) {
                    self.answer_login(connection, ticket, reply);
                }
            }
            Request::Submit(action) => {
                let principal = principal.to_owned();
                queue.push_back(Job::Action { connection, ticket, principal, action });
            }
            Request::Barrier => queue.push_back(Job::Barrier(connection, ticket)),
            Request::Find(mailbox) => directory.find(&mailbox, link.session.rows(ticket, &mut link.out)),
            Request::Walk(scope) => {
                let order = order_of(&scope, orders, directory);
                let mut walk = Walk::new(scope, order);
                directory.page(&mut walk, link.session.rows(ticket, &mut link.out));
                link.walk = Some(walk);
            }
            Request::More => {
                let walk = link.walk.as_mut().expect("a page comes before the next");
                directory.page(walk, link.session.rows(ticket, &mut link.out));
            }
            Request::Subscribe(filter) => {
                link.client = match (link.session.principal(), link.peer) {
                    (Some(principal), Some(peer)) if filter == Filter::All => {
                        Some(clients.open(principal, peer))
                    }
                    _ => None,
                };
                if let Some((client, revision)) = link.client.as_ref().and_then(|c| Some((c, c.opened()?))) {
                    directory.set_synced(client.name().to_owned(), revision);
                }
                link.feed = Some(Feed::new(filter));
                link.session.reply(ticket, Reply::Subscribed);
            }
            Request::Reannounce => {
                let client = link.client.as_ref();
                let since = client.and_then(|client| client.in_sync_until(directory.synced(client.name())));
                let since = since.filter(|since| since <= published);
                let feed = link.feed.as_mut().expect("a stream subscribes first");
                directory.reannounce(since, feed);
                link.session.reply(ticket, Reply::Reannounced { revision: *published });
            }
            Request::Drain => {
                let feed = link.feed.as_mut().expect("a stream subscribes first");
                directory.drain(feed, *published, link.session.rows(ticket, &mut link.out));
            }
        }
    }

    fn note(&mut self, connection: Connection, note: Note) {
        match note {
            Note::Learned { server, order } => self.directory.set_learned(server, order),
            Note::Synced(revision) => {
                let client = self.links.get(&connection).and_then(|link| link.client.as_ref());
                if let Some((client, revision)) = client.and_then(|c| Some((c, c.proved(revision)?))) {
                    self.directory.set_synced(client.name().to_owned(), revision);
                }
            }
            Note::Guarded { .. } | Note::TooLong(_) => {}
        }
    }

    /// One transaction of the writer: decide, make durable.
    fn commit(&mut self) {
        let mut batch = Batch::new(self.directory.revision());
        let (mut barriers, mut causes) = (Vec::new(), Vec::new());
        for job in self.queue.drain(..) {
            match job {
                Job::Barrier(connection, ticket) => barriers.push((connection, ticket)),
                Job::Action { connection, ticket, principal, action } => {
                    let before = self.directory.revision();
                    let Ok(known) = self.directory.get(action.mailbox());
                    let server = known.as_ref().map(|record| record.location.server());
                    let victim =
                        server.map(|server| Victim { server, names: self.directory.names_at(server) });
                    let held = self.fuses.held(&principal, victim, self.now);
                    let speaker = Speaker { held, ..self.roles.speaker(&principal) };
                    let who = (connection, ticket);
                    let Ok(()) = batch.stage(&mut self.directory, &action, speaker, self.policy, who);
                    if self.directory.revision() > before {
                        causes.push(connection);
                        let mass = batch.last_change().and_then(Mass::of_event);
                        if let Some((mass, server)) = mass.zip(server) {
                            self.fuses.staged(&principal, mass, server);
                        }
                    }
                }
            }
        }
        let sealed = batch.seal();
        if sealed.changes() {
            self.directory.write_memos();
        }
        let durable = sealed.durable(self.directory.revision());
        self.fuses.committed(self.now);
        for (_, verdict) in &durable.verdicts {
            if let Err(Refusal::Held { principal, mass }) = verdict {
                self.fuses.blow(principal, *mass);
            }
        }
        self.committed = Some(Committed { durable, causes, barriers });
    }

    /// Tell the feeds of what is durable, then answer.
    fn publish(&mut self) {
        let Some(Committed { durable, barriers, .. }) = self.committed.take() else { return };
        let Durable { verdicts, events } = durable;
        self.tell_feeds(&events);
        for ((connection, ticket), verdict) in verdicts {
            self.reply(connection, ticket, Reply::Submitted(verdict));
        }
        for (connection, ticket) in barriers {
            let feed = self.links.get_mut(&connection).and_then(|link| link.feed.as_mut());
            let position = feed.map_or(0, Feed::end);
            self.reply(connection, ticket, Reply::Barrier { position });
        }
    }

    fn tell_feeds(&mut self, events: &[Event]) {
        let news = News::from(events);
        for link in self.links.values_mut() {
            let Some(feed) = &mut link.feed else { continue };
            feed.publish(&news);
            if !feed.is_empty() {
                link.session.changed();
                link.awake = true;
            }
        }
        self.published = events.last().map_or(self.published, |event| event.revision);
    }

    /// Answers a session, if it is still there.
    fn reply(&mut self, connection: Connection, ticket: Ticket, reply: Reply) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.session.reply(ticket, reply);
            link.awake = true;
        }
    }
}

/// The order of a walk: a server's own for what begins with the server, else v36.
fn order_of(scope: &Scope, configured: &BTreeMap<ServerName, Order>, directory: &Directory) -> Order {
    let server = match scope {
        Scope::Prefix(prefix) => prefix.iter().position(|&octet| octet == b'!').map(|bang| &prefix[..bang]),
        Scope::All | Scope::Servers(_) => None,
    };
    let server = server.and_then(|server| ServerName::new(server.to_vec()).ok());
    server
        .and_then(|server| configured.get(&server).copied().or_else(|| directory.learned(&server)))
        .unwrap_or(Order::V36)
}
