//! Who follows the directory: the feeds of all UPDATE streams.

mod marks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mupdate_core::directory::{Event, Feed, Filter, News, Revision};
use mupdate_proto::{Location, ServerName};

use crate::inbox::Inbox;
use crate::metrics::Counter;
use crate::sync::{AtomicU64, Mutex, MutexGuard, lock};
use marks::Marks;

/// A feed as its two ends share it: the writer puts names in, one connection takes them out.
pub type SharedFeed = Arc<Mutex<Feed>>;

/// The registry of feeds.
///
/// - An event is in every feed that wants it before [`published`](Feeds::published) says so, and before the
///   backend that caused it is answered.
/// - Each subscriber is woken at most once a batch, and only if its feed was empty, or asks to be sorted.
/// - Publishing never waits for a subscriber: a feed is locked only as long as it takes to take a name out, or to sort in
///   some thousand.
#[derive(Debug)]
pub struct Feeds {
    registry: Mutex<Registry>,
    /// What may be in some feed already.
    announced: AtomicU64,
    published: AtomicU64,
    /// Names that were told again.
    reannounced: Counter,
}

#[derive(Debug, Default)]
struct Registry {
    next: u64,
    subscribers: BTreeMap<u64, Arc<Subscriber>>,
    marks: Marks,
}

#[derive(Debug)]
struct Subscriber {
    feed: SharedFeed,
    inbox: Arc<Inbox>,
    /// Who it is, for people.
    client: Arc<str>,
    /// It has every change up to here. Nothing is decided by this, so it is no part of what the model checkers try.
    given: std::sync::atomic::AtomicU64,
}

/// How far a subscriber is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Who it is: user and address.
    pub client: Arc<str>,
    /// It follows all servers.
    pub whole: bool,
    /// Names that wait in its feed.
    pub names: usize,
    /// Changes of the directory since it had everything; 0 if nothing waits.
    pub revisions: u64,
    /// For how long it has not had everything; zero if nothing waits.
    pub waited: Duration,
}

/// What had been published at a moment: how far subscribers were behind then can be told by it.
#[derive(Debug)]
pub struct Look {
    marks: Marks,
    published: Revision,
    now: Instant,
}

/// A subscription as others see it.
#[derive(Debug, Clone)]
pub struct Followed(Arc<Subscriber>);

impl Followed {
    /// How far the subscriber is behind.
    #[must_use]
    pub fn lag(&self, look: &Look) -> Lag {
        self.0.lag(look)
    }

    /// The servers that are followed; none if all are.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerName> {
        match lock(&self.0.feed).filter() {
            Filter::All => Vec::new(),
            Filter::Servers(servers) => servers.iter().cloned().collect(),
        }
    }
}

impl Feeds {
    /// A registry without subscribers, for a store that is at this revision.
    #[must_use]
    pub fn new(revision: Revision) -> Arc<Self> {
        Arc::new(Self {
            registry: Mutex::default(),
            announced: AtomicU64::new(revision),
            published: AtomicU64::new(revision),
            reannounced: Counter::default(),
        })
    }

    /// Follow the directory from now on. Whatever is not committed and published yet comes through the feed; so
    /// subscribe first, then read what there is.
    #[must_use = "the subscription ends when it is dropped"]
    pub fn subscribe(self: &Arc<Self>, filter: Filter, inbox: Arc<Inbox>) -> Subscription {
        self.subscribe_as("", filter, inbox)
    }

    /// The same for a client whose name people know.
    #[must_use = "the subscription ends when it is dropped"]
    pub fn subscribe_as(self: &Arc<Self>, client: &str, filter: Filter, inbox: Arc<Inbox>) -> Subscription {
        let subscriber = Arc::new(Subscriber {
            feed: Arc::new(Mutex::new(Feed::new(filter.clone()))),
            inbox,
            client: client.into(),
            given: self.published().into(),
        });
        let mut registry = self.registry();
        let id = registry.next;
        registry.next += 1;
        registry.subscribers.insert(id, Arc::clone(&subscriber));
        Subscription { feeds: Arc::clone(self), id, filter, subscriber }
    }

    /// Put the events of one commit, which made `revision`, into the feeds.
    pub fn publish(&self, events: &[Event], revision: Revision) {
        let news = News::from(events);
        let mut woken = Vec::new();
        let before = self.published.load(Ordering::Relaxed);
        // Before anything is in a feed; whoever finds it there sees this too, as the feed was locked in between.
        self.announced.store(revision, Ordering::Release);
        for subscriber in self.followers(revision) {
            let mut feed = lock(&subscriber.feed);
            if feed.is_empty() {
                subscriber.has(before);
            }
            if feed.publish(&news) {
                drop(feed);
                woken.push(subscriber);
            }
        }
        // One writer publishes in order, so this only grows.
        self.published.store(revision, Ordering::Release);
        for subscriber in woken {
            subscriber.inbox.changed();
        }
    }

    /// Who follows now. Many changes for many followers take a while, in which others come and go: the registry is not
    /// locked meanwhile. Whoever comes now reads the directory with these changes in it.
    fn followers(&self, revision: Revision) -> Vec<Arc<Subscriber>> {
        let mut registry = self.registry();
        if !registry.subscribers.is_empty() {
            registry.marks.add(revision, Instant::now());
        }
        registry.subscribers.values().cloned().collect()
    }

    /// Everything up to this revision is in the feeds of those who subscribed in time.
    #[must_use]
    pub fn published(&self) -> Revision {
        self.published.load(Ordering::Acquire)
    }

    /// How many streams there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.registry().subscribers.len()
    }

    /// How many names the fullest feed holds: how far the slowest subscriber is behind.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.registry().subscribers.values().map(|subscriber| lock(&subscriber.feed).len()).max().unwrap_or(0)
    }

    /// What has been published so far.
    #[must_use]
    pub fn look(&self, now: Instant) -> Look {
        let marks = self.registry().marks.clone();
        Look { marks, published: self.published(), now }
    }

    /// How far each subscriber is behind.
    #[must_use]
    pub fn lags(&self, now: Instant) -> Vec<Lag> {
        let subscribers: Vec<_> = self.registry().subscribers.values().cloned().collect();
        let look = self.look(now);
        subscribers.iter().map(|subscriber| subscriber.lag(&look)).collect()
    }

    /// How many names were put into feeds since their subscribers can have lost them.
    #[must_use]
    pub fn reannounced(&self) -> u64 {
        self.reannounced.get()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

impl Subscriber {
    /// It has every change up to this one.
    fn has(&self, revision: Revision) {
        self.given.store(revision, Ordering::Relaxed);
    }

    fn lag(&self, Look { marks, published, now }: &Look) -> Lag {
        let given = self.given.load(Ordering::Relaxed);
        let (whole, names) = {
            let feed = lock(&self.feed);
            (*feed.filter() == Filter::All, feed.len())
        };
        let since = marks.after(given).filter(|_| names > 0);
        Lag {
            client: Arc::clone(&self.client),
            whole,
            names,
            revisions: if names > 0 { published.saturating_sub(given) } else { 0 },
            waited: since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
        }
    }
}

/// One subscriber's end of its feed. Dropping it ends the subscription.
pub struct Subscription {
    feeds: Arc<Feeds>,
    id: u64,
    filter: Filter,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// The feed. Lock it for moments only: the writer needs it.
    #[must_use]
    pub fn feed(&self) -> &SharedFeed {
        &self.subscriber.feed
    }

    /// Does this subscriber follow all servers?
    #[must_use]
    pub fn whole(&self) -> bool {
        self.filter == Filter::All
    }

    /// Does this subscriber want to hear of mailboxes at this location?
    #[must_use]
    pub fn wants(&self, location: &[u8]) -> bool {
        self.filter.wants_server(Location::server_of(location))
    }

    /// How many names wait in the feed.
    #[must_use]
    pub fn behind(&self) -> usize {
        lock(self.feed()).len()
    }

    /// What others see of it.
    #[must_use]
    pub fn followed(&self) -> Followed {
        Followed(Arc::clone(&self.subscriber))
    }

    /// The subscriber has been given every change up to this one.
    pub(crate) fn has(&self, revision: Revision) {
        self.subscriber.has(revision);
    }

    /// A name was put into the feed since the subscriber can have lost it.
    pub(crate) fn reannounced(&self) {
        self.feeds.reannounced.one();
    }

    /// No change in any feed is later than this revision.
    #[must_use]
    pub fn announced(&self) -> Revision {
        self.feeds.announced.load(Ordering::Acquire)
    }

    /// As [`Feeds::published`].
    #[must_use]
    pub fn published(&self) -> Revision {
        self.feeds.published()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The inbox goes after the lock: its waker may hold anything.
        let left = self.feeds.registry().subscribers.remove(&self.id);
        drop(left);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
