//! All metrics: their names, what they are, and what they mean to an operator.

use prometheus_client::{metrics::MetricType, registry::Unit};

/// Servers that are told apart: those with the most names. All others together are [`OTHER`].
pub const SERVERS: usize = 200;

/// Clients with UPDATE streams that are told apart: those that lag most, if there are more. All others are [`OTHER`].
pub const CLIENTS: usize = 1000;

/// Users of blown fuses that are told apart.
pub const USERS: usize = 100;

/// The label of those that are not told apart.
pub const OTHER: &str = "other";

/// What is said of one thing.
#[derive(Debug)]
pub struct Metric {
    /// Its name in the text format 0.0.4, with unit, `_total` and `_info`.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricType,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means: one line.
    pub help: &'static str,
}

impl Metric {
    const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Gauge, labels, help }
    }

    const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Counter, labels, help }
    }

    const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Histogram, labels, help }
    }

    const fn info(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: MetricType::Info, labels, help }
    }

    /// The name without what the encoder puts behind it, and the unit.
    pub(super) fn parts(&self) -> (&'static str, Option<Unit>) {
        let suffix = match self.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => "",
        };
        let name = self.name.strip_suffix(suffix).unwrap_or(self.name);
        for (unit, word) in [(Unit::Seconds, "_seconds"), (Unit::Bytes, "_bytes")] {
            if let Some(name) = name.strip_suffix(word) {
                return (name, Some(unit));
            }
        }
        (name, None)
    }
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident($($argument:expr),* $(,)?);)*) => {
        $(pub(super) static $constant: Metric = Metric::$kind($($argument),*);)*
        /// All of them, in the order in which they are told.
        pub static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    BUILD: info("mupdate_build_info", &["program", "version"], "Which daemon this is, and its version.");
    START: gauge("process_start_time_seconds", &[], "When the daemon was started, in seconds since 1970.");
    CPU: counter("process_cpu_seconds_total", &[], "Processor time that the daemon has used, in all threads.");
    READY: gauge("mupdate_ready", &[],
        "1 while the daemon can do its work, 0 while something keeps it from that: GET /readyz says what.");
    ROLE: gauge("mupdate_role", &["role"],
        "1 for what the daemon is: master, which takes changes, or replica, which follows a master.");
    REVISION: gauge("mupdate_revision", &[],
        "Number of the last change of the directory. It stays over restarts, and grows by one with every change.");
    UPSTREAM_STATE: gauge("mupdate_upstream_state", &["state"],
        "Of a replica, 1 for how far it has come with its master: away, merging (its list is coming), or following.");
    UPSTREAM_LAG: gauge("mupdate_upstream_lag_seconds", &[],
        "Of a replica: how long ago it last had proof that it has everything. Not there before the first.");
    UPSTREAM_MISSING: gauge("mupdate_upstream_missing", &[],
        "Of a replica: changes of its master's that have come, and that there was no room for. Deletions find room longest.");

    NAMES: gauge("mupdate_names", &["server", "state"],
        "Names in the directory: active mailboxes, and reserved names. The 200 largest servers, and all others as other.");
    SERVER_COUNT: gauge("mupdate_servers", &[], "Servers that have names.");
    TOMBSTONES: gauge("mupdate_tombstones", &[], "Deletions that are remembered, for frontends that were away.");

    COMMANDS: counter("mupdate_commands_total", &["command", "answer"],
        "Commands answered, by what was asked and whether the answer was OK, NO or BAD.");
    CHANGES: counter("mupdate_changes_total", &["command", "outcome"],
        "Changes asked for, by what came of them: changed; repeated (OK, it was so already: the echo of a replica); \
         refused (by the rules); denied (by roles); held (by a fuse); failed (nothing could be written).");
    TAKEOVERS: counter("mupdate_takeovers_total", &[],
        "Activations that took an active mailbox from another location without a word from there. \
         Each is in the log, with both locations.");
    READS_REFUSED: counter("mupdate_reads_refused_total", &[], "Lookups refused to users whose role does not read.");

    QUEUED: gauge("mupdate_writer_queued", &[], "Changes and barriers that wait for the writer, or are with it now.");
    BATCHES: counter("mupdate_writer_batches_total", &[], "Batches of changes that the writer has carried out.");
    BATCHES_FAILED: counter("mupdate_writer_batches_failed_total", &[],
        "Batches answered NO as nothing could be written: the map or the disk is full, or the data directory is gone.");
    BATCH_CHANGES: histogram("mupdate_writer_batch_changes", &[], "How many changes were in a batch.");
    COMMITS: counter("mupdate_writer_commits_total", &[], "Transactions committed, each with a sync of the disk.");
    TRANSACTION: histogram("mupdate_writer_transaction_seconds", &[],
        "How long a batch took from its beginning until it was on the disk.");
    COMMIT: histogram("mupdate_writer_commit_seconds", &[],
        "How long the last part of it took: writing the pages and syncing the disk.");

    STREAMS: gauge("mupdate_streams", &["client", "follows"],
        "Open UPDATE streams, by user and address, and whether they follow everything or some servers.");
    WAITING: gauge("mupdate_stream_waiting_names", &["client"],
        "Names that changed and have yet to be sent: of the client's stream that is farthest behind.");
    LAG: gauge("mupdate_stream_lag_seconds", &["client"],
        "For how long the client's stream has not had everything; 0 while nothing waits.");
    LAG_REVISIONS: gauge("mupdate_stream_lag_revisions", &["client"],
        "How many changes of the directory it is behind; 0 while nothing waits.");
    REANNOUNCED: counter("mupdate_reannounced_names_total", &[],
        "Names told again to frontends that came back, as their merge of the list can have lost them.");

    CONNECTIONS: gauge("mupdate_connections", &[], "Open connections.");
    LIMIT: gauge("mupdate_connections_limit", &[],
        "How many there may be: limits.connections, or what the limit of open files leaves room for.");
    LOGGED_IN: gauge("mupdate_connections_logged_in", &[], "Open connections that are logged in.");
    ACCEPTED: counter("mupdate_connections_accepted_total", &[], "Connections that were let in.");
    REFUSED: counter("mupdate_connections_refused_total", &["reason"],
        "Connections turned away: limit (too many in all), address (too many from one), user (too many of one), \
         closing (the daemon was going down).");
    CLOSED: counter("mupdate_connections_closed_total", &["reason"],
        "Connections that ended, by why: logout, by_peer, protocol, injected, timed_out, logins_failed, farewell, \
         stalled (the peer took nothing), layer (TLS or DEFLATE failed).");
    RECEIVED: counter("mupdate_received_bytes_total", &[],
        "Octets received from peers. Counted in steps of 16 KiB, and at the end of each connection.");
    SENT: counter("mupdate_sent_bytes_total", &[],
        "Octets sent to peers. Counted in steps of 16 KiB, and at the end of each connection.");
    HANDSHAKES: counter("mupdate_tls_handshakes_total", &["result"],
        "TLS handshakes: full, resumed (by a ticket, which is much cheaper), or failed.");
    CERTIFICATE: gauge("mupdate_tls_certificate_expiry_timestamp_seconds", &[],
        "Until when the certificate of the daemon is valid, in seconds since 1970. Not there without TLS.");
    TURNS: gauge("mupdate_turns_waiting", &["work"],
        "Connections that wait for their turn at long work: commands (lists, long pipelines), or handshakes of TLS.");

    LOGINS: counter("mupdate_logins_total", &["mechanism", "outcome"],
        "Logins: verified; remembered (accepted from the memory of verified ones); failed (wrong user or password); \
         unseen (refused, as too many failed before); busy (too many waited); unavailable (saslauthd did not answer); \
         refused (not offered here, malformed, or not permitted).");
    REMEMBERED: gauge("mupdate_login_cache_entries", &[], "Verified logins that are remembered now.");

    FUSE: gauge("mupdate_fuse_blown", &["user", "changes"],
        "1 for each fuse that has blown: the user's takeovers or deletions are held until it is released.");
    FUSES_BLOWN: counter("mupdate_fuses_blown_total", &[], "Fuses that have blown.");
    GUARDED: counter("mupdate_list_guard_hits_total", &[],
        "FINDs answered without their mailbox, as they came from a ctl_mboxlist -m that would have ended or removed it.");
    ORDER_MISMATCHES: counter("mupdate_order_mismatches_total", &[],
        "Times that a server's names came in another order than is configured for it, or was learned before. \
         After an upgrade of Cyrus once; otherwise look at [orders].");

    PAIR_SPEAKERS: gauge("mupdate_pair_speakers", &["server"],
        "Participants that speak for one server name: two for a replicated pair. Only servers that have more than one.");
    PAIR_ECHO: histogram("mupdate_pair_echo_seconds", &["server"],
        "How long after a change of one member of a pair the other said the same: how far its replication lags.");
    PAIR_MISSING: gauge("mupdate_pair_missing_changes", &["server"],
        "Changes that have had no echo for longer than pairs wait for one. Were the other member put into service now, \
         these might be lost.");
    PAIR_LEFT: gauge("mupdate_pair_left_changes", &["server"],
        "Changes of the member that was in service before, which the one that is now has never said: perhaps lost.");
    PAIR_STRANGERS: gauge("mupdate_pair_strangers", &["server"],
        "Participants that speak for a pair which [pairs] declares, and are not declared with it.");
    PAIR_LATE: counter("mupdate_pair_late_deletions_total", &["server"],
        "Deletions that a member repeated so late that they deleted a mailbox which had been made anew. It is gone from \
         frontends until that member says the new one too.");

    MAP_USED: gauge("mupdate_map_used_bytes", &[], "Octets that the tables of the database take.");
    MAP_SIZE: gauge("mupdate_map_size_bytes", &[], "Octets that they can take: store.map_size.");
    DISK_FREE: gauge("mupdate_disk_free_bytes", &[], "Octets that are free on the disk of the data directory.");
    DISK_SIZE: gauge("mupdate_disk_size_bytes", &[], "Octets that this disk has.");
}
