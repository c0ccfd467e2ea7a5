//! Changes on their way to subscribers.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use mupdate_core::client::Event;
use mupdate_proto::{Acl, Location, MailboxName, Response, ServerName, Verb};

use super::Stage;
use crate::bench::{BenchError, directory::name, sample::Sample, target::Connection};

/// The backend whose mailboxes the subscribers ask for: none but the one that changes, so that nobody waits for a dump.
const SERVER: &str = "bench-stream.invalid";

/// How long a change may take to reach everybody. Cyrus's own server pushes every 5 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A subscriber reads a few lines.
const STACK: usize = 256 << 10;

/// Makes each change differ from the one before, in other rounds too.
static VERSION: AtomicU64 = AtomicU64::new(1);

/// From the sending of a change to its arrival at each of the subscribers, who ask for nothing.
pub fn push(stage: &Stage<'_>, subscribers: usize) -> Result<Sample, BenchError> {
    with_subscribers(stage, subscribers, |client, shared| {
        loop {
            match client.event()? {
                Event::Data(Response::Mailbox { .. }) => shared.arrived(shared.sent().elapsed()),
                // The writer is done.
                Event::Data(Response::Delete { .. }) => return Ok(()),
                _ => {}
            }
        }
    })
}

/// From a subscriber's NOOP, sent when a change has been answered, to the OK that comes behind the change.
pub fn barrier(stage: &Stage<'_>, subscribers: usize) -> Result<Sample, BenchError> {
    with_subscribers(stage, subscribers, |client, shared| {
        while let Ok(()) = shared.answered.recv() {
            let (since, mut shown, mut deleted) = (Instant::now(), false, false);
            client.send(Verb::Noop);
            client.answer(|row| match row {
                Response::Delete { .. } => deleted = true,
                _ => shown = true,
            })?;
            if deleted {
                break;
            }
            if !shown {
                return Err(BenchError::Silent { what: "a change behind NOOP" });
            }
            shared.arrived(since.elapsed());
        }
        Ok(())
    })
}

/// What a subscriber knows of the writer.
struct Shared<'a> {
    /// When the change was sent that is on its way.
    sent: &'a Mutex<Instant>,
    /// A change was answered.
    answered: Receiver<()>,
    arrivals: Sender<Result<Duration, BenchError>>,
}

impl Shared<'_> {
    fn sent(&self) -> Instant {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, took: Duration) {
        let _ = self.arrivals.send(Ok(took));
    }
}

/// Open the streams, let each be read by `read`, and change one mailbox again and again, each time when everybody has
/// seen the change before.
fn with_subscribers(
    stage: &Stage<'_>,
    subscribers: usize,
    read: impl Fn(&mut Connection, &Shared<'_>) -> Result<(), BenchError> + Sync,
) -> Result<Sample, BenchError> {
    let sent = Mutex::new(Instant::now());
    let (arrivals, seen) = mpsc::channel();
    thread::scope(|scope| {
        let mut answered = Vec::new();
        for _ in 0..subscribers {
            let (tell, told) = mpsc::channel();
            answered.push(tell);
            let shared = Shared { sent: &sent, answered: told, arrivals: arrivals.clone() };
            let read = &read;
            let run = move || {
                let done = subscribe(stage).and_then(|mut client| {
                    shared.arrived(Duration::ZERO);
                    read(&mut client, &shared)
                });
                if let Err(error) = done {
                    let _ = shared.arrivals.send(Err(error));
                }
            };
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run)?;
        }
        let mut writer = stage.target.login()?;
        let sample = write(&mut writer, stage.options.time(), &sent, &answered, &seen);
        // Nobody waits for more.
        writer.call(Verb::Delete { mailbox: mailbox() })?;
        sample
    })
}

fn subscribe(stage: &Stage<'_>) -> Result<Connection, BenchError> {
    let mut client = stage.target.login()?;
    client.call(Verb::Update { servers: vec![ServerName::new(SERVER).expect("a legal name")] })?;
    Ok(client)
}

fn write(
    writer: &mut Connection,
    time: Duration,
    sent: &Mutex<Instant>,
    answered: &[Sender<()>],
    seen: &Receiver<Result<Duration, BenchError>>,
) -> Result<Sample, BenchError> {
    let everybody = |sample: &mut Sample| -> Result<(), BenchError> {
        for _ in answered {
            let arrival = seen.recv_timeout(PATIENCE);
            sample.took(arrival.map_err(|_| BenchError::Silent { what: "a change on a stream" })??);
        }
        Ok(())
    };
    let change = |writer: &mut Connection, sample: &mut Sample| -> Result<(), BenchError> {
        *sent.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        writer.call(activate(VERSION.fetch_add(1, Ordering::Relaxed)))?;
        // One that has failed has said so.
        for tell in answered {
            let _ = tell.send(());
        }
        everybody(sample)
    };
    let mut unmeasured = Sample::default();
    // All are subscribed. The first change may be held back behind the OK of their UPDATE.
    everybody(&mut unmeasured)?;
    change(writer, &mut unmeasured)?;
    let (mut sample, start) = (Sample::default(), Instant::now());
    while sample.elapsed < time {
        change(writer, &mut sample)?;
        sample.elapsed = start.elapsed();
    }
    Ok(sample)
}

fn mailbox() -> MailboxName {
    name("user.bench-stream".into())
}

fn activate(version: u64) -> Verb {
    Verb::Activate {
        mailbox: mailbox(),
        location: Location::new(format!("{SERVER}!default")).expect("a legal location"),
        acl: Acl::new(format!("bench\tlrswipkxtecdan\tversion{version}\tlrs\t")),
    }
}
