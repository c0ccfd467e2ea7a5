//! Connections that come and go, that stand around, and that are in others' way.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use mupdate_proto::Verb;
use mupdate_sync::client::ClientError;

use super::{Stage, commands::Together, walks};
use crate::bench::{BenchError, sample::Sample, target::Connection};

/// Readers that do not read, of the case `beside-stuck`.
const STUCK: usize = 50;

/// Threads that open the connections of the case `idle`.
const HANDS: usize = 16;

/// Connect, log in, log out: what a backend of Cyrus does around each operation on a mailbox.
pub fn login(stage: &Stage<'_>, clients: usize) -> Result<Sample, BenchError> {
    let together = Together::new(clients);
    together.run(|_| {
        together.wait();
        let (mut sample, start) = (Sample::default(), Instant::now());
        while start.elapsed() < stage.options.time() {
            let since = Instant::now();
            stage.target.login()?.call(Verb::Logout).or_else(goodbye)?;
            sample.done(since);
        }
        Ok((sample, Instant::now()))
    })
}

/// RFC 3656 section 4.7 leaves it open how LOGOUT is answered: by OK or by BYE.
fn goodbye(error: ClientError) -> Result<(), ClientError> {
    match error {
        ClientError::Bye(_) => Ok(()),
        other => Err(other),
    }
}

/// FIND and ACTIVATE of one client while another asks for everything again and again.
pub fn beside_dump(stage: &Stage<'_>) -> Result<Sample, BenchError> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let dumping = scope.spawn(|| -> Result<(), BenchError> {
            let mut client = stage.target.login()?;
            while !over.load(Ordering::Relaxed) {
                client.send(Verb::List { prefix: None });
                walks::count(&mut client)?;
            }
            Ok(())
        });
        let sample = find_and_activate(stage);
        over.store(true, Ordering::Relaxed);
        dumping.join().expect("the other client does not panic")?;
        sample
    })
}

/// The same while others have asked for everything and do not read it.
pub fn beside_stuck(stage: &Stage<'_>) -> Result<Sample, BenchError> {
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let mut client = stage.target.login()?;
        client.send(Verb::List { prefix: None });
        client.flush()?;
        stuck.push(client);
    }
    find_and_activate(stage)
}

fn find_and_activate(stage: &Stage<'_>) -> Result<Sample, BenchError> {
    let mut client = stage.target.login()?;
    let directory = stage.directory;
    let (mut sample, start) = (Sample::default(), Instant::now());
    for version in 1.. {
        for number in (0..directory.count).step_by(97) {
            for verb in [Verb::Find { mailbox: directory.name(number) }, directory.activate(number, version)]
            {
                let since = Instant::now();
                client.call(verb)?;
                sample.done(since);
            }
            sample.elapsed = start.elapsed();
            if sample.elapsed >= stage.options.time() {
                return Ok(sample);
            }
        }
    }
    Ok(sample)
}

/// Connections that have logged in and do nothing: how long it takes to open them, and the server's memory for each.
pub fn idle(stage: &Stage<'_>, connections: usize) -> Result<Sample, BenchError> {
    let before = stage.target.memory();
    let start = Instant::now();
    let open = |hand: usize| -> Result<(Sample, Vec<Connection>), BenchError> {
        let (mut sample, mut open) = (Sample::default(), Vec::new());
        for _ in (hand..connections).step_by(HANDS) {
            let since = Instant::now();
            open.push(stage.target.login()?);
            sample.done(since);
        }
        Ok((sample, open))
    };
    thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS).map(|hand| scope.spawn(move || open(hand))).collect();
        let (mut all, mut standing) = (Sample::default(), Vec::new());
        for hand in hands {
            let (sample, open) = hand.join().expect("a hand does not panic")?;
            all.join(&sample);
            standing.extend(open);
        }
        all.elapsed = start.elapsed();
        let taken = before.zip(stage.target.memory()).map(|(before, after)| after.saturating_sub(before));
        all.memory_each = taken.map(|octets| octets / connections.max(1) as u64);
        Ok(all)
    })
}
