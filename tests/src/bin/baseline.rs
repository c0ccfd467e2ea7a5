//! What this machine can do at best, to hold the daemons' figures against: `just performance` runs it beside them.
//!
//! As JSON: how often a second a line can be sent over TCP and answered with another, by threads that do nothing else, for each
//! number of clients; and how often a second the store commits so many activations in one transaction, with nobody asking.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use mupdate_core::directory::{Action, Batch, Policy, Speaker};
use mupdate_host::store::{Store, StoreOptions};
use mupdate_proto::{Acl, Location, MailboxName};
use serde::Serialize;

/// A FIND and its answer, more or less.
const QUESTION: &[u8; 41] = b"C12345 FIND \"user.bench-alice000123.Tr\"\r\n";
const ANSWER: [u8; 180] = [b'x'; 180];

/// What this machine can do at best: TCP round trips, and commits of the store.
#[derive(Debug, Parser)]
struct Options {
    /// Where the store is made; on the disk that is to be measured
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Numbers of clients at a time
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    clients: Vec<usize>,
    /// Activations in a transaction
    #[arg(long, value_delimiter = ',', default_value = "1,32,64")]
    batch: Vec<usize>,
    /// Mailboxes that are there already
    #[arg(long, default_value_t = 10_000)]
    mailboxes: usize,
    /// For how long each is measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Clients, and round trips a second of all of them.
    echo: BTreeMap<usize, f64>,
    /// Activations in a transaction, and activations a second.
    store: BTreeMap<usize, f64>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let time = Duration::from_secs_f64(options.seconds);
    let mut echo = BTreeMap::new();
    for &clients in &options.clients {
        echo.insert(clients, round_trips(clients, time)?);
    }
    let dir = match &options.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let store = Store::open(dir.path(), StoreOptions { max_readers: 16, ..StoreOptions::default() })
        .map_err(|error| io::Error::other(error.to_string()))?;
    commit(&store, 0..options.mailboxes);
    let mut rates = BTreeMap::new();
    for &batch in &options.batch {
        rates.insert(batch, commits(&store, batch, options.mailboxes, time));
    }
    println!("{}", serde_json::to_string(&Report { echo, store: rates })?);
    Ok(())
}

/// Round trips a second of so many clients together.
fn round_trips(clients: usize, time: Duration) -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || answer(socket));
        }
    });
    let threads: Vec<_> = (0..clients).map(|_| thread::spawn(move || ask(address, time))).collect();
    let trips = threads.into_iter().map(|thread| thread.join().expect("a client does not panic"));
    Ok(trips.sum::<io::Result<u64>>()? as f64 / time.as_secs_f64())
}

fn answer(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    loop {
        socket.read_exact(&mut [0; QUESTION.len()])?;
        socket.write_all(&ANSWER)?;
    }
}

fn ask(address: SocketAddr, time: Duration) -> io::Result<u64> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let started = Instant::now();
    let mut trips = 0;
    while started.elapsed() < time {
        socket.write_all(QUESTION)?;
        socket.read_exact(&mut [0; ANSWER.len()])?;
        trips += 1;
    }
    Ok(trips)
}

/// Activations a second, so many in each transaction, of mailboxes all over the directory: each gets another ACL.
fn commits(store: &Store, batch: usize, mailboxes: usize, time: Duration) -> f64 {
    let started = Instant::now();
    let mut done = 0;
    while started.elapsed() < time {
        // A step that shares no factor with most numbers of mailboxes comes by all of them.
        commit(store, (done..done + batch).map(|at| at * 7919 % mailboxes));
        done += batch;
    }
    done as f64 / started.elapsed().as_secs_f64()
}

fn commit(store: &Store, numbers: impl Iterator<Item = usize>) {
    let mut txn = store.begin().expect("nobody else writes");
    let revision = txn.revision();
    let mut staged = Batch::new(revision);
    for at in numbers {
        let action = Action::Activate {
            mailbox: MailboxName::new(format!("user.bench-alice{at:06}")).expect("a legal name"),
            location: Location::new("bench0.invalid!default").expect("a legal location"),
            acl: Acl::new(format!("alice{at:06}\tlrswipkxtecda\tadmin\tlrswipkxtecda{revision}\t")),
        };
        staged.stage(&mut txn, &action, Speaker::TRUSTED, Policy::Standard, at).expect("there is room");
    }
    let sealed = staged.seal();
    drop(sealed.durable(txn.commit().expect("there is room")));
}
