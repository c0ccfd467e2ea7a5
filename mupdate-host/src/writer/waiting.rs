//! What has been submitted and waits for a round, fairly.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mupdate_core::directory::Action;
use mupdate_core::server::Ticket;

use super::Origin;
use super::edits::{Done, Edits, Remember};
use super::round::Round;
use crate::feeds::SharedFeed;
use crate::inbox::Inbox;

/// Octets of names, locations and ACLs that go into one round, but for its last change.
const OCTETS: usize = 8 << 20;

/// Streams to which telling a change costs about what writing it does.
const STREAMS: usize = 64;

/// A change that waits, and who is to be answered.
pub(super) struct Entry {
    pub action: Action,
    pub origin: Origin,
    pub ticket: Ticket,
    pub inbox: Arc<Inbox>,
}

/// A stream that asks how far its feed has come.
pub(super) struct Barrier {
    pub ticket: Ticket,
    pub inbox: Arc<Inbox>,
    pub feed: SharedFeed,
}

/// What comes from no connection, and is carried out in its own transaction.
pub(super) enum Order {
    Edits(Edits),
    Remember(Remember),
    Nothing(Done),
}

/// Changes that wait, and whose turn it is.
///
/// - The changes of one connection are carried out in their sequence.
/// - Connections take turns, a change each: one that has a single change waits for one of each of the others, and not
///   for the dozens that each of them may have under way.
/// - It holds as much as there are requests in flight.
#[derive(Default)]
pub(super) struct Waiting {
    /// By the address of the connection's inbox, which the entries keep alive. None is empty.
    lines: HashMap<usize, VecDeque<Entry>>,
    /// Whoever has something waiting, once each; the next in front.
    turns: VecDeque<usize>,
    barriers: Vec<Barrier>,
    orders: VecDeque<Order>,
}

impl Waiting {
    pub fn add(&mut self, entry: Entry) {
        let connection = Arc::as_ptr(&entry.inbox).addr();
        let line = self.lines.entry(connection).or_default();
        if line.is_empty() {
            self.turns.push_back(connection);
        }
        line.push_back(entry);
    }

    pub fn add_barrier(&mut self, barrier: Barrier) {
        self.barriers.push(barrier);
    }

    pub fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.barriers.is_empty() && self.orders.is_empty()
    }

    pub fn add_order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// The next order: one after each round, so that neither keeps the other waiting.
    pub fn order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The next round: so many changes at most, fewer where each has to be told to many streams, so that whoever comes
    /// meanwhile does not wait for long.
    ///
    /// All barriers go along. They are about what was answered before they came, and that is in the feeds by now: they
    /// need not wait for changes that are in nobody's view yet.
    pub fn round(&mut self, batch: usize, streams: usize) -> Round {
        let batch = (batch / (1 + streams / STREAMS)).max(1);
        let mut actions = Vec::new();
        let mut octets = 0;
        while actions.len() < batch && octets < OCTETS {
            let Some(connection) = self.turns.pop_front() else { break };
            let line = self.lines.get_mut(&connection).expect("whoever has a turn has a line");
            let entry = line.pop_front().expect("a line is not empty");
            if line.is_empty() {
                self.lines.remove(&connection);
            } else {
                self.turns.push_back(connection);
            }
            octets += entry.action.octets();
            actions.push(entry);
        }
        Round { actions, barriers: std::mem::take(&mut self.barriers) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::delete;

    fn entry(inbox: &Arc<Inbox>, ticket: u64, name: &str) -> Entry {
        let origin = Origin { principal: "backend".into(), peer: "test".into() };
        Entry { action: delete(name), origin, ticket: ticket.into(), inbox: Arc::clone(inbox) }
    }

    fn inboxes<const N: usize>() -> [Arc<Inbox>; N] {
        std::array::from_fn(|_| Inbox::new(Box::new(|| {})))
    }

    fn names(round: &Round) -> Vec<String> {
        round.actions.iter().map(|entry| entry.action.mailbox().to_string()).collect()
    }

    #[test]
    fn connections_take_turns_and_each_keeps_its_sequence() {
        let [many, few, one] = inboxes();
        let mut waiting = Waiting::default();
        for ticket in 0..4 {
            waiting.add(entry(&many, ticket, &format!("many.{ticket}")));
        }
        waiting.add(entry(&few, 0, "few.0"));
        waiting.add(entry(&few, 1, "few.1"));
        assert_eq!(names(&waiting.round(3, 0)), ["many.0", "few.0", "many.1"]);
        waiting.add(entry(&one, 0, "one"));
        waiting.add(entry(&many, 4, "many.4"));
        assert_eq!(names(&waiting.round(10, 0)), ["few.1", "many.2", "one", "many.3", "many.4"]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_round_is_shorter_the_more_streams_there_are_but_never_empty() {
        let [inbox] = inboxes();
        for (streams, expected) in [(0, 12), (63, 12), (64, 6), (200, 3), (100_000, 1)] {
            let mut waiting = Waiting::default();
            for ticket in 0..20 {
                waiting.add(entry(&inbox, ticket, "m"));
            }
            assert_eq!(waiting.round(12, streams).actions.len(), expected, "{streams}");
        }
    }

    #[test]
    fn long_changes_fill_a_round_too() {
        let [inbox] = inboxes();
        let mut waiting = Waiting::default();
        let long = "x".repeat(3 << 20);
        for ticket in 0..5 {
            waiting.add(entry(&inbox, ticket, &long));
        }
        let rounds = [waiting.round(100, 0).actions.len(), waiting.round(100, 0).actions.len()];
        assert_eq!(rounds, [3, 2]);
    }
}
