//! The scenarios.

use crate::peers::{self, Act};

/// Peers, and what they may cost a daemon.
pub struct Scenario {
    pub name: &'static str,
    /// What the peers do.
    pub what: &'static str,
    pub peers: Act,
    /// Mailboxes that there are at the start.
    pub mailboxes: u32,
    /// The daemon's configuration.
    pub settings: &'static str,
    /// Octets of memory that the daemon may take because of them.
    pub memory: u64,
}

const KIB: u64 = 1 << 10;

/// What a connection may cost that has asked for much or sent much: output up to the mark of 64 KiB and the row above it,
/// input read ahead, the stack of its thread.
const BUSY: u64 = 192 * KIB;

/// What one may cost that is just there: the pages of its thread's stack that were ever used, mostly.
const IDLE: u64 = 64 * KIB;

/// DEFLATE's windows and tables, both ways.
const DEFLATE: u64 = 384 * KIB;

/// A line of 64 KiB that is not over yet, in a buffer that doubled as it came.
const LINE: u64 = 128 * KIB;

/// The names that a LIST puts into an order of its own at a time, 4 MiB of them; and half as much for what those before them
/// have left between the allocations of others.
const SORTING: u64 = 6 << 20;

/// A name that waits in a feed, its part of the set and of the queue.
const WAITING: u64 = 160;

/// What the daemon may take without anybody's fault: its allocator's reserves, LMDB's dirty pages, the writer's batches.
const SLACK: u64 = 32 << 20;

/// A daemon with the defaults, and so many mailboxes.
const fn scenario(
    name: &'static str,
    what: &'static str,
    mailboxes: u32,
    memory: u64,
    peers: Act,
) -> Scenario {
    Scenario { name, what, peers, mailboxes, settings: "", memory: memory + SLACK }
}

/// Bombs go off. By default they are cut off at once.
const BOMBS: &str = "limits.deflate_ratio = 0";

const MANY: u32 = 100_000;

pub const SCENARIOS: &[Scenario] = &[
    scenario(
        "lists_unread",
        "200 clients LIST 100,000 mailboxes and read nothing",
        MANY,
        200 * BUSY,
        peers::lists_unread,
    ),
    scenario(
        "lists_read",
        "200 clients LIST 100,000 mailboxes over and over",
        MANY,
        200 * BUSY,
        peers::lists_read,
    ),
    Scenario {
        settings: "orders = { be1 = \"octet\" }",
        ..scenario(
            "lists_sorted",
            "20 clients LIST 100,000 mailboxes in an order that is not the table's",
            MANY,
            20 * (BUSY + SORTING),
            peers::lists_sorted,
        )
    },
    scenario(
        "subscribers_stuck",
        "200 UPDATE streams are not read while 2,000 mailboxes change over and over",
        0,
        200 * (BUSY + 2000 * WAITING),
        peers::subscribers_stuck,
    ),
    scenario(
        "subscribers_following",
        "200 UPDATE streams are read while 2,000 mailboxes change over and over",
        0,
        200 * (BUSY + 2000 * WAITING),
        peers::subscribers_following,
    ),
    scenario("changes", "200 clients change mailboxes as fast as that goes", 0, 200 * BUSY, peers::changes),
    scenario("octet_a_second", "200 clients send an octet a second", 0, 200 * IDLE, peers::octet_a_second),
    scenario("silent", "1,000 clients log in and say nothing", 0, 1000 * IDLE, peers::silent),
    scenario(
        "connect_and_close",
        "3,000 connections a second, closed at once",
        0,
        3000 * IDLE,
        peers::connect_and_close,
    ),
    scenario(
        "connect_and_wait",
        "3,000 connections a second that say nothing",
        0,
        3000 * IDLE,
        peers::connect_and_wait,
    ),
    scenario(
        "resets",
        "500 clients a second vanish in the middle, in all ways",
        MANY,
        500 * BUSY,
        peers::resets,
    ),
    scenario(
        "literals_unsent",
        "200 clients do not finish literals of 1 MiB",
        0,
        200 * (BUSY + (2 << 20)),
        peers::literals_unsent,
    ),
    scenario(
        "over_limits",
        "200 clients exceed all limits",
        0,
        200 * BUSY + 67 * (2 << 20),
        peers::over_limits,
    ),
    scenario("pipelines_read", "200 clients pipeline without end", MANY, 200 * BUSY, peers::pipelines_read),
    scenario("pipelines_unread", "the same, and read no answer", MANY, 200 * BUSY, peers::pipelines_unread),
    Scenario {
        settings: BOMBS,
        ..scenario(
            "bombs_of_commands",
            "50 clients inflate to gigabytes of commands",
            0,
            50 * (BUSY + DEFLATE),
            peers::bombs_of_commands,
        )
    },
    Scenario {
        settings: BOMBS,
        ..scenario(
            "bombs_of_one_line",
            "50 clients inflate to one endless line",
            0,
            50 * (BUSY + DEFLATE + LINE),
            peers::bombs_of_one_line,
        )
    },
    Scenario {
        settings: BOMBS,
        ..scenario(
            "bombs_of_lists",
            "50 clients inflate to LISTs, compressed both ways",
            MANY,
            50 * (BUSY + DEFLATE),
            peers::bombs_of_lists,
        )
    },
    scenario(
        "bombs_cut_off",
        "50 clients inflate to gigabytes of commands, are dropped for that and come back",
        0,
        50 * (BUSY + DEFLATE),
        peers::bombs_of_commands,
    ),
    scenario("both_full", "50 clients send and are sent 10 MiB at once", 0, 50 * BUSY, peers::both_full),
    scenario("wrong_passwords", "500 clients try passwords", 0, 500 * IDLE, peers::wrong_passwords),
];
