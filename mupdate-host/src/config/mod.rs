//! The configuration: a TOML file in which every key is optional, and the command line over it.
//!
//! `mupdated.example.toml` at the top of the source tree explains every key. What SIGHUP can change is decided in
//! [`Config::reloaded`].

mod admin;
mod auth;
mod authority;
mod error;
mod fuse;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod listen;
mod names;
mod overrides;
mod pairs;
mod print;
mod read;
mod reload;
pub mod roles;
mod saslauthd;
mod size;
mod tls;
mod upstream;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mupdate_core::directory::{FuseLimits, Order, Policy, Roles};
use mupdate_proto::{CompressLines, Limits, ServerName};
use toml::de::DeValue;

pub use admin::AdminSettings;
pub use auth::{AuthSettings, External, LoginCacheSettings};
pub use authority::AuthorityKind;
pub use error::{ConfigError, Problem};
pub use listen::{ListenAddr, MUPDATE_PORT};
pub(crate) use names::server_name;
pub use overrides::Overrides;
pub use saslauthd::{SaslauthdSettings, SaslauthdUsers};
pub use tls::{ClientCertificates, TlsSettings, TlsVersion};
pub use upstream::{StartTls, UpstreamHost, UpstreamSettings};

use crate::logging::LogSettings;
use crate::pairs::PairSettings;
use names::{host_name, printable};
use read::{
    Document, Names, Section, days_unless_zero, list, millis, name, number, octets, parsed, seconds, text,
    truth, unless_zero,
};

/// Everything a daemon is told before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// This server's name, as the banner and the logs show it.
    pub server_name: String,
    /// Where the database, the users file and the lock file live.
    pub data_dir: PathBuf,
    /// Whom to run as, if started by root.
    pub user: Option<String>,
    /// With which group, if not the user's own.
    pub group: Option<String>,
    /// The process opens and calls no more than it needs.
    pub sandbox: bool,
    /// Where to listen; never empty.
    pub listen: Vec<ListenAddr>,
    /// Where to listen for connections that begin with TLS.
    pub listen_tls: Vec<ListenAddr>,
    /// Who decides about changes.
    pub authority: AuthorityKind,
    /// Which rule of ownership is in force.
    pub policy: Policy,
    /// Which COMPRESS lines the banner shows.
    pub compress: CompressLines,
    /// PLAIN and LOGIN are offered on connections that are neither encrypted nor from this host.
    pub allow_plaintext: bool,
    /// What is logged.
    pub log: LogSettings,
    /// The software's name in the banner.
    pub software: String,
    /// What a peer may cost.
    pub limits: LimitSettings,
    /// How long changes are held back after the OK of UPDATE, because frontends do not look at what arrives with it.
    pub hold: Duration,
    /// The database.
    pub store: StoreSettings,
    /// The order in which a backend sorts mailbox names, where it is to be told and not learned.
    pub orders: BTreeMap<ServerName, Order>,
    /// How clients log in.
    pub auth: AuthSettings,
    /// Who is asked about passwords that are not in the users file.
    pub saslauthd: SaslauthdSettings,
    /// The memory of verified logins.
    pub login_cache: LoginCacheSettings,
    /// Certificates, and what TLS is like.
    pub tls: TlsSettings,
    /// Who may do what.
    pub roles: Roles,
    /// How many names one principal may take over or delete.
    pub fuse: FuseLimits,
    /// Who speaks for which server name.
    pub pairs: PairSettings,
    /// The master that a replica follows.
    pub upstream: UpstreamSettings,
    /// Where operators and their tools are listened to.
    pub admin: AdminSettings,
}

/// What a peer may cost: `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Octets of lines, literals and whole commands.
    pub octets: Limits,
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address of another host; `None` is without limit.
    pub connections_per_address: Option<usize>,
    /// Leading bits of an IPv6 address that count as one address.
    pub ipv6_prefix: u8,
    /// Connections at a time that are logged in as one user; `None` is without limit.
    pub connections_per_user: Option<usize>,
    /// Time within which a connection has to send its first command.
    pub first_command: Duration,
    /// Time within which a connection has to log in.
    pub login: Duration,
    /// Time that a logged-in connection may be silent; `None` is for ever. Streams are exempt.
    pub idle: Option<Duration>,
    /// Time after which a peer is dropped that takes none of the octets waiting for it.
    pub stall: Duration,
    /// Times that compressed input may grow; `None` is without limit.
    pub deflate_ratio: Option<u32>,
    /// How fast the commands of a user are taken, over all connections; `None` is without limit.
    pub commands_per_second: Option<u32>,
    /// Commands that a user who has rested may send at once.
    pub commands_burst: u32,
    /// Failed logins after which a connection is closed.
    pub login_failures: u32,
    /// Time for which the answer to a failed login is held back; twice as long with each that is counted.
    pub login_delay: Duration,
    /// Time for which it is held back at most.
    pub login_delay_max: Duration,
    /// Failed logins of an address or a user after which more are refused unseen; `None` refuses none.
    pub login_refuse_after: Option<u32>,
    /// Time after which one failed login is forgotten.
    pub login_forget: Duration,
    /// Octets of output after which a session waits for its reader.
    pub output_buffer: usize,
    /// Changes that are committed together at most.
    pub batch: usize,
}

/// The database: `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Octets of address space, and so the size that the database file can reach.
    pub map_size: usize,
    /// Deletions that are remembered, so that a replica that was away can be told of them.
    pub tombstones: u64,
    /// Changes that are remembered with what was there before.
    pub journal: u64,
    /// And for how long; `None`: as long as they are no more than that.
    pub journal_age: Option<Duration>,
    /// Read transactions at a time; `None`: as many as connections, and some to spare.
    pub readers: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_name: host_name(),
            data_dir: "mupdate-data".into(),
            user: None,
            group: None,
            sandbox: true,
            listen: vec![ListenAddr::Tcp((std::net::Ipv4Addr::LOCALHOST, MUPDATE_PORT).into())],
            listen_tls: Vec::new(),
            authority: AuthorityKind::Local,
            policy: Policy::Standard,
            compress: CompressLines::Quoted,
            allow_plaintext: false,
            log: LogSettings::default(),
            software: "mupdated".into(),
            limits: LimitSettings::default(),
            hold: Duration::from_millis(300),
            store: StoreSettings {
                map_size: 16 << 30,
                tombstones: 100_000,
                journal: 100_000,
                journal_age: Some(Duration::from_secs(90 * 86_400)),
                readers: None,
            },
            orders: BTreeMap::new(),
            auth: AuthSettings::default(),
            saslauthd: SaslauthdSettings::default(),
            login_cache: LoginCacheSettings { entries: 1024, lifetime: Duration::from_secs(600) },
            tls: TlsSettings::default(),
            roles: Roles::default(),
            fuse: FuseLimits::default(),
            pairs: PairSettings::default(),
            upstream: UpstreamSettings::default(),
            admin: AdminSettings::default(),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            octets: Limits { line: 64 << 10, literal: 1 << 20, message: 2 << 20 },
            connections: 10_000,
            connections_per_address: Some(1000),
            // What one customer is given at least, and can choose among addresses in.
            ipv6_prefix: 64,
            // A whole murder may log in as one user.
            connections_per_user: None,
            first_command: Duration::from_secs(30),
            login: Duration::from_secs(60),
            // A backend that moves a user holds one connection through the whole copy.
            idle: None,
            stall: Duration::from_secs(300),
            // Mailboxes with names and ACLs much alike come to 50, deflate itself to 1,032.
            deflate_ratio: Some(200),
            // A whole murder may log in as one user.
            commands_per_second: None,
            commands_burst: 1000,
            login_failures: 3,
            login_delay: Duration::from_secs(1),
            login_delay_max: Duration::from_secs(16),
            login_refuse_after: Some(20),
            login_forget: Duration::from_secs(30),
            output_buffer: 64 << 10,
            batch: 256,
        }
    }
}

const NAMES: Names = &[
    (
        "",
        &[
            "server_name",
            "data_dir",
            "user",
            "group",
            "sandbox",
            "listen",
            "listen_tls",
            "authority",
            "policy",
            "compress",
            "allow_plaintext",
            "log",
            "software",
            "limits",
            "streams",
            "store",
            "orders",
            "auth",
            "login_cache",
            "tls",
            "roles",
            "fuse",
            "pairs",
            "upstream",
            "admin",
        ],
    ),
    (
        "limits",
        &[
            "line",
            "literal",
            "message",
            "connections",
            "connections_per_address",
            "ipv6_prefix",
            "connections_per_user",
            "first_command_seconds",
            "login_seconds",
            "idle_seconds",
            "stall_seconds",
            "deflate_ratio",
            "commands_per_second",
            "commands_burst",
            "login_failures",
            "login_delay_ms",
            "login_delay_max_ms",
            "login_refuse_after",
            "login_forget_seconds",
            "output_buffer",
            "batch",
        ],
    ),
    ("streams", &["hold_ms"]),
    ("store", &["map_size", "tombstones", "journal", "journal_days", "readers"]),
    ("orders", &["*"]),
    ("roles", &["*"]),
    ("pairs", &["echo_seconds", "*"]),
    ("fuse", &fuse::NAMES),
    ("upstream", &UpstreamSettings::NAMES),
    ("admin", &admin::NAMES),
    ("auth", &AuthSettings::NAMES),
    ("login_cache", &["entries", "seconds"]),
    ("tls", &["certificate", "key", "client_ca", "client_certificates", "minimum_version"]),
];

impl Config {
    /// Reads a configuration file; without one, the defaults.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, names a setting that does not exist, or gives one a value that is not
    /// allowed.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let mut config =
            Self::parse(&text).map_err(|problems| ConfigError::Wrong { path: path.to_owned(), problems })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.tls.relative_to(folder);
        config.upstream.relative_to(folder);
        Ok(config)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the lines.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let document = Document::new(text, NAMES);
        let mut config = Self::default();
        let mut root = document.root();
        config.read_top(&root);
        config.limits.read(&root.table("limits"));
        root.table("streams").read("hold_ms", &mut config.hold, millis(0..=60_000));
        config.store.read(&root.table("store"));
        root.table("orders").read_all(|server, order| config.read_order(server, order));
        let auth = root.table("auth");
        config.saslauthd.read(&auth);
        config.auth.read(&auth);
        let cache = root.table("login_cache");
        cache.read("entries", &mut config.login_cache.entries, number(0..=1_000_000));
        cache.read("seconds", &mut config.login_cache.lifetime, seconds(1..=86_400));
        config.tls.read(&root.table("tls"));
        fuse::read(&mut config.fuse, &root.table("fuse"));
        config.upstream.read(&root.table("upstream"));
        let followed = config.upstream.host.is_some() || config.authority != AuthorityKind::Upstream;
        root.require("authority", "upstream.host", followed);
        config.admin.read(&root.table("admin"));
        root.table("roles").read_all(|user, role| roles::read(&mut config.roles, user, role));
        root.table("pairs").read_all(|server, members| pairs::read(&mut config.pairs, server, members));
        let problems = document.problems();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Read transactions that the store has to have room for.
    pub fn readers(&self) -> u32 {
        let connections = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        self.store.readers.unwrap_or(connections.saturating_add(64))
    }

    /// The port to tell others of: that of the first listener that has one.
    pub fn port(&self) -> u16 {
        let port = |listen: &ListenAddr| match listen {
            ListenAddr::Tcp(address) => Some(address.port()),
            ListenAddr::Unix(_) => None,
        };
        self.listen.iter().find_map(port).unwrap_or(listen::MUPDATE_PORT)
    }

    fn read_order(&mut self, server: &str, order: &DeValue<'_>) -> Result<(), String> {
        let order = text(order).ok().and_then(|order| order.parse().ok());
        let order = order.ok_or("allowed: \"octet\", \"dot\" or \"v36\"")?;
        let server = ServerName::new(server.to_owned())
            .map_err(|_| "allowed as a name: a server's, without `!` and partition")?;
        self.orders.insert(server, order);
        Ok(())
    }

    fn read_top(&mut self, top: &Section<'_, '_>) {
        top.read("server_name", &mut self.server_name, |value| server_name(&text(value)?));
        top.read("data_dir", &mut self.data_dir, |value| match text(value)? {
            dir if dir.is_empty() => Err("allowed: a directory".into()),
            dir => Ok(dir.into()),
        });
        top.read("user", &mut self.user, name);
        top.read("group", &mut self.group, name);
        top.require("group", "user", self.group.is_none() || self.user.is_some());
        top.read("sandbox", &mut self.sandbox, truth);
        top.read("listen", &mut self.listen, |value| match list(value)? {
            none if none.is_empty() => Err("at least one is needed".into()),
            addresses => Ok(addresses),
        });
        top.read("listen_tls", &mut self.listen_tls, list);
        top.read("authority", &mut self.authority, |value| match text(value)?.as_str() {
            "local" => Ok(AuthorityKind::Local),
            "upstream" => Ok(AuthorityKind::Upstream),
            "etcd" => {
                Err("known, but not available in this version; allowed: \"local\" or \"upstream\"".into())
            }
            _ => Err("allowed: \"local\" or \"upstream\"".into()),
        });
        top.read("policy", &mut self.policy, |value| {
            let policy = text(value).ok().and_then(|policy| policy.parse().ok());
            policy.ok_or_else(|| "allowed: \"standard\", \"strict\", \"unified\" or \"replicated\"".into())
        });
        top.read("compress", &mut self.compress, |value| match text(value)?.as_str() {
            "quoted" => Ok(CompressLines::Quoted),
            "bare" => Ok(CompressLines::Bare),
            "both" => Ok(CompressLines::Both),
            "none" => Ok(CompressLines::None),
            _ => Err("allowed: \"quoted\", \"bare\", \"both\" or \"none\"".into()),
        });
        top.read("allow_plaintext", &mut self.allow_plaintext, truth);
        top.read("log", &mut self.log, parsed);
        top.read("software", &mut self.software, |value| printable(&text(value)?));
    }
}

impl LimitSettings {
    fn read(&mut self, table: &Section<'_, '_>) {
        const MIB: u64 = 1 << 20;
        // RFC 3656 section 2: lines of 1,024 and literals of 4,096 octets have to be accepted.
        table.read("line", &mut self.octets.line, octets(1024..=64 * MIB));
        table.read("literal", &mut self.octets.literal, octets(4096..=512 * MIB));
        // A raised part raises the whole, unless that is said too.
        let parts = self.octets.line + self.octets.literal;
        self.octets.message = self.octets.message.max(parts);
        table.read("message", &mut self.octets.message, |value| match octets(4096..=1024 * MIB)(value)? {
            message if message < parts => {
                Err(format!("allowed: at least {parts}, which is line and literal together"))
            }
            message => Ok(message),
        });
        table.read("connections", &mut self.connections, number(1..=1_000_000));
        table.read("connections_per_address", &mut self.connections_per_address, unless_zero(1_000_000));
        table.read("ipv6_prefix", &mut self.ipv6_prefix, number(16..=128));
        table.read("connections_per_user", &mut self.connections_per_user, unless_zero(1_000_000));
        table.read("first_command_seconds", &mut self.first_command, seconds(1..=3600));
        table.read("login_seconds", &mut self.login, seconds(1..=3600));
        table.read("idle_seconds", &mut self.idle, |value| {
            seconds(0..=2_592_000)(value).map(|time| Some(time).filter(|time| !time.is_zero()))
        });
        table.read("stall_seconds", &mut self.stall, seconds(1..=86_400));
        table.read("deflate_ratio", &mut self.deflate_ratio, unless_zero(10_000));
        table.read("commands_per_second", &mut self.commands_per_second, unless_zero(1_000_000));
        table.read("commands_burst", &mut self.commands_burst, number(1..=1_000_000));
        table.read("login_failures", &mut self.login_failures, number(1..=1000));
        table.read("login_delay_ms", &mut self.login_delay, millis(0..=60_000));
        // A raised delay raises the longest, unless that is said too.
        self.login_delay_max = self.login_delay_max.max(self.login_delay);
        table.read("login_delay_max_ms", &mut self.login_delay_max, millis(0..=60_000));
        table.read("login_refuse_after", &mut self.login_refuse_after, unless_zero(1_000_000));
        table.read("login_forget_seconds", &mut self.login_forget, seconds(1..=86_400));
        table.read("output_buffer", &mut self.output_buffer, octets(4096..=64 * MIB));
        table.read("batch", &mut self.batch, number(1..=100_000));
    }
}

impl StoreSettings {
    fn read(&mut self, table: &Section<'_, '_>) {
        table.read("map_size", &mut self.map_size, octets(1 << 20..=64 << 40));
        table.read("tombstones", &mut self.tombstones, number(0..=1_000_000_000));
        table.read("journal", &mut self.journal, number(0..=1_000_000_000));
        table.read("journal_days", &mut self.journal_age, days_unless_zero(36_500));
        table.read("readers", &mut self.readers, unless_zero(1_000_000));
    }
}

#[cfg(test)]
mod tests;
