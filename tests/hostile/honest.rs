//! The honest client: works as Cyrus's backends and frontends do, one command after the other, and times each.

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, Row},
    daemon::DEADLINE,
    player::LOGIN,
};

/// How many names it uses.
const NAMES: usize = 50;

/// What was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Connect,
    Greet,
    Login,
    Reserve,
    Activate,
    Find,
    Noop,
    Delete,
    Logout,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}").to_uppercase();
        f.pad(&name)
    }
}

/// How long each step took.
pub type Samples = Vec<(Step, Duration)>;

/// An honest client at work on a thread of its own.
pub struct Honest {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
}

impl Honest {
    /// Works until told to stop.
    pub fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = thread::spawn(move || work(address, || told.load(Ordering::Relaxed)));
        Self { over, thread }
    }

    /// Ends the work; what it took.
    pub fn stop(self) -> Samples {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the honest client is served")
    }
}

/// In turns on a connection that is kept, and on one that is made for the purpose, as a backend makes it.
fn work(address: SocketAddr, over: impl Fn() -> bool) -> Samples {
    let mut watch = Watch(Vec::new());
    let mut kept = Client::login(patient(TcpStream::connect(address).expect("the daemon listens")))
        .expect("the daemon serves");
    // The same names again and again, so that a feed that nobody reads does not grow by them.
    for round in (0..NAMES).cycle() {
        if over() {
            break;
        }
        commands(&mut kept, &mut watch, &format!("honest.kept.{round}"));
        let stream = watch.time(Step::Connect, || TcpStream::connect(address));
        let (mut fresh, _) = watch.time(Step::Greet, || Client::greet(patient(stream)));
        watch.time(Step::Login, || fresh.authenticate(LOGIN.0, LOGIN.1));
        commands(&mut fresh, &mut watch, &format!("honest.fresh.{round}"));
        watch.time(Step::Logout, || fresh.logout());
    }
    watch.0
}

fn commands(client: &mut Client<TcpStream>, watch: &mut Watch, name: &str) {
    let place = "honest!default";
    watch.time(Step::Reserve, || client.reserve(name, place));
    watch.time(Step::Activate, || client.activate(name, place, "a lrs"));
    let found = watch.time(Step::Find, || client.find(name));
    assert_eq!(found, Some(Row::mailbox(name, place, "a lrs")));
    watch.time(Step::Noop, || client.noop());
    watch.time(Step::Delete, || client.delete(name));
}

struct Watch(Samples);

impl Watch {
    fn time<T, E: fmt::Display>(&mut self, step: Step, act: impl FnOnce() -> Result<T, E>) -> T {
        let started = Instant::now();
        let result = act();
        self.0.push((step, started.elapsed()));
        result.unwrap_or_else(|error| panic!("{step}: {error}"))
    }
}

/// A socket that gives up in the end.
fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_nodelay(true).expect("a socket");
    stream
}
