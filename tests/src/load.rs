//! Writers and subscribers that put a daemon under load until it ends, and remember what they were told.

use std::{
    collections::{BTreeMap, VecDeque},
    net::TcpStream,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

use fastrand::Rng;
use mupdate_proto::Verb;

use crate::{
    client::{Client, ClientError, Row, activate, deactivate, delete, find, reserve},
    daemon::Daemon,
    history::{Change, Clock, History, Moment, Outcome},
};

/// Names that only one writer writes, for each writer.
const OWN: usize = 24;

/// Names that all of them write.
const SHARED: usize = 8;

/// What a daemon says when a change was refused because nothing could be written.
const HINDERED: &str = "nothing was changed";

/// What a daemon has to be told for it: the writers take names from each other without end.
pub const SETTINGS: &str = "fuse.takeovers = 0\n";

/// How much load.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Connections that write.
    pub writers: usize,
    /// Connections with an UPDATE stream.
    pub subscribers: usize,
    /// Commands that a writer has under way at most; each draws its own depth below.
    pub depth: usize,
}

/// A load that is under way.
pub struct Load {
    writers: Vec<JoinHandle<Vec<Entry>>>,
    subscribers: Vec<JoinHandle<Vec<(Row, Moment)>>>,
    answered: Receiver<()>,
}

/// A command as its client knows it.
struct Entry {
    name: String,
    /// It was answered NO, and not because of anybody else: nothing could be written.
    hindered: bool,
    what: What,
}

enum What {
    Change(Change),
    Found(Option<(Row, Moment)>),
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Told {
    /// Changes that were answered OK.
    pub done: usize,
    /// Changes that were answered NO.
    pub refused: usize,
    /// Changes that were not answered.
    pub open: usize,
    /// Lines of streams and of FIND.
    pub seen: usize,
    /// Races that were answered, and whether a writer was told that it has won.
    races: BTreeMap<String, bool>,
}

impl Load {
    /// Begins. `round` is part of the names that are raced for and of all values: it must not be used twice on the same
    /// data.
    pub fn start(daemon: &Daemon, shape: Shape, round: usize, rng: &mut Rng) -> Self {
        let clock = Arc::<Clock>::default();
        let (answers, answered) = mpsc::channel();
        let subscribers = (0..shape.subscribers)
            .map(|_| {
                let (stream, clock) = (daemon.connect(), Arc::clone(&clock));
                thread::spawn(move || subscribe(stream, &clock))
            })
            .collect();
        let writers = (0..shape.writers)
            .map(|number| {
                let writer = Writer {
                    number,
                    round,
                    depth: rng.usize(1..=shape.depth),
                    rng: rng.fork(),
                    clock: Arc::clone(&clock),
                    entries: Vec::new(),
                    open: VecDeque::new(),
                    races: 0,
                };
                let (stream, answers) = (daemon.connect(), answers.clone());
                thread::spawn(move || writer.run(stream, &answers))
            })
            .collect();
        Self { writers, subscribers, answered }
    }

    /// Waits for so many answers; how many came before all writers had ended.
    pub fn wait_for(&self, answers: usize) -> usize {
        self.answered.iter().take(answers).count()
    }

    /// Waits for the end of all connections, and enters into `history` what they know.
    ///
    /// # Panics
    /// A client has panicked.
    pub fn finish(self, history: &mut History) -> Told {
        let mut told = Told::default();
        let mut seen = Vec::new();
        for writer in self.writers {
            for Entry { name, hindered, what } in writer.join().expect("a writer ends with its connection") {
                match what {
                    What::Found(found) => seen.extend(found),
                    What::Change(change) => {
                        told.count(&name, &change, hindered);
                        history.enter(name, change);
                    }
                }
            }
        }
        for subscriber in self.subscribers {
            seen.extend(subscriber.join().expect("a subscriber ends with its connection"));
        }
        told.seen = seen.len();
        for (row, at) in seen {
            history.saw(&row, at);
        }
        told
    }
}

impl Told {
    fn count(&mut self, name: &str, change: &Change, hindered: bool) {
        match change.outcome {
            Outcome::Done(_) => self.done += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Open => self.open += 1,
        }
        if name.starts_with("race.") && change.outcome != Outcome::Open && !hindered {
            let won = change.outcome != Outcome::Refused;
            let winner = self.races.entry(name.to_owned()).or_default();
            assert!(!(won && *winner), "{name} has two winners");
            *winner |= won;
        }
    }
}

fn subscribe(stream: TcpStream, clock: &Clock) -> Vec<(Row, Moment)> {
    let mut seen = Vec::new();
    let Ok(mut client) = Client::login(stream) else { return seen };
    let Ok(rows) = client.update(&[]) else { return seen };
    let at = clock.now();
    seen.extend(rows.into_iter().map(|row| (row, at)));
    while let Ok(row) = client.streamed() {
        seen.push((row, clock.now()));
    }
    seen
}

struct Writer {
    number: usize,
    round: usize,
    depth: usize,
    rng: Rng,
    clock: Arc<Clock>,
    /// Everything that was sent, in this sequence.
    entries: Vec<Entry>,
    /// Which of it was not answered yet.
    open: VecDeque<usize>,
    /// Races that it took part in.
    races: usize,
}

impl Writer {
    fn run(mut self, stream: TcpStream, answers: &Sender<()>) -> Vec<Entry> {
        if let Ok(mut client) = Client::login(stream) {
            while self.step(&mut client).is_ok() {
                // Nobody counts any more once the end has begun.
                let _ = answers.send(());
            }
        }
        self.entries
    }

    /// Fills the pipeline and takes one answer.
    fn step(&mut self, client: &mut Client<TcpStream>) -> Result<(), ClientError> {
        while self.open.len() < self.depth {
            let (verb, entry) = self.draw();
            client.send(verb);
            self.open.push_back(self.entries.len());
            self.entries.push(entry);
        }
        let answer = client.answer();
        let (refused, hindered) = match &answer {
            Ok(_) => (false, false),
            Err(ClientError::Refused { text, .. }) => (true, text.contains(HINDERED)),
            Err(_) => return answer.map(drop),
        };
        let at = self.clock.now();
        let oldest = self.open.pop_front().expect("the pipeline was filled");
        self.entries[oldest].hindered = hindered;
        match &mut self.entries[oldest].what {
            What::Change(change) if refused => change.outcome = Outcome::Refused,
            What::Change(change) => change.outcome = Outcome::Done(at),
            What::Found(found) => *found = answer?.into_iter().next().map(|row| (row, at)),
        }
        Ok(())
    }

    /// The next command.
    fn draw(&mut self) -> (Verb, Entry) {
        let (number, step) = (self.number, self.entries.len());
        // A value of its own for every change.
        let location = format!("be{number}!r{}s{step}", self.round);
        let name = match self.rng.u8(..100) {
            0..60 => format!("user.w{number}.n{}", self.rng.usize(..OWN)),
            60..80 => format!("shared.n{}", self.rng.usize(..SHARED)),
            _ => {
                self.races += 1;
                format!("race.r{}.n{}", self.round, self.races)
            }
        };
        let racing = name.starts_with("race.");
        let (verb, value) = match self.rng.u8(..100) {
            _ if racing => (reserve(&name, &location), Some(Row::reserve(&name, &location))),
            0..20 => (reserve(&name, &location), Some(Row::reserve(&name, &location))),
            20..55 => {
                let acl = format!("anyone\tlrs\tw{number}\t{}", "x".repeat(self.rng.usize(..200)));
                (activate(&name, &location, &acl), Some(Row::mailbox(&name, &location, &acl)))
            }
            55..70 => (deactivate(&name, &location), Some(Row::reserve(&name, &location))),
            70..90 => (delete(&name), None),
            _ => return (find(&name), Entry { name, hindered: false, what: What::Found(None) }),
        };
        let change = Change { client: number, sent: self.clock.now(), value, outcome: Outcome::Open };
        (verb, Entry { name, hindered: false, what: What::Change(change) })
    }
}

/// Looks at everything that is there and compares it with what clients know; how many names there are.
///
/// # Panics
/// Something was lost or invented.
pub fn compare(daemon: &Daemon, history: &mut History, told: &Told) -> usize {
    let mut client = Client::login(daemon.connect()).expect("the daemon serves");
    let rows = client.list(None).expect("LIST works");
    let found: BTreeMap<String, Row> = rows.into_iter().map(|row| (row.name().to_owned(), row)).collect();
    let faults = history.judge(&found);
    for fault in &faults {
        eprintln!("{fault}");
    }
    assert!(faults.is_empty(), "{} names are not as they can be", faults.len());
    let nobodys = told.races.keys().find(|name| !found.contains_key(*name));
    assert_eq!(nobodys, None, "a race for it was answered, and nobody has it");
    let count = found.len();
    history.settle(found);
    count
}
