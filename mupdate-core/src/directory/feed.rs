//! What one UPDATE subscriber has yet to be sent.
//!
//! A feed holds *names*, not changes: when it is drained, each name is looked up, and the subscriber is sent
//! what the record is by then. A subscriber that does not read for a day costs one entry per mailbox that
//! changed, and is sent each once, at its latest state. The order of first changes is kept, so that of a
//! rename the old name goes before the new one comes.

use std::collections::{BTreeSet, VecDeque};

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

/// The names that changed since one subscriber was last sent them.
#[derive(Debug)]
pub struct Feed {
    filter: Filter,
    queue: VecDeque<MailboxName>,
    queued: BTreeSet<MailboxName>,
    popped: u64,
}

impl Feed {
    /// An empty feed.
    pub fn new(filter: Filter) -> Self {
        Self { filter, queue: VecDeque::new(), queued: BTreeSet::new(), popped: 0 }
    }

    /// What this feed lets in.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Something changed. True if the feed was empty and no longer is: now its subscriber needs to be woken.
    pub fn publish(&mut self, event: &Event) -> bool {
        let was_empty = self.is_empty();
        if self.filter.wants(event) {
            self.touch(event.mailbox.clone());
        }
        was_empty && !self.is_empty()
    }

    /// A name is to be announced (again), whatever the filter thinks of it.
    pub fn touch(&mut self, mailbox: MailboxName) {
        if self.queued.insert(mailbox.clone()) {
            self.queue.push_back(mailbox);
        }
    }

    /// The name that has waited longest. Look it up only after this: a change from now on queues it again.
    pub fn pop(&mut self) -> Option<MailboxName> {
        let mailbox = self.queue.pop_front()?;
        self.queued.remove(&mailbox);
        self.popped += 1;
        Some(mailbox)
    }

    /// How many names wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no name waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many names have ever been popped: the position of the subscriber.
    pub fn popped(&self) -> u64 {
        self.popped
    }

    /// The position at which everything that waits now has been popped: what a barrier waits for.
    pub fn end(&self) -> u64 {
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
    fn drain(feed: &mut Feed) -> Vec<MailboxName> {
        std::iter::from_fn(|| feed.pop()).collect()
    }

    #[test]
    fn each_name_waits_once_in_the_order_of_first_changes() {
        let mut feed = Feed::new(Filter::All);
        assert!(feed.publish(&event("old", Some("be1!"), None)));
        assert!(!feed.publish(&event("new", None, Some("be1!"))));
        assert!(!feed.publish(&event("old", None, Some("be2!"))));
        feed.touch(name("new"));
        feed.touch(name("again"));
        assert_eq!(drain(&mut feed), [name("old"), name("new"), name("again")]);
        assert!(feed.is_empty());
    }

    #[test]
    fn a_popped_name_can_come_again() {
        let mut feed = Feed::new(Filter::All);
        assert!(feed.publish(&event("a", None, Some("be1!"))));
        assert_eq!(feed.pop(), Some(name("a")));
        assert!(feed.publish(&event("a", Some("be1!"), None)));
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
        assert!(!feed.publish(&event("elsewhere", Some("be2!"), Some("be3!"))));
        assert!(!feed.publish(&event("similar", None, Some("be11!"))));
        assert!(feed.publish(&event("leaves", Some("be1!p"), Some("be2!"))));
        assert!(!feed.publish(&event("comes", Some("be2!"), Some("be1"))));
        assert!(!feed.publish(&event("ends", Some("be1!"), None)));
        assert_eq!(drain(&mut feed), [name("leaves"), name("comes"), name("ends")]);
    }
}
