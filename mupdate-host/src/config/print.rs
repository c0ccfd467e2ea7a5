//! A configuration as a file that says the same.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mupdate_proto::CompressLines;

use super::{Config, ListenAddr, size};

impl fmt::Display for Config {
    /// TOML with every key, which [`Config::parse`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &dyn fmt::Display| toml::Value::String(text.to_string());
        let listeners = |listen: &[ListenAddr]| {
            listen.iter().map(|addr| quoted(addr).to_string()).collect::<Vec<_>>().join(", ")
        };
        let compress = match self.compress {
            CompressLines::None => "none",
            CompressLines::Quoted => "quoted",
            CompressLines::Bare => "bare",
            CompressLines::Both => "both",
        };
        writeln!(f, "server_name = {}", quoted(&self.server_name))?;
        writeln!(f, "data_dir = {}", quoted(&self.data_dir.display()))?;
        writeln!(f, "user = {}", quoted(&self.user.as_deref().unwrap_or_default()))?;
        writeln!(f, "group = {}", quoted(&self.group.as_deref().unwrap_or_default()))?;
        writeln!(f, "sandbox = {}", self.sandbox)?;
        writeln!(f, "listen = [{}]", listeners(&self.listen))?;
        writeln!(f, "listen_tls = [{}]", listeners(&self.listen_tls))?;
        writeln!(f, "authority = {}", quoted(&self.authority.name()))?;
        writeln!(f, "policy = {}", quoted(&self.policy))?;
        writeln!(f, "compress = {}", quoted(&compress))?;
        writeln!(f, "allow_plaintext = {}", self.allow_plaintext)?;
        writeln!(f, "log = {}", quoted(&self.log))?;
        writeln!(f, "software = {}", quoted(&self.software))?;

        let limits = &self.limits;
        let octets = |octets: usize| quoted(&size::show(octets as u64));
        writeln!(f, "\n[limits]")?;
        writeln!(f, "line = {}", octets(limits.octets.line))?;
        writeln!(f, "literal = {}", octets(limits.octets.literal))?;
        writeln!(f, "message = {}", octets(limits.octets.message))?;
        writeln!(f, "connections = {}", limits.connections)?;
        writeln!(f, "connections_per_address = {}", limits.connections_per_address.unwrap_or(0))?;
        writeln!(f, "ipv6_prefix = {}", limits.ipv6_prefix)?;
        writeln!(f, "connections_per_user = {}", limits.connections_per_user.unwrap_or(0))?;
        writeln!(f, "first_command_seconds = {}", limits.first_command.as_secs())?;
        writeln!(f, "login_seconds = {}", limits.login.as_secs())?;
        writeln!(f, "idle_seconds = {}", limits.idle.unwrap_or(Duration::ZERO).as_secs())?;
        writeln!(f, "stall_seconds = {}", limits.stall.as_secs())?;
        writeln!(f, "deflate_ratio = {}", limits.deflate_ratio.unwrap_or(0))?;
        writeln!(f, "commands_per_second = {}", limits.commands_per_second.unwrap_or(0))?;
        writeln!(f, "commands_burst = {}", limits.commands_burst)?;
        writeln!(f, "login_failures = {}", limits.login_failures)?;
        writeln!(f, "login_delay_ms = {}", limits.login_delay.as_millis())?;
        writeln!(f, "login_delay_max_ms = {}", limits.login_delay_max.as_millis())?;
        writeln!(f, "login_refuse_after = {}", limits.login_refuse_after.unwrap_or(0))?;
        writeln!(f, "login_forget_seconds = {}", limits.login_forget.as_secs())?;
        writeln!(f, "output_buffer = {}", octets(limits.output_buffer))?;
        writeln!(f, "batch = {}", limits.batch)?;

        writeln!(f, "\n[streams]\nhold_ms = {}", self.hold.as_millis())?;
        writeln!(f, "\n[store]")?;
        writeln!(f, "map_size = {}", octets(self.store.map_size))?;
        writeln!(f, "tombstones = {}", self.store.tombstones)?;
        writeln!(f, "journal = {}", self.store.journal)?;
        writeln!(f, "journal_days = {}", self.store.journal_age.map_or(0, |age| age.as_secs() / 86_400))?;
        writeln!(f, "readers = {}", self.store.readers.unwrap_or(0))?;

        write!(f, "\n[auth]\n{}{}", self.auth, self.saslauthd)?;

        writeln!(f, "\n[login_cache]")?;
        writeln!(f, "entries = {}", self.login_cache.entries)?;
        writeln!(f, "seconds = {}", self.login_cache.lifetime.as_secs())?;

        let file = |path: &Option<PathBuf>| quoted(&path.as_deref().unwrap_or(Path::new("")).display());
        writeln!(f, "\n[tls]")?;
        writeln!(f, "certificate = {}", file(&self.tls.certificate))?;
        writeln!(f, "key = {}", file(&self.tls.key))?;
        writeln!(f, "client_ca = {}", file(&self.tls.client_ca))?;
        writeln!(f, "client_certificates = {}", quoted(&self.tls.client_certificates.name()))?;
        writeln!(f, "minimum_version = {}", quoted(&self.tls.minimum_version.name()))?;

        write!(f, "{}", self.upstream)?;
        writeln!(f, "\n[orders]")?;
        for (server, order) in &self.orders {
            writeln!(f, "{} = {}", quoted(server), quoted(order))?;
        }
        self.admin.print(f)?;
        super::fuse::print(&self.fuse, f)?;
        super::roles::print(&self.roles, f)?;
        super::pairs::print(&self.pairs, f)
    }
}
