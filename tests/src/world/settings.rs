//! What a world is told before it begins: the daemons' own configuration, as far as it concerns the core.

use std::collections::{BTreeMap, BTreeSet};

use mupdate_core::{
    directory::{FuseLimits, Order, Policy, Roles},
    server::ServerConfig,
};
use mupdate_host::config::{AuthorityKind, Config};
use mupdate_proto::{Role, ServerName};

use crate::player::users;

/// Octets that a mailbox name may have, as the daemons' store keeps them.
const NAME_LIMIT: usize = 1024;

/// A world's settings.
#[derive(Debug)]
pub struct Settings {
    /// What sessions are told.
    pub session: ServerConfig,
    /// STARTTLS is offered.
    pub starttls: bool,
    /// Which rule of ownership is in force.
    pub policy: Policy,
    /// How many connections may be logged in as one user.
    pub connections_per_user: Option<usize>,
    /// The orders that are configured.
    pub orders: BTreeMap<ServerName, Order>,
    /// Who may do what.
    pub roles: Roles,
    /// How many names one principal may take over or delete.
    pub fuse: FuseLimits,
    /// Who can log in.
    pub users: BTreeSet<String>,
}

impl Settings {
    /// Reads a daemon's configuration file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(toml: &str) -> Result<Self, String> {
        Config::parse(toml).map(Self::from).map_err(|problems| format!("{problems:?}"))
    }
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        Self {
            users: users(&config),
            session: ServerConfig {
                limits: config.limits.octets,
                name_limit: NAME_LIMIT,
                host: config.server_name,
                software: config.software,
                role: match &config.upstream.host {
                    Some(host) if config.authority == AuthorityKind::Upstream => Role::Replica(host.url()),
                    _ => Role::Master,
                },
                compress: config.compress,
                hold: config.hold,
                first_command_within: config.limits.first_command,
                login_within: config.limits.login,
                idle: config.limits.idle,
                high_water: config.limits.output_buffer,
                login_failures: config.limits.login_failures,
                login_delay: config.limits.login_delay,
                ..ServerConfig::default()
            },
            starttls: config.tls.is_on(),
            policy: config.policy,
            connections_per_user: config.limits.connections_per_user,
            orders: config.orders,
            roles: config.roles,
            fuse: config.fuse,
        }
    }
}
