//! The proof of life: whoever must live is asked, and only when all have answered is the watchdog told so.
//!
//! Asked are the writer, through its queue, and each of those who accept connections, by the executor or in its own thread.
//! A timer that tells the watchdog that timers work would prove nothing.
//!
//! Somebody who is slow is not dead: the next question waits for the answers to the last. The time of the watchdog is
//! therefore what a commit may take at the most. Where the writer carries out something large, as an import is, its steps
//! count as answers.

use std::{
    io, mem,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{Manager, words};
use crate::{
    service::Service,
    writer::{Done, Job},
};

/// Time between two questions, if the watchdog does not want more.
const EVERY: Duration = Duration::from_secs(10);

/// So many questions at least within the time of the watchdog.
const QUESTIONS: u32 = 4;

/// Has each of those who accept connections let go of an answer that it is given for that. Returns how many there are.
pub type Ask = Box<dyn Fn(&dyn Fn() -> Answer) -> usize + Send>;

/// Who lives, lets go of it.
#[derive(Debug)]
pub struct Answer {
    who: Who,
    /// `None`: nobody is to hear of it.
    to: Option<mpsc::Sender<News>>,
}

impl Answer {
    /// Whoever was to get it is not there, and should be: this question will never be answered.
    pub fn is_lost(mut self) {
        self.to = None;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(to) = &self.to {
            // The pulse may have stopped.
            let _ = to.send(News::Answered(self.who));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Writer,
    Acceptor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Answered(Who),
    Reloaded,
    Stop,
}

/// The thread that asks, and tells the manager what it hears.
#[derive(Debug)]
pub struct Pulse {
    news: mpsc::Sender<News>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Ask from now on. The first answers are what the manager waits for: the daemon is ready.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(manager: &Manager, service: &Arc<Service>, ask: Ask) -> io::Result<Self> {
        let (news, heard) = mpsc::channel();
        if !manager.is_there() {
            return Ok(Self { news, thread: None });
        }
        let every = manager.watchdog().map_or(EVERY, |time| (time / QUESTIONS).min(EVERY));
        let mut asker = Asker {
            manager: manager.clone(),
            service: Arc::clone(service),
            ask,
            every,
            news: news.clone(),
            heard,
            ready: false,
        };
        let run = move || while asker.round().is_some() {};
        let thread = Some(thread::Builder::new().name("pulse".into()).spawn(run)?);
        Ok(Self { news, thread })
    }

    /// The configuration was read again, and the daemon is as ready as it was before.
    pub fn reloaded(&self) {
        let _ = self.news.send(News::Reloaded);
    }

    /// Ask no more.
    pub fn stop(self) {
        let _ = self.news.send(News::Stop);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

struct Asker {
    manager: Manager,
    service: Arc<Service>,
    ask: Ask,
    every: Duration,
    news: mpsc::Sender<News>,
    heard: mpsc::Receiver<News>,
    /// The manager knows that the daemon serves.
    ready: bool,
}

/// How many have yet to answer.
struct Missing {
    writer: usize,
    acceptors: usize,
}

impl Asker {
    /// One question to all, their answers, and the time until the next. `None`: somebody said stop.
    fn round(&mut self) -> Option<()> {
        let asked = Instant::now();
        let mut missing = self.ask_all();
        let (mut warned, mut steps) = (false, self.service.writer.stats().steps());
        while missing.anybody() {
            match self.hear(Instant::now() + self.every)? {
                Some(Who::Writer) => missing.writer -= 1,
                Some(Who::Acceptor) => missing.acceptors -= 1,
                None => {
                    let seconds = asked.elapsed().as_secs();
                    let now = self.service.writer.stats().steps();
                    if missing.acceptors == 0 && mem::replace(&mut steps, now) != now {
                        self.manager.alive(&format!("the writer is at something large, for {seconds} s"));
                        continue;
                    }
                    let what = missing.what();
                    self.manager.status(&format!("{what}, for {seconds} s"));
                    if !mem::replace(&mut warned, true) {
                        warn!(seconds, "{what}");
                    }
                }
            }
        }
        if warned {
            info!(seconds = asked.elapsed().as_secs(), "all have answered again");
        }
        let status = words::status(&self.service);
        if !mem::replace(&mut self.ready, true) {
            self.manager.ready(&status);
        }
        self.manager.alive(&status);
        let next = Instant::now() + self.every;
        while self.hear(next)?.is_some() {}
        Some(())
    }

    /// The next answer; `Some(None)`: none came until then. `None`: somebody said stop.
    fn hear(&self, until: Instant) -> Option<Option<Who>> {
        loop {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(News::Answered(who)) => return Some(Some(who)),
                // Before it was ready for the first time, it is not now.
                Ok(News::Reloaded) if self.ready => self.manager.ready(&words::status(&self.service)),
                Ok(News::Reloaded) => {}
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => return Some(None),
            }
        }
    }

    fn ask_all(&self) -> Missing {
        let answer = |who| Answer { who, to: Some(self.news.clone()) };
        let writers = answer(Who::Writer);
        // One that has stopped lets go of it too: then the daemon is about to end.
        self.service.writer.submit(Job::Nothing(Done::new(move |_| drop(writers))));
        Missing { writer: 1, acceptors: (self.ask)(&|| answer(Who::Acceptor)) }
    }
}

impl Missing {
    fn anybody(&self) -> bool {
        self.writer + self.acceptors > 0
    }

    fn what(&self) -> &'static str {
        if self.writer > 0 {
            "the writer does not answer: it waits for the disk, or hangs"
        } else {
            "no connections are accepted"
        }
    }
}
