//! A directory without its connections, and connections without their sessions.

use std::sync::Arc;

use mupdate_core::directory::{Action, Filter};
use mupdate_core::server::Reply;
use mupdate_host::authority::Local;
use mupdate_host::feeds::{Feeds, Subscription};
use mupdate_host::inbox::{Inbox, Taken};
use mupdate_host::store::Store;
use mupdate_host::writer::{Job, Origin, Writer, WriterOptions};
use shuttle::sync::mpsc::{Receiver, sync_channel};
use tempfile::TempDir;

use crate::common;

pub const OK: Reply = Reply::Submitted(Ok(()));

/// What the threads of a model share.
pub struct Bench {
    pub writer: Writer,
    pub feeds: Arc<Feeds>,
    pub store: Store,
    _dir: TempDir,
}

impl Bench {
    /// A directory in which these actions were done before.
    pub fn new(before: &[Action]) -> Arc<Self> {
        let (dir, store) = common::store();
        if !before.is_empty() {
            common::apply(&store, before);
        }
        let feeds = Feeds::new(store.revision().expect("readable"));
        let on_fatal = Box::new(|text: &str| panic!("the writer gave up: {text}"));
        // Rounds of two: some are full, and some are not.
        let options = WriterOptions { batch: 2, ..WriterOptions::default() };
        let writer = Writer::spawn(store.clone(), Box::new(Local), Arc::clone(&feeds), options, on_fatal)
            .expect("a thread");
        Arc::new(Self { writer, feeds, store, _dir: dir })
    }
}

/// A connection: an inbox, and what wakes whoever it belongs to, as in the daemons.
pub struct Peer {
    pub inbox: Arc<Inbox>,
    woken: Receiver<()>,
}

impl Peer {
    pub fn new() -> Self {
        let (wake, woken) = sync_channel(1);
        let wake = move || {
            // A full channel means that a wake-up is under way.
            let _ = wake.try_send(());
        };
        Self { inbox: Inbox::new(Box::new(wake)), woken }
    }

    /// Sleep until there is something in the inbox. If nothing ever comes, shuttle reports a deadlock.
    pub fn wait(&self) -> Taken {
        self.woken.recv().expect("the inbox holds the other end");
        self.inbox.take()
    }

    /// Sleep until the one request in flight is answered.
    pub fn answer(&self) -> Reply {
        loop {
            let mut replies = self.wait().replies;
            if let Some((_, reply)) = replies.pop() {
                assert!(replies.is_empty(), "answered twice");
                return reply;
            }
        }
    }

    pub fn action(&self, action: Action) -> Job {
        let origin = Origin { principal: "backend".into(), peer: "model".into() };
        Job::Action { action, origin, ticket: 1.into(), inbox: Arc::clone(&self.inbox) }
    }

    /// Have an action done.
    pub fn change(&self, bench: &Bench, action: Action) -> Reply {
        bench.writer.submit(self.action(action));
        self.answer()
    }

    /// Have everything before this put into the feed. The position, or why there is none.
    pub fn barrier(&self, bench: &Bench, subscription: &Subscription) -> Result<u64, String> {
        let feed = Arc::clone(subscription.feed());
        bench.writer.submit(Job::Barrier { ticket: 2.into(), inbox: Arc::clone(&self.inbox), feed });
        match self.answer() {
            Reply::Barrier { position } => Ok(position),
            Reply::Failed(text) => Err(text),
            reply => panic!("{reply:?} answers a barrier"),
        }
    }

    pub fn subscribe(&self, bench: &Bench, filter: Filter) -> Subscription {
        bench.feeds.subscribe(filter, Arc::clone(&self.inbox))
    }
}
