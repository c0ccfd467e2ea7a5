//! LIST and UPDATE: what frontends and backends ask for when they start.

use std::time::Instant;

use mupdate_proto::Verb;

use super::Stage;
use crate::bench::{BenchError, sample::Sample, target::Connection};

/// LIST, all or what begins so.
pub fn list(stage: &Stage<'_>, prefix: Option<&'static str>) -> Result<Sample, BenchError> {
    let mut client = stage.target.login()?;
    repeat(stage, || {
        client.send(Verb::List { prefix: prefix.map(Into::into) });
        count(&mut client)
    })
}

/// The dump that begins an UPDATE, with the connection that it needs.
pub fn dump(stage: &Stage<'_>) -> Result<Sample, BenchError> {
    repeat(stage, || {
        let mut client = stage.target.login()?;
        client.send(Verb::Update { servers: Vec::new() });
        count(&mut client)
    })
}

/// What `ctl_mboxlist -m` sends for a backend whose mailboxes all have another ACL than the server knows: LIST, then
/// FIND and ACTIVATE for each, one after the other. Each command is timed.
pub fn resync(stage: &Stage<'_>) -> Result<Sample, BenchError> {
    let directory = stage.directory;
    let prefix = directory.server_prefix();
    let at_this_server = |number: &u32| directory.location(*number).as_bytes().starts_with(prefix.as_bytes());
    let mut client = stage.target.login()?;
    let (mut sample, start) = (Sample::default(), Instant::now());
    'time: for version in 1.. {
        let since = Instant::now();
        client.send(Verb::List { prefix: Some(prefix.into()) });
        count(&mut client)?;
        sample.done(since);
        for number in (0..directory.count).filter(at_this_server) {
            for verb in [Verb::Find { mailbox: directory.name(number) }, directory.activate(number, version)]
            {
                let since = Instant::now();
                client.call(verb)?;
                sample.done(since);
            }
            if start.elapsed() >= stage.options.time() {
                break 'time;
            }
        }
    }
    sample.elapsed = start.elapsed();
    Ok(sample)
}

/// Once, and again until time is up.
fn repeat(stage: &Stage<'_>, mut walk: impl FnMut() -> Result<(), BenchError>) -> Result<Sample, BenchError> {
    let (mut sample, start) = (Sample::default(), Instant::now());
    loop {
        let since = Instant::now();
        walk()?;
        sample.done(since);
        sample.elapsed = start.elapsed();
        if sample.elapsed >= stage.options.time() {
            return Ok(sample);
        }
    }
}

/// Read the rows up to the answer. That there are none is a fault: the mailboxes are there.
pub fn count(client: &mut Connection) -> Result<(), BenchError> {
    // Only counted: a client that took each row to pieces would take longer than a server that is quick.
    if client.count()? == 0 { Err(BenchError::Silent { what: "the mailboxes in a list" }) } else { Ok(()) }
}
