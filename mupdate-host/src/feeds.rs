//! Who follows the directory: the feeds of all UPDATE streams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mupdate_core::directory::{Event, Feed, Filter, News, Revision};
use mupdate_proto::Location;

use crate::inbox::Inbox;
use crate::sync::{AtomicU64, Mutex, MutexGuard, lock};

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
}

#[derive(Debug, Default)]
struct Registry {
    next: u64,
    subscribers: BTreeMap<u64, Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    feed: SharedFeed,
    inbox: Arc<Inbox>,
}

impl Feeds {
    /// A registry without subscribers, for a store that is at this revision.
    #[must_use]
    pub fn new(revision: Revision) -> Arc<Self> {
        Arc::new(Self {
            registry: Mutex::default(),
            announced: AtomicU64::new(revision),
            published: AtomicU64::new(revision),
        })
    }

    /// Follow the directory from now on. Whatever is not committed and published yet comes through the feed; so
    /// subscribe first, then read what there is.
    #[must_use = "the subscription ends when it is dropped"]
    pub fn subscribe(self: &Arc<Self>, filter: Filter, inbox: Arc<Inbox>) -> Subscription {
        let feed = Arc::new(Mutex::new(Feed::new(filter.clone())));
        let mut registry = self.registry();
        let id = registry.next;
        registry.next += 1;
        registry.subscribers.insert(id, Subscriber { feed: Arc::clone(&feed), inbox });
        Subscription { feeds: Arc::clone(self), id, filter, feed }
    }

    /// Put the events of one commit, which made `revision`, into the feeds.
    pub fn publish(&self, events: &[Event], revision: Revision) {
        let news = News::from(events);
        let mut woken = Vec::new();
        // Before anything is in a feed; whoever finds it there sees this too, as the feed was locked in between.
        self.announced.store(revision, Ordering::Release);
        for (feed, inbox) in self.followers() {
            if lock(&feed).publish(&news) {
                woken.push(inbox);
            }
        }
        // One writer publishes in order, so this only grows.
        self.published.store(revision, Ordering::Release);
        for inbox in woken {
            inbox.changed();
        }
    }

    /// Who follows now. Many changes for many followers take a while, in which others come and go: the registry is not
    /// locked meanwhile. Whoever comes now reads the directory with these changes in it.
    fn followers(&self) -> Vec<(SharedFeed, Arc<Inbox>)> {
        let registry = self.registry();
        let both = |subscriber: &Subscriber| (Arc::clone(&subscriber.feed), Arc::clone(&subscriber.inbox));
        registry.subscribers.values().map(both).collect()
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

    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

/// One subscriber's end of its feed. Dropping it ends the subscription.
pub struct Subscription {
    feeds: Arc<Feeds>,
    id: u64,
    filter: Filter,
    feed: SharedFeed,
}

impl Subscription {
    /// The feed. Lock it for moments only: the writer needs it.
    #[must_use]
    pub fn feed(&self) -> &SharedFeed {
        &self.feed
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
        lock(&self.feed).len()
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
