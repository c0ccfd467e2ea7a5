//! Which order a backend stores its mailboxes in, told from what it says.
//!
//! After its `LIST "server!"`, `ctl_mboxlist -m` walks its own database and sends FIND, and mostly ACTIVATE,
//! for each mailbox that it finds to differ. Those names come in its own order.

use mupdate_proto::MailboxName;

use super::Order;

/// Watches the names that one client sends. Remembers two of them, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Learner {
    first: Vec<u8>,
    last: Vec<u8>,
    restarted: bool,
    /// One per entry of [`Order::ALL`].
    excluded: [bool; Order::ALL.len()],
}

impl Learner {
    /// Knows nothing: every order is possible.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client has sent this name after those before.
    ///
    /// A name sent twice in a row (FIND, then ACTIVATE) counts once. A client may start over once: that is a
    /// step back to its first name, or one that is backwards in all three orders. Any other step excludes the
    /// orders in which it is backwards.
    pub fn observe(&mut self, mailbox: &MailboxName) {
        let name = mailbox.as_bytes();
        if self.last.is_empty() {
            self.first = name.to_vec();
        } else if name != self.last {
            let backwards = Order::ALL.map(|order| order.compare(&self.last, name).is_gt());
            let restarts = name == self.first || backwards == [true; Order::ALL.len()];
            if restarts && !self.restarted {
                self.restarted = true;
            } else {
                for (excluded, backwards) in self.excluded.iter_mut().zip(backwards) {
                    *excluded |= backwards;
                }
            }
        }
        self.last.clear();
        self.last.extend_from_slice(name);
    }

    /// The order of the client, if exactly one explains all that it sent.
    pub fn verdict(&self) -> Option<Order> {
        let mut possible = Order::ALL.into_iter().zip(self.excluded).filter(|(_, excluded)| !excluded);
        match (possible.next(), possible.next()) {
            (Some((order, _)), None) => Some(order),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(names: &[&'static str]) -> Option<Order> {
        let mut learner = Learner::new();
        for name in names {
            learner.observe(&MailboxName::new(*name).expect("a legal name"));
        }
        learner.verdict()
    }

    #[test]
    fn names_that_fit_several_orders_tell_nothing() {
        assert_eq!(verdict(&[]), None);
        assert_eq!(verdict(&["a"]), None);
        assert_eq!(verdict(&["a", "b", "c.d"]), None);
        // octet excluded, dot and v36 not
        assert_eq!(verdict(&["a.b", "a-b"]), None);
    }

    #[test]
    fn each_order_is_told_from_the_others() {
        assert_eq!(verdict(&["a-b", "a.b", "a0"]), Some(Order::Octet));
        assert_eq!(verdict(&["a.b", "a-b", "a0", "a^b"]), Some(Order::Dot));
        assert_eq!(verdict(&["a.b", "a-b", "a^b", "a0"]), Some(Order::V36));
        assert_eq!(verdict(&["a^b", "a0"]), Some(Order::V36));
    }

    #[test]
    fn a_name_found_and_activated_counts_once() {
        assert_eq!(verdict(&["a^b", "a^b", "a0", "a0"]), Some(Order::V36));
    }

    #[test]
    fn names_that_fit_no_order_tell_nothing_for_good() {
        assert_eq!(verdict(&["a-b", "a.b", "c.b", "c-b", "d", "e"]), None);
    }

    #[test]
    fn a_client_may_start_over_once() {
        assert_eq!(verdict(&["a-b", "a.b", "c", "a-b", "a.b", "c"]), Some(Order::Octet));
        assert_eq!(verdict(&["a-b", "a.b", "c", "a", "a.b", "c"]), Some(Order::Octet));
        assert_eq!(verdict(&["a-b", "a.b", "c", "a", "b", "a"]), None);
        // back to the first name, which is forwards in another order
        assert_eq!(verdict(&["a^b", "a0", "a^b", "a0"]), Some(Order::V36));
    }
}
