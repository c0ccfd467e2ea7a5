//! All resources: a line each, in the order of `docs/admin.md`.

use super::{
    Handler, backup, clients, doctor, drain, events, fuses, hosts, import, journal, live, mailbox, mailboxes,
    metrics, page, pairs, ready, reservations, role, status, undo, watch,
};

/// Octets of a list of names.
const NAMES: u64 = 16 << 20;

/// Octets of a list of all mailboxes. What it changes is held in memory.
const LIST: u64 = 512 << 20;

/// Octets of what is asked for in a few words.
const WORDS: u64 = 64 << 10;

/// A resource, and how it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// How it is asked for.
    pub verb: Verb,
    /// Its path; `{}` stands for one part of it, which becomes the [parameter](super::Call::parameter).
    pub path: &'static str,
    /// It needs no login.
    pub open: bool,
    /// The parameters that it knows, behind the `?`.
    pub parameters: &'static [&'static str],
    /// Octets of a body at most.
    pub body: u64,
    /// What answers.
    pub handler: Handler,
}

/// How a resource is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// By GET, or HEAD.
    Get,
    /// By POST.
    Post,
}

/// See above.
pub const ROUTES: &[Route] = &[
    get("/", page::page),
    get("/metrics", metrics::metrics),
    get("/livez", live::livez).without_login(),
    get("/readyz", ready::readyz),
    get("/v1/status", status::status),
    get("/v1/events", events::events),
    get("/v1/hosts", hosts::hosts),
    get("/v1/clients", clients::clients),
    post("/v1/clients/{}/kick", WORDS, clients::kick),
    get("/v1/mailboxes", mailboxes::mailboxes).with(mailboxes::PARAMETERS),
    get("/v1/mailbox", mailbox::mailbox).with(mailbox::PARAMETERS),
    get("/v1/watch", watch::watch).with(watch::PARAMETERS),
    get("/v1/fuses", fuses::list),
    post("/v1/fuses/release", WORDS, fuses::release),
    post("/v1/backup", WORDS, backup::backup),
    get("/v1/pairs", pairs::pairs).with(&["all"]),
    get("/v1/journal", journal::journal).with(&[
        "mailbox",
        "server",
        "user",
        "deed",
        "takeovers",
        "before",
        "limit",
    ]),
    get("/v1/reservations", reservations::reservations).with(&["older_than_s"]),
    post("/v1/reservations/release", NAMES, reservations::release),
    post("/v1/undo", WORDS, undo::undo),
    post("/v1/drain", WORDS, drain::drain),
    get("/v1/doctor", doctor::doctor),
    post("/v1/import", LIST, import::import).with(import::PARAMETERS),
    post("/v1/promote", WORDS, role::promote),
    post("/v1/demote", WORDS, role::demote),
];

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { verb: Verb::Get, path, open: false, parameters: &[], body: 0, handler }
}

/// `body`: octets of it at most.
const fn post(path: &'static str, body: u64, handler: Handler) -> Route {
    Route { verb: Verb::Post, body, ..get(path, handler) }
}

impl Route {
    const fn without_login(self) -> Self {
        Self { open: true, ..self }
    }

    const fn with(self, parameters: &'static [&'static str]) -> Self {
        Self { parameters, ..self }
    }
}
