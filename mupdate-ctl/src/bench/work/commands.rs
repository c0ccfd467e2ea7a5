//! Commands as backends and frontends send them: one after the other, or many under way.

use std::{
    collections::VecDeque,
    process,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use mupdate_proto::Verb;
use mupdate_sync::client::ClientError;

use super::{Case, Stage};
use crate::bench::{
    BenchError,
    directory::{location, name, pipelined},
    sample::Sample,
    target::Connection,
};

/// Sets the names of this run apart from those of runs that were broken off.
static RUN: AtomicU64 = AtomicU64::new(0);

/// RESERVE and ACTIVATE of new mailboxes. They are deleted afterwards, which is not timed.
pub fn create(stage: &Stage<'_>, case: &Case) -> Result<Sample, BenchError> {
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let mailbox = |client: usize, number: u64| {
        name(format!("user.bench-new.{}-{run}.client{client}.mailbox{number:06}", process::id()))
    };
    let verb = |client: usize, number: u64| match number % 2 {
        0 => Verb::Reserve { mailbox: mailbox(client, number / 2), location: location(0) },
        _ => Verb::Activate {
            mailbox: mailbox(client, number / 2),
            location: location(0),
            acl: stage.directory.acl(0, 0),
        },
    };
    let clear = |client: usize, sent: u64, connection: &mut Connection| {
        let made = (0..sent.div_ceil(2)).map(|number| Verb::Delete { mailbox: mailbox(client, number) });
        pipelined(connection, made, 256)
    };
    commands(stage, case, verb, clear)
}

/// ACTIVATE of mailboxes that are there, with another ACL each time.
pub fn set_acl(stage: &Stage<'_>, case: &Case) -> Result<Sample, BenchError> {
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let verb = |client, number| {
        let version = (run << 32) + number / u64::from(stage.directory.count) + 1;
        stage.directory.activate(some(stage, client, number), version)
    };
    commands(stage, case, verb, |_, _, _| Ok(()))
}

/// FIND of mailboxes that are there.
pub fn find(stage: &Stage<'_>, case: &Case) -> Result<Sample, BenchError> {
    let verb = |client, number| Verb::Find { mailbox: stage.directory.name(some(stage, client, number)) };
    commands(stage, case, verb, |_, _, _| Ok(()))
}

/// A mailbox far from the one before, and each in its turn.
fn some(stage: &Stage<'_>, client: usize, number: u64) -> u32 {
    // A large prime: it shares no factor with any count below it.
    let stride = 2_147_483_647_u64;
    let at = (number + client as u64 * 7919) % u64::from(stage.directory.count);
    u32::try_from(at * stride % u64::from(stage.directory.count)).unwrap_or_default()
}

/// Let clients send what `verb` gives until time is up; then each clears up.
fn commands(
    stage: &Stage<'_>,
    case: &Case,
    verb: impl Fn(usize, u64) -> Verb + Sync,
    clear: impl Fn(usize, u64, &mut Connection) -> Result<(), ClientError> + Sync,
) -> Result<Sample, BenchError> {
    let together = Together::new(case.clients);
    let client = |number: usize| -> Result<(Sample, Instant), BenchError> {
        let connected = stage.target.login();
        together.wait();
        let mut connection = connected?;
        let deadline = Instant::now() + stage.options.time();
        let (mut sample, mut sent, mut under_way) = (Sample::default(), 0, VecDeque::new());
        loop {
            let open = Instant::now() < deadline || sent == 0;
            while open && under_way.len() < case.depth {
                connection.send(verb(number, sent));
                under_way.push_back(Instant::now());
                sent += 1;
            }
            let Some(since) = under_way.pop_front() else { break };
            connection.answer(drop)?;
            sample.done(since);
        }
        let end = Instant::now();
        clear(number, sent, &mut connection)?;
        Ok((sample, end))
    };
    together.run(client)
}

/// Clients that begin at the same moment.
pub struct Together {
    clients: usize,
    start: Barrier,
}

impl Together {
    pub fn new(clients: usize) -> Self {
        Self { clients, start: Barrier::new(clients + 1) }
    }

    /// Ready; whether or not there is a connection, or nobody would ever begin.
    pub fn wait(&self) {
        self.start.wait();
    }

    /// Run them all; what they saw together, from their start to the end of the last.
    pub fn run(
        &self,
        client: impl Fn(usize) -> Result<(Sample, Instant), BenchError> + Sync,
    ) -> Result<Sample, BenchError> {
        thread::scope(|scope| {
            let client = &client;
            let clients: Vec<_> =
                (0..self.clients).map(|number| scope.spawn(move || client(number))).collect();
            self.wait();
            let (start, mut all, mut last) = (Instant::now(), Sample::default(), None);
            for client in clients {
                let (sample, end) = client.join().expect("a client does not panic")?;
                all.join(&sample);
                last = last.max(Some(end));
            }
            all.elapsed = last.unwrap_or(start).duration_since(start);
            Ok(all)
        })
    }
}
