//! What one UPDATE subscriber has yet to be sent.
//!
//! A feed holds *names*, not changes: when it is drained, each name is looked up, and the subscriber is sent
//! what the record is by then. A subscriber that does not read for a day costs one entry per mailbox that
//! changed, and is sent each once, at its latest state. The order of first changes is kept, so that of a
//! rename the old name goes before the new one comes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use mupdate_proto::{MailboxName, ServerName};

use super::Event;

/// Which changes a subscriber wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every one: `UPDATE` without arguments.
    All,
    /// Those of mailboxes that are or were at one of these servers: `UPDATE` with arguments (the
    /// PARTIAL-UPDATE extension).
    Servers(BTreeSet<ServerName>),
}

impl Filter {
    /// Whether an event is wanted: also when the mailbox leaves a named server, else it would not be seen to
    /// go.
    pub fn wants(&self, event: &Event) -> bool {
        [&event.before, &event.after]
            .into_iter()
            .flatten()
            .any(|record| self.wants_server(record.location.server()))
    }

    /// Whether mailboxes at a server are wanted.
    pub fn wants_server(&self, server: &[u8]) -> bool {
        match self {
            Filter::All => true,
            Filter::Servers(servers) => servers.contains(server),
        }
    }
}

/// What one commit has changed, for all feeds.
#[derive(Debug)]
pub struct News<'events> {
    events: &'events [Event],
    names: Arc<[MailboxName]>,
}

impl<'events> From<&'events [Event]> for News<'events> {
    fn from(events: &'events [Event]) -> Self {
        Self { events, names: events.iter().map(|event| event.mailbox.clone()).collect() }
    }
}

/// The names that changed since one subscriber was last sent them.
///
/// - Each name waits once, in the order of first changes, but for those that have come and are not sorted in yet.
/// - Publishing costs a feed of everything next to nothing, however much has changed: hundreds of feeds are filled by one
///   writer, but each is emptied by its own subscriber, who does the rest.
/// - At most [`Feed::UNSORTED`] names and one commit's are not sorted in.
#[derive(Debug)]
pub struct Feed {
    filter: Filter,
    queue: VecDeque<MailboxName>,
    queued: BTreeSet<MailboxName>,
    popped: u64,
    unsorted: Vec<Arc<[MailboxName]>>,
    /// How many names that is.
    unsorted_names: usize,
}

impl Feed {
    /// So many names wait to be sorted in before a subscriber is asked to do so.
    const MANY: usize = 1024;

    /// So many are sorted in by whoever publishes, when the subscriber has not done it.
    pub const UNSORTED: usize = 8 * Self::MANY;

    /// An empty feed.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
            popped: 0,
            unsorted: Vec::new(),
            unsorted_names: 0,
        }
    }

    /// What this feed lets in.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Something changed. True if the subscriber needs to be woken: the feed was empty and no longer is, or so much has
    /// come that it is to be [sorted in](Self::sort_in), even while nothing can be sent.
    pub fn publish(&mut self, news: &News<'_>) -> bool {
        let (was_empty, before) = (self.is_empty(), self.unsorted_names);
        match self.filter {
            Filter::All if news.names.is_empty() => {}
            Filter::All => {
                self.unsorted_names += news.names.len();
                self.unsorted.push(Arc::clone(&news.names));
            }
            Filter::Servers(_) => {
                for event in news.events {
                    if self.filter.wants(event) {
                        self.touch(event.mailbox.clone());
                    }
                }
            }
        }
        let much = before < Self::MANY && self.unsorted_names >= Self::MANY;
        if self.unsorted_names > Self::UNSORTED {
            self.sort_in();
        }
        much || (was_empty && !self.is_empty())
    }

    /// A name is to be announced (again), whatever the filter thinks of it.
    pub fn touch(&mut self, mailbox: MailboxName) {
        self.sort_in();
        self.put(mailbox);
    }

    fn put(&mut self, mailbox: MailboxName) {
        if self.queued.insert(mailbox.clone()) {
            self.queue.push_back(mailbox);
        }
    }

    /// Does what publishing has left to do.
    pub fn sort_in(&mut self) {
        self.unsorted_names = 0;
        for names in std::mem::take(&mut self.unsorted) {
            for name in &*names {
                self.put(name.clone());
            }
        }
    }

    /// Whether that is worth being done while nothing can be sent.
    pub fn is_unsorted(&self) -> bool {
        self.unsorted_names >= Self::MANY
    }

    /// The name that has waited longest. Look it up only after this: a change from now on queues it again.
    pub fn pop(&mut self) -> Option<MailboxName> {
        self.sort_in();
        let mailbox = self.queue.pop_front()?;
        self.queued.remove(&mailbox);
        self.popped += 1;
        Some(mailbox)
    }

    /// How many names wait; while some are not sorted in, they may be fewer.
    pub fn len(&self) -> usize {
        self.queue.len() + self.unsorted_names
    }

    /// Whether no name waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many names have ever been popped: the position of the subscriber.
    pub fn popped(&self) -> u64 {
        self.popped
    }

    /// The position at which everything that waits now has been popped: what a barrier waits for.
    pub fn end(&mut self) -> u64 {
        self.sort_in();
        self.popped + self.queue.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Record, State};
    use mupdate_proto::Location;

    fn name(text: &'static str) -> MailboxName {
        MailboxName::new(text).expect("a legal name")
    }
    fn record(location: &'static str) -> Record {
        Record { location: Location::new(location).expect("a legal location"), state: State::Reserved }
    }
    fn event(mailbox: &'static str, before: Option<&'static str>, after: Option<&'static str>) -> Event {
        Event {
            revision: 1,
            mailbox: name(mailbox),
            before: before.map(record),
            after: after.map(record),
            takeover_from: None,
        }
    }
    fn publish(
        feed: &mut Feed,
        mailbox: &'static str,
        before: Option<&'static str>,
        after: Option<&'static str>,
    ) -> bool {
        feed.publish(&News::from(&[event(mailbox, before, after)][..]))
    }
    fn drain(feed: &mut Feed) -> Vec<MailboxName> {
        std::iter::from_fn(|| feed.pop()).collect()
    }

    #[test]
    fn each_name_waits_once_in_the_order_of_first_changes() {
        let mut feed = Feed::new(Filter::All);
        assert!(publish(&mut feed, "old", Some("be1!"), None));
        assert!(!publish(&mut feed, "new", None, Some("be1!")));
        assert!(!publish(&mut feed, "old", None, Some("be2!")));
        feed.touch(name("new"));
        feed.touch(name("again"));
        assert_eq!(drain(&mut feed), [name("old"), name("new"), name("again")]);
        assert!(feed.is_empty());
    }

    #[test]
    fn a_popped_name_can_come_again() {
        let mut feed = Feed::new(Filter::All);
        assert!(publish(&mut feed, "a", None, Some("be1!")));
        assert_eq!(feed.pop(), Some(name("a")));
        assert!(publish(&mut feed, "a", Some("be1!"), None));
        assert_eq!(drain(&mut feed), [name("a")]);
        assert_eq!(feed.pop(), None);
        assert_eq!(feed.popped(), 2);
    }

    #[test]
    fn a_barrier_waits_for_what_was_there_and_for_no_more() {
        let mut feed = Feed::new(Filter::All);
        feed.touch(name("a"));
        feed.touch(name("b"));
        let barrier = feed.end();
        feed.touch(name("c"));
        feed.pop();
        assert!(feed.popped() < barrier);
        feed.touch(name("a"));
        feed.pop();
        assert_eq!(feed.popped(), barrier);
        assert_eq!(feed.len(), 2);
        assert_eq!(feed.end(), barrier + 2);
    }

    #[test]
    fn a_partial_feed_sees_mailboxes_come_and_go() {
        let server = ServerName::new("be1").expect("a legal server name");
        let mut feed = Feed::new(Filter::Servers(BTreeSet::from([server])));
        assert!(!publish(&mut feed, "elsewhere", Some("be2!"), Some("be3!")));
        assert!(!publish(&mut feed, "similar", None, Some("be11!")));
        assert!(publish(&mut feed, "leaves", Some("be1!p"), Some("be2!")));
        assert!(!publish(&mut feed, "comes", Some("be2!"), Some("be1")));
        assert!(!publish(&mut feed, "ends", Some("be1!"), None));
        assert_eq!(drain(&mut feed), [name("leaves"), name("comes"), name("ends")]);
    }

    #[test]
    fn what_nobody_takes_out_is_sorted_in_now_and_then() {
        let mut feed = Feed::new(Filter::All);
        let events = ["a", "b", "c", "a"].map(|name| event(name, None, Some("be1!")));
        let news = News::from(&events[..]);
        let (mut woken, mut longest) = (0, 0);
        let commits = 10 * Feed::UNSORTED / events.len();
        for _ in 0..commits {
            woken += usize::from(feed.publish(&news));
            longest = longest.max(feed.len());
        }
        // Once since it was empty, and once each time that much had come.
        assert_eq!(woken, 1 + 10);
        assert_eq!(longest, 3 + Feed::UNSORTED);
        assert!(feed.is_unsorted());
        feed.sort_in();
        assert!(!feed.is_unsorted());
        assert_eq!((feed.len(), feed.end()), (3, 3));
        assert_eq!(drain(&mut feed), [name("a"), name("b"), name("c")]);
        assert!(!feed.publish(&News::from(&[][..])));
    }
}
