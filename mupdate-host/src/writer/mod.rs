//! The one thread that changes the directory.
//!
//! It takes what has queued up, of each connection in turns, carries it out in one transaction, commits, puts the changes
//! into the feeds and then releases the replies. While one commit is on its way to the disk the next batch queues up:
//! group commit, with no timer.
//!
//! - No reply leaves before everything that it depends on is durable, refusals and repetitions included.
//! - A barrier is answered when everything that was answered before it was submitted is in the feeds.
//! - A full store, a full disk or a data directory that is gone is a NO for the batch that met it, but for its deletions
//!   where there is room for them alone. Anything else that goes wrong is fatal: nobody is answered, since nobody knows
//!   what is on the disk, and the daemon has to end.

mod edits;
mod gauge;
mod memos;
mod obstacles;
mod operations;
mod round;
mod tally;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mupdate_core::directory::{Action, Policy};
use mupdate_core::server::{Reply, Ticket};

pub use edits::{Applied, Done, Edits, Remember};
pub use memos::Memo;
pub(crate) use operations::REPLICA;
pub use operations::{Operated, Operation};
pub use tally::{Decision, Decisions, Times};

use crate::authority::Authority;
use crate::feeds::{Feeds, SharedFeed};
use crate::fuses::FuseBox;
use crate::inbox::Inbox;
use crate::pairs::Pairs;
use crate::permits::Permits;
use crate::store::{CommitError, Obstacle, Store, StoreError};
use crate::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, lock};
use gauge::Gauge;
use memos::Memos;
use obstacles::{Obstacles, Seen};
use waiting::{Barrier, Entry, Order, Waiting};

/// Who asks for a change: for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name that the peer logged in with.
    pub principal: Arc<str>,
    /// Where the connection comes from.
    pub peer: Arc<str>,
}

/// Work for the writer.
#[derive(Debug)]
pub enum Job {
    /// Change the directory. Answered with [`Reply::Submitted`], or [`Reply::Failed`] if it could not be done.
    Action {
        /// What to do.
        action: Action,
        /// Who wants it.
        origin: Origin,
        /// Which request this is.
        ticket: Ticket,
        /// Where the answer goes.
        inbox: Arc<Inbox>,
    },
    /// Answer with [`Reply::Barrier`] when everything that was committed before is in the feeds.
    Barrier {
        /// Which request this is.
        ticket: Ticket,
        /// Where the answer goes.
        inbox: Arc<Inbox>,
        /// The feed whose end position is asked for.
        feed: SharedFeed,
    },
    /// Make names what somebody else has decided, in one transaction if there is room for all of them.
    Edits(Edits),
    /// Remember something about this daemon, and perhaps become something else.
    Remember(Remember),
    /// Do nothing, behind what was submitted before, and say so: for whoever wants to know whether the writer lives.
    Nothing(Done),
    /// Remember something, some time soon. Not answered.
    Note(Memo),
}

/// How the writer works.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The rules of the core that apply.
    pub policy: Policy,
    /// Actions that go into one transaction.
    pub batch: usize,
    /// How long notes wait for a commit that takes them along, before they get one of their own.
    pub note_delay: Duration,
    /// Who may change what.
    pub permits: Arc<Permits>,
    /// How much of it at a time.
    pub fuses: Arc<FuseBox>,
    /// Who hears what was said, and by whom.
    pub pairs: Arc<Pairs>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            policy: Policy::Standard,
            batch: 256,
            note_delay: Duration::from_secs(5),
            permits: Arc::default(),
            fuses: Arc::default(),
            pairs: Arc::default(),
        }
    }
}

/// What the writer has done since it started.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Rounds with at least one action.
    pub batches: AtomicU64,
    /// Actions carried to the authority.
    pub actions: AtomicU64,
    /// Actions that changed something.
    pub changes: AtomicU64,
    /// Actions answered NO by the rules.
    pub refused: AtomicU64,
    /// Those of them that were refused for who asked.
    pub denied: AtomicU64,
    /// Those that were held, since somebody's fuse had blown.
    pub held: AtomicU64,
    /// Fuses that have blown.
    pub fuses_blown: AtomicU64,
    /// Activations that took a mailbox from another location.
    pub takeovers: AtomicU64,
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Batches answered NO, deletions aside, because nothing could be written.
    pub full: AtomicU64,
    /// Changes and barriers that were submitted, and are not dealt with yet.
    pub queued: AtomicU64,
    /// What came of each change, by command.
    pub decisions: Decisions,
    /// How long it took.
    pub times: Times,
    /// Records looked at by jobs that may be large, one at a time.
    steps: AtomicU64,
}

impl WriterStats {
    /// Something that grows while the writer is at a large job.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Another record of a large job was dealt with.
    pub(crate) fn step(&self) {
        Self::add(&self.steps, 1);
    }

    fn add(counter: &AtomicU64, by: usize) {
        counter.fetch_add(by as u64, Ordering::Relaxed);
    }

    fn dealt_with(&self, jobs: usize) {
        self.queued.fetch_sub(jobs as u64, Ordering::Relaxed);
    }
}

/// The writer's handle. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Writer {
    /// Taken away to say stop: behind the last thing that was submitted, the queue then ends.
    queue: Mutex<Option<Sender<Message>>>,
    memos: Arc<Memos>,
    stats: Arc<WriterStats>,
    obstacle: Arc<Seen>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Message {
    Job(Job),
    /// What an operator wants.
    Order(operations::Order),
    /// The first memo since the last time that they were written.
    Memos,
}

impl Writer {
    /// Start the writer's thread.
    ///
    /// `on_fatal` is called on that thread, or on the one that syncs the store, with one line, which was logged, when the
    /// daemon must not go on: let it end the process (`EX_IOERR`). Nobody whose change may or may not be on the disk has
    /// been answered then.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn(
        store: Store,
        authority: Box<dyn Authority>,
        feeds: Arc<Feeds>,
        options: WriterOptions,
        on_fatal: Box<dyn FnOnce(&str) + Send>,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let memos = Arc::new(Memos::default());
        let stats = Arc::new(WriterStats::default());
        let obstacles = Obstacles::default();
        let obstacle = obstacles.seen();
        let end = End::of(on_fatal);
        store.when_broken(Box::new({
            let end = Arc::clone(&end);
            move |text| end.come(text)
        }));
        let mut work = Work {
            jobs,
            memos: Arc::clone(&memos),
            memos_due: None,
            gauge: Gauge::default(),
            obstacles,
            orders: VecDeque::new(),
            stats: Arc::clone(&stats),
            store,
            authority,
            feeds,
            options,
        };
        let run = move || {
            // The state is not used after a panic: the process ends.
            let text = match catch_unwind(AssertUnwindSafe(|| work.run())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    format!("the directory cannot be written, and what is on the disk is unknown: {error}")
                }
                Err(_) => "the writer panicked; what is on the disk is unknown".to_owned(),
            };
            end.come(&text);
        };
        let thread = thread::Builder::new().name("writer".into()).spawn(run)?;
        Ok(Self { queue: Mutex::new(Some(queue)), memos, stats, obstacle, thread: Mutex::new(Some(thread)) })
    }

    /// Give the writer work. Returns at once; the queue is as long as there are requests in flight.
    pub fn submit(&self, job: Job) {
        let message = match job {
            Job::Note(memo) => {
                if !self.memos.put(memo) {
                    return;
                }
                Message::Memos
            }
            job => {
                WriterStats::add(&self.stats.queued, 1);
                Message::Job(job)
            }
        };
        let sent = match &*lock(&self.queue) {
            Some(queue) => queue.send(message),
            None => Err(mpsc::SendError(message)),
        };
        match sent {
            Err(mpsc::SendError(Message::Job(job))) => {
                self.stats.dealt_with(1);
                decline(job, &self.stats);
            }
            Err(mpsc::SendError(Message::Order(order))) => order.decline(),
            Err(mpsc::SendError(Message::Memos)) | Ok(()) => {}
        }
    }

    /// Do everything that was submitted before this, then end. Returns when that has happened. Whatever is submitted
    /// later is declined.
    pub fn stop(&self) {
        drop(lock(&self.queue).take());
        // Whoever else says stop meanwhile waits for the lock, and so for the end too.
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn stats(&self) -> &WriterStats {
        &self.stats
    }

    /// What kept the last changes from being written, if it was not overcome since.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.obstacle.obstacle()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What happens when the daemon must not go on, whoever finds that out first.
///
/// The standard library's lock: the thread that syncs the store is none of those that a model checker runs.
struct End(std::sync::Mutex<Option<OnFatal>>);

type OnFatal = Box<dyn FnOnce(&str) + Send>;

impl End {
    fn of(on_fatal: OnFatal) -> Arc<Self> {
        Arc::new(Self(std::sync::Mutex::new(Some(on_fatal))))
    }

    fn come(&self, text: &str) {
        let on_fatal = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_fatal) = on_fatal {
            tracing::error!("{text}");
            on_fatal(text);
        }
    }
}

/// Nothing was begun: it is safe to say no.
fn decline(job: Job, stats: &WriterStats) {
    const TEXT: &str = "server is shutting down";
    if let Job::Action { action, .. } = &job {
        stats.decisions.add(action, Decision::Failed);
    }
    match job {
        Job::Action { ticket, inbox, .. } | Job::Barrier { ticket, inbox, .. } => {
            inbox.deliver(ticket, Reply::Failed(TEXT.to_owned()));
        }
        Job::Edits(Edits { done, .. }) => done.say(Err(TEXT.to_owned())),
        Job::Remember(Remember { done, .. }) | Job::Nothing(done) => done.say(Err(TEXT.to_owned())),
        Job::Note(_) => {}
    }
}

/// The thread's own things.
struct Work {
    jobs: Receiver<Message>,
    memos: Arc<Memos>,
    /// When memos get a commit of their own.
    memos_due: Option<Instant>,
    gauge: Gauge,
    obstacles: Obstacles,
    /// What operators want: carried out one by one, between rounds.
    orders: VecDeque<operations::Order>,
    stats: Arc<WriterStats>,
    store: Store,
    authority: Box<dyn Authority>,
    feeds: Arc<Feeds>,
    options: WriterOptions,
}

impl Work {
    fn run(&mut self) -> Result<(), StoreError> {
        let mut waiting = Waiting::default();
        loop {
            self.options.pairs.told_up_to(self.feeds.published());
            if waiting.is_empty() && self.orders.is_empty() {
                match self.wait() {
                    Ok(message) => self.sort(message, &mut waiting),
                    Err(RecvTimeoutError::Timeout) => {
                        self.write_memos()?;
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return self.write_memos(),
                }
            }
            while let Ok(message) = self.jobs.try_recv() {
                self.sort(message, &mut waiting);
            }
            let round = waiting.round(self.options.batch, self.feeds.subscribers());
            let jobs = round.actions.len() + round.barriers.len();
            self.carry_out(round)?;
            self.stats.dealt_with(jobs);
            if let Some(order) = waiting.order() {
                self.carry_out_order(order)?;
                self.stats.dealt_with(1);
            }
            if let Some(order) = self.orders.pop_front() {
                self.operate(order)?;
            }
            // Under a flood of changes there is always a next round; whoever was answered may want this processor.
            thread::yield_now();
        }
    }

    /// Try something once more, if the map was full and has room to make.
    fn with_all_room<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        match attempt(self) {
            Err(CommitError::Obstacle(Obstacle::MapFull)) if self.store.make_room()? => attempt(self),
            done => done,
        }
    }

    /// The next message. `Timeout`: memos have waited long enough. `Disconnected`: somebody said stop, and all is done.
    fn wait(&self) -> Result<Message, RecvTimeoutError> {
        match self.memos_due {
            None => self.jobs.recv().map_err(RecvTimeoutError::from),
            Some(due) => self.jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
        }
    }

    /// Put a message where it belongs.
    fn sort(&mut self, message: Message, waiting: &mut Waiting) {
        match message {
            Message::Job(Job::Action { action, origin, ticket, inbox }) => {
                waiting.add(Entry { action, origin, ticket, inbox });
            }
            Message::Job(Job::Barrier { ticket, inbox, feed }) => {
                waiting.add_barrier(Barrier { ticket, inbox, feed });
            }
            Message::Job(Job::Edits(edits)) => waiting.add_order(Order::Edits(edits)),
            Message::Job(Job::Remember(remember)) => waiting.add_order(Order::Remember(remember)),
            Message::Job(Job::Nothing(done)) => waiting.add_order(Order::Nothing(done)),
            Message::Order(order) => self.orders.push_back(order),
            Message::Job(Job::Note(_)) => debug_assert!(false, "notes do not come through the queue"),
            Message::Memos => {
                self.memos_due.get_or_insert_with(|| Instant::now() + self.options.note_delay);
            }
        }
    }
}
