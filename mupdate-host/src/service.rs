//! What all connections of a daemon share, and what of it a reload replaces.

#[cfg(test)]
pub(crate) mod fixture;
mod role;

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use mupdate_core::server::ServerConfig;
use mupdate_proto::{Response, Role, Status};
use tracing::{info, warn};

use crate::{
    auth::Authenticator,
    authority::{Authority, Following, Local, Standing},
    config::{AuthorityKind, Config, UpstreamHost, roles},
    connections::{Connections, Place},
    exit::{Code, Fatal},
    feeds::Feeds,
    fuses::FuseBox,
    link::{Clients, Peer, Turns, Vigils},
    listen::Entrance,
    metrics::Metrics,
    pace::{Paces, Rate},
    pairs::Pairs,
    permits::Permits,
    store::{OpenError, Progress, Store, StoreError, StoreOptions},
    tls::Tls,
    upstream::Upstream,
    users::{self, FirstUser, Users},
    writer::{Done, Job, Remember, Writer, WriterOptions},
};

/// Refused connections are logged at most that often; all of them are counted.
const REFUSALS_LOGGED: Duration = Duration::from_secs(1);

/// A running directory, without its sockets.
#[derive(Debug)]
pub struct Service {
    /// Where sessions read.
    pub store: Store,
    /// Through whom they change anything.
    pub writer: Arc<Writer>,
    /// Who is told of changes.
    pub feeds: Arc<Feeds>,
    /// Who may do what.
    pub permits: Arc<Permits>,
    /// And how much of it at a time.
    pub fuses: Arc<FuseBox>,
    /// Who speaks for which server.
    pub pairs: Arc<Pairs>,
    /// Who checks logins.
    pub auth: Arc<Authenticator>,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// Who has an UPDATE stream.
    pub clients: Arc<Clients>,
    /// How fast each user's commands are taken.
    pub paces: Paces,
    /// Who is at long work.
    pub turns: Arc<Turns>,
    /// Who is at a TLS handshake that goes on. A backend that connects need not wait for those who are at other long
    /// work, nor those who are connected for a storm of handshakes.
    pub handshakes: Arc<Turns>,
    /// Who does not go to sleep just yet.
    pub vigils: Arc<Vigils>,
    /// What is counted for all connections together.
    pub metrics: Metrics,
    settings: ArcSwap<Settings>,
    capacity: usize,
    refusal_logged: Mutex<Option<Instant>>,
    upstream: Option<Upstream>,
    /// What the configuration said at the start.
    configured: AuthorityKind,
    /// Who promotes or demotes is alone with that.
    turning: crate::sync::Mutex<()>,
}

/// What a connection is set up with. It keeps what it began with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The session's part.
    pub session: Arc<ServerConfig>,
    /// How many connections there may be.
    pub connections: usize,
    /// How many of them may come from one address, and how much of an IPv6 address counts.
    pub connections_per_address: Option<usize>,
    /// See [`Peer::network`].
    pub ipv6_prefix: u8,
    /// How many of them may be logged in as one user.
    pub connections_per_user: Option<usize>,
    /// How fast the commands of one user are taken.
    pub rate: Option<Rate>,
    /// How many times compressed input may grow.
    pub deflate_ratio: Option<u32>,
    /// How long a peer may take nothing of what waits for it.
    pub stall: Duration,
    /// Certificates and all that, if there is TLS.
    pub tls: Option<Arc<Tls>>,
}

impl Service {
    /// Open the directory and everything around it. At the first start a user is made.
    ///
    /// `capacity` is how many connections the system has means for, whatever the configuration allows.
    /// `on_fatal` is called, with one line, when the process must end because nobody knows what is on the disk. `progress`
    /// hears how far the look at the database has come, which may take minutes where it is large.
    ///
    /// # Errors
    /// What the operator has to know before the daemon can start. The store comes first: if it cannot be opened,
    /// nothing on the disk has changed.
    pub fn open(
        config: &Config,
        capacity: usize,
        on_fatal: Box<dyn FnOnce(&str) + Send>,
        progress: Progress,
    ) -> Result<(Arc<Self>, Option<FirstUser>), Fatal> {
        let tls = Tls::load(config, None)?;
        let options = StoreOptions {
            map_size: config.store.map_size,
            max_readers: config.readers(),
            tombstones: config.store.tombstones,
            journal: config.store.journal,
            journal_age: config.store.journal_age,
            orders: config.orders.clone(),
            progress,
        };
        let store = Store::open(&config.data_dir, options).map_err(|error| unopened(&error))?;
        let first_user = users::first_start(&config.data_dir)?;
        let users = Users::load(&config.data_dir)?;
        if config.roles.are_open() {
            info!("there are no [roles]: whoever is logged in may change every mailbox");
        }
        log_remarks(config, &users);
        let secret = users::login_secret(&config.data_dir)?;
        let auth = Authenticator::new(users, secret, config)?;
        let feeds = Feeds::new(store.revision().map_err(|error| unreadable(&error))?);
        let (is, overruled) = standing(config, &store)?;
        let authority: Box<dyn Authority> = match is {
            AuthorityKind::Local => Box::new(Local),
            AuthorityKind::Upstream => Box::new(Following { url: upstream_url(config) }),
        };
        let metrics = Metrics::default();
        let settings = Settings::new(config, &store, authority.role(), tls, &metrics);
        let permits = Arc::new(Permits::new(config.roles.clone()));
        let fuses = FuseBox::open(&config.data_dir, config.fuse).map_err(|error| {
            Fatal::new(Code::IoErr, format!("cannot read {}/fuses: {error}", config.data_dir.display()))
        })?;
        let fuses = Arc::new(fuses);
        let pairs = Arc::new(Pairs::new(&config.pairs));
        let options = WriterOptions {
            policy: config.policy,
            batch: config.limits.batch,
            permits: Arc::clone(&permits),
            fuses: Arc::clone(&fuses),
            pairs: Arc::clone(&pairs),
            ..WriterOptions::default()
        };
        let writer = Writer::spawn(store.clone(), authority, Arc::clone(&feeds), options, on_fatal)
            .map_err(|error| Fatal::new(Code::OsErr, format!("cannot start the writer's thread: {error}")))?;
        let writer = Arc::new(writer);
        if overruled {
            forget_standing(&writer);
        }
        let upstream = Upstream::new(&config.upstream, &store, &writer);
        let processors = crate::daemon::processors();
        let service = Self {
            upstream,
            configured: config.authority,
            turning: crate::sync::Mutex::default(),
            store,
            writer,
            feeds,
            permits,
            fuses,
            pairs,
            auth,
            connections: Arc::default(),
            clients: Arc::default(),
            paces: Paces::default(),
            turns: Arc::new(Turns::new(processors)),
            handshakes: Arc::new(Turns::new(processors)),
            vigils: Arc::new(Vigils::new(processors)),
            metrics,
            settings: ArcSwap::from_pointee(settings),
            capacity,
            refusal_logged: Mutex::default(),
        };
        service.begin_to_follow();
        Ok((Arc::new(service), first_user))
    }

    /// Take over a new configuration, new users and what was [loaded](Tls::load) of TLS. Connections that are open keep
    /// their limits and their certificate.
    pub fn reload(&self, config: &Config, users: Users, tls: Option<Arc<Tls>>) {
        // Somebody may be promoting or demoting just now: whichever comes second builds on the first.
        self.settings.rcu(|current| {
            let role = current.session.role.clone();
            Settings::new(config, &self.store, role, tls.clone(), &self.metrics)
        });
        self.store.set_orders(config.orders.clone());
        self.permits.replace(config.roles.clone());
        self.fuses.set_limits(config.fuse);
        self.pairs.declare(&config.pairs);
        if let Err(error) = self.fuses.reread() {
            warn!(%error, "the files of fuses cannot be read; released fuses are seen one by one");
        }
        log_remarks(config, &users);
        self.auth.reload(users, config);
    }

    /// What a new connection is set up with now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// How many connections there may be.
    pub fn connection_limit(&self) -> usize {
        self.settings.load().connections.min(self.capacity)
    }

    /// Let a connection in, or turn it away if there are too many: in words, unless it awaits TLS. `socket` must not block.
    pub fn admit(&self, peer: &Peer, entrance: Entrance, socket: impl Write) -> Option<Place> {
        let settings = self.settings.load();
        let limit = settings.connections.min(self.capacity);
        let Some(place) = self.connections.admit(limit) else {
            self.log_refusal(peer, limit, "limits.connections");
            refuse(entrance, socket, "too many connections");
            return None;
        };
        let Some(network) = peer.network(settings.ipv6_prefix) else { return Some(place) };
        let place = place.come_from(network, settings.connections_per_address);
        if place.is_none() {
            let limit = settings.connections_per_address.unwrap_or(limit);
            self.log_refusal(peer, limit, "limits.connections_per_address");
            refuse(entrance, socket, "too many connections from your address");
        }
        place
    }

    /// Is it time to log a refused connection again?
    pub fn tells_of_refusal(&self) -> bool {
        let mut logged = self.refusal_logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = logged.is_none_or(|at| now.duration_since(at) >= REFUSALS_LOGGED);
        if due {
            *logged = Some(now);
        }
        due
    }

    fn log_refusal(&self, peer: &Peer, limit: usize, setting: &str) {
        if self.tells_of_refusal() {
            let refused = self.connections.refused();
            warn!(%peer, limit, refused, "refused: too many connections ({setting})");
        }
    }
}

impl Settings {
    fn new(config: &Config, store: &Store, role: Role, tls: Option<Arc<Tls>>, metrics: &Metrics) -> Self {
        let limits = &config.limits;
        let session = ServerConfig {
            limits: limits.octets,
            name_limit: store.name_limit(),
            host: config.server_name.clone(),
            software: config.software.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            role,
            compress: config.compress,
            hold: config.hold,
            first_command_within: limits.first_command,
            login_within: limits.login,
            idle: limits.idle,
            high_water: limits.output_buffer,
            login_failures: limits.login_failures,
            login_delay: limits.login_delay,
            answers: Arc::clone(&metrics.answers),
            ..ServerConfig::default()
        };
        Self {
            session: Arc::new(session),
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            ipv6_prefix: limits.ipv6_prefix,
            connections_per_user: limits.connections_per_user,
            rate: limits
                .commands_per_second
                .map(|per_second| Rate { per_second, burst: limits.commands_burst }),
            deflate_ratio: limits.deflate_ratio,
            stall: limits.stall,
            tls,
        }
    }
}

/// What this daemon is: what an operator made of it last, unless the configuration has said something else since; and
/// whether it has.
fn standing(config: &Config, store: &Store) -> Result<(AuthorityKind, bool), Fatal> {
    let remembered = store.remembered(Standing::NAME).map_err(|error| unreadable(&error))?;
    let remembered: Option<Standing> = remembered.and_then(|word| word.parse().ok());
    let is = match Standing::of(config.authority, remembered) {
        // Whom it followed is not named any more.
        AuthorityKind::Upstream if config.upstream.host.is_none() => AuthorityKind::Local,
        is => is,
    };
    if is != config.authority {
        let what = if is == AuthorityKind::Local { "promoted" } else { "demoted" };
        warn!(
            authority = config.authority.name(),
            "{what} by an operator, and so it stays until `authority` is changed"
        );
    }
    Ok((is, remembered.is_some_and(|standing| standing.configured != config.authority)))
}

/// What an operator made of this daemon before the configuration said otherwise must not count again when that is changed
/// back: a former master would come up as one.
fn forget_standing(writer: &Writer) {
    let done = Done::new(|outcome| {
        if let Err(reason) = outcome {
            warn!(
                reason,
                "what an operator made of this daemon is not forgotten, and counts if `authority` is changed back"
            );
        }
    });
    let remember = Remember { name: Standing::NAME, word: None, become_: None, done };
    writer.submit(Job::Remember(remember));
}

fn upstream_url(config: &Config) -> String {
    config.upstream.host.as_ref().map(UpstreamHost::url).unwrap_or_default()
}

/// Say goodbye to a connection that never became one. If it does not fit into the socket, the peer does without; so does
/// one that awaits TLS, which is not worth a handshake.
pub fn refuse(entrance: Entrance, mut socket: impl Write, text: &str) {
    if entrance == Entrance::Tls {
        return;
    }
    let mut out = BytesMut::new();
    Response::Status { tag: None, status: Status::Bye, text }.encode(&mut out);
    let _ = socket.write(&out);
}

/// Tells who may do more, or less, than was probably meant.
fn log_remarks(config: &Config, users: &Users) {
    for remark in users.uneven().into_iter().chain(roles::remarks(config, users)) {
        warn!("{remark}");
    }
}

pub(crate) fn unopened(error: &OpenError) -> Fatal {
    let code = match error {
        OpenError::InUse { .. } => Code::Unavailable,
        OpenError::Format { .. } => Code::Data,
        OpenError::NotWritable { .. } => Code::CantCreat,
        OpenError::Failed { .. } => Code::IoErr,
    };
    Fatal::new(code, error.to_string())
}

/// The store could be opened and yet not be read.
pub(crate) fn unreadable(error: &StoreError) -> Fatal {
    Fatal::new(Code::IoErr, format!("cannot read the directory: {error}; restore data.mdb from a backup"))
}
