//! What SIGHUP can change, and what waits for a restart.

use super::Config;

impl Config {
    /// The configuration that is in force after a reload from `self` to `fresh`, and the names of the settings that
    /// differ but wait for a restart.
    ///
    /// A reload takes over the limits (but `batch`), `allow_plaintext`, `compress`, `software`, `[orders]`, `[roles]`,
    /// `[fuse]`, `[pairs]`, `[streams]`, `[auth]`, `[tls]` and the levels of `log`. Limits and TLS count for new connections. It
    /// keeps `server_name`, `data_dir`, `user`, `group`, `sandbox`, `listen`, `listen_tls`, `authority`, `policy`,
    /// `limits.batch`, `[store]`, `[login_cache]`, `[admin]` and `[upstream]` (whose files are read at each connection).
    #[must_use]
    pub fn reloaded(&self, fresh: Self) -> (Self, Vec<&'static str>) {
        let mut next = fresh;
        let mut waiting = Vec::new();
        keep(&mut next.server_name, &self.server_name, "server_name", &mut waiting);
        keep(&mut next.data_dir, &self.data_dir, "data_dir", &mut waiting);
        keep(&mut next.user, &self.user, "user", &mut waiting);
        keep(&mut next.group, &self.group, "group", &mut waiting);
        keep(&mut next.sandbox, &self.sandbox, "sandbox", &mut waiting);
        keep(&mut next.listen, &self.listen, "listen", &mut waiting);
        keep(&mut next.listen_tls, &self.listen_tls, "listen_tls", &mut waiting);
        keep(&mut next.authority, &self.authority, "authority", &mut waiting);
        keep(&mut next.policy, &self.policy, "policy", &mut waiting);
        keep(&mut next.log.form, &self.log.form, "log (form)", &mut waiting);
        keep(&mut next.limits.batch, &self.limits.batch, "limits.batch", &mut waiting);
        keep(&mut next.store, &self.store, "store", &mut waiting);
        keep(&mut next.login_cache, &self.login_cache, "login_cache", &mut waiting);
        keep(&mut next.upstream, &self.upstream, "upstream", &mut waiting);
        keep(&mut next.admin, &self.admin, "admin", &mut waiting);
        (next, waiting)
    }
}

fn keep<T: Clone + PartialEq>(next: &mut T, now: &T, name: &'static str, waiting: &mut Vec<&'static str>) {
    if next != now {
        waiting.push(name);
        next.clone_from(now);
    }
}
