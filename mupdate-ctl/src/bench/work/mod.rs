//! What is measured: each case is a kind of work with a number of clients and a depth.

mod commands;
mod connections;
mod streams;
mod walks;

use std::fmt;

use super::{BenchError, Options, directory::Directory, sample::Sample, target::Target};

/// Where a case is measured.
pub struct Stage<'a> {
    pub target: &'a Target,
    pub directory: &'a Directory,
    pub options: &'a Options,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Create,
    SetAcl,
    Find,
    List,
    ListServer,
    Dump,
    Push,
    Barrier,
    Login,
    Resync,
    BesideDump,
    BesideStuck,
    Idle,
}

/// Every kind, in the order in which they are measured: what may end a weak server comes last.
const WORKS: [(Work, &str); 13] = [
    (Work::Create, "create"),
    (Work::SetAcl, "setacl"),
    (Work::Find, "find"),
    (Work::List, "list"),
    (Work::ListServer, "list-server"),
    (Work::Dump, "dump"),
    (Work::Resync, "resync"),
    (Work::Login, "login"),
    (Work::BesideDump, "beside-dump"),
    (Work::Push, "push"),
    (Work::Barrier, "barrier"),
    (Work::BesideStuck, "beside-stuck"),
    (Work::Idle, "idle"),
];

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    work: Work,
    /// Clients at a time; of [`Work::Push`] and [`Work::Barrier`] the subscribers.
    pub clients: usize,
    /// Commands that each client has under way.
    pub depth: usize,
}

/// The cases that the options ask for.
///
/// # Errors
/// They ask for one that there is not.
pub fn cases(options: &Options) -> Result<Vec<Case>, BenchError> {
    if let Some(unknown) = options.only.iter().find(|name| !WORKS.iter().any(|(_, known)| known == name)) {
        let known: Vec<&str> = WORKS.iter().map(|(_, name)| *name).collect();
        return Err(BenchError::Options(format!(
            "there is no case {unknown:?}; there are {}",
            known.join(", ")
        )));
    }
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut cases = Vec::new();
    for (work, _) in WORKS.into_iter().filter(|(_, name)| wanted(name)) {
        let (clients, depths): (&[usize], &[usize]) = match work {
            Work::Create | Work::SetAcl | Work::Find => (&options.clients, &options.pipeline),
            Work::Login => (&options.clients, &[1]),
            Work::Push | Work::Barrier => (&options.subscribers, &[1]),
            Work::Idle => (std::slice::from_ref(&options.idle), &[1]),
            Work::List | Work::ListServer | Work::Dump | Work::Resync => (&[1], &[1]),
            Work::BesideDump | Work::BesideStuck => (&[1], &[1]),
        };
        for &clients in clients.iter().filter(|clients| **clients > 0) {
            cases.extend(depths.iter().filter(|depth| **depth > 0).map(|&depth| Case {
                work,
                clients,
                depth,
            }));
        }
    }
    Ok(cases)
}

impl Case {
    /// The name of its work.
    pub fn name(&self) -> &'static str {
        WORKS.iter().find(|(work, _)| *work == self.work).map_or("", |(_, name)| name)
    }

    /// Do it for the time that the options give, at least once.
    pub fn run(&self, stage: &Stage<'_>) -> Result<Sample, BenchError> {
        match self.work {
            Work::Create => commands::create(stage, self),
            Work::SetAcl => commands::set_acl(stage, self),
            Work::Find => commands::find(stage, self),
            Work::List => walks::list(stage, None),
            Work::ListServer => walks::list(stage, Some(stage.directory.server_prefix())),
            Work::Dump => walks::dump(stage),
            Work::Resync => walks::resync(stage),
            Work::Push => streams::push(stage, self.clients),
            Work::Barrier => streams::barrier(stage, self.clients),
            Work::Login => connections::login(stage, self.clients),
            Work::BesideDump => connections::beside_dump(stage),
            Work::BesideStuck => connections::beside_stuck(stage),
            Work::Idle => connections::idle(stage, self.clients),
        }
        .map_err(|error| error.at(&stage.target.name))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} clients, {} under way", self.name(), self.clients, self.depth)
    }
}
