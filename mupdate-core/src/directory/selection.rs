//! One page of an order that the index does not have.

use std::collections::{BTreeSet, btree_set};

use super::Order;

/// Octets that a name takes besides its own: its place in the set, and what an allocator rounds up to.
const EACH: usize = 64;

/// The smallest of the names offered that come after a cursor, as many as fit into a number of octets.
///
/// Memory: that many octets, and one name more, however many names are offered and however long they are. The first name
/// after the cursor is always kept, so that pages get on.
#[derive(Debug)]
pub struct Selection {
    order: Order,
    after: Option<Vec<u8>>,
    limit: usize,
    /// The keys of the names: a name can be made of its key.
    smallest: BTreeSet<Box<[u8]>>,
    /// Octets that they take.
    taken: usize,
    /// Names were left out. All of them are behind the last that is kept, and nothing behind that is taken any more.
    cut: bool,
    /// The key being looked at: most offers are turned down, and need no memory of their own.
    key: Vec<u8>,
}

impl Selection {
    /// Selects names for at most `limit` octets, all of them after the *name* `after` in `order`; from the first one on
    /// if there is none.
    pub fn new(order: Order, after: Option<&[u8]>, limit: usize) -> Self {
        let after = after.map(|name| order.key(name));
        Self { order, after, limit, smallest: BTreeSet::new(), taken: 0, cut: false, key: Vec::new() }
    }

    /// Offers a name, in any sequence; the same one twice counts once.
    pub fn offer(&mut self, name: &[u8]) {
        self.key.clear();
        self.order.key_into(name, &mut self.key);
        let key = &self.key[..];
        if self.after.as_deref().is_some_and(|after| key <= after) {
            return;
        }
        if self.cut && self.smallest.last().is_some_and(|last| key > &**last) {
            return;
        }
        if self.smallest.insert(key.into()) {
            self.taken += key.len() + EACH;
        }
        while self.taken > self.limit && self.smallest.len() > 1 {
            self.taken -= self.smallest.pop_last().map_or(0, |last| last.len() + EACH);
            self.cut = true;
        }
    }

    /// The names selected, in order.
    pub fn into_sorted(self) -> Sorted {
        Sorted { order: self.order, keys: self.smallest.into_iter(), more: self.cut }
    }
}

/// Names in an order, whose memory goes as they are taken. Made by [`Selection::into_sorted`].
#[derive(Debug)]
pub struct Sorted {
    order: Order,
    keys: btree_set::IntoIter<Box<[u8]>>,
    more: bool,
}

impl Sorted {
    /// Were names offered that come behind these?
    pub fn more(&self) -> bool {
        self.more
    }
}

impl Iterator for Sorted {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.keys.next().map(|key| self.order.name(&key))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.keys.size_hint()
    }
}

impl ExactSizeIterator for Sorted {}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(order: Order, names: &[&str], after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
        let mut selection = Selection::new(order, after.map(str::as_bytes), limit);
        for name in names {
            selection.offer(name.as_bytes());
        }
        let text = |name| String::from_utf8(name).expect("offered as text");
        let sorted = selection.into_sorted();
        let more = sorted.more();
        (sorted.map(text).collect(), more)
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let long = "x".repeat(1000);
        let names = ["b", "a.b", "a-b", "a", "c.d", "a b", &long, "c", "a^b", "b", "a\tb", "xx", "y"];
        for order in Order::ALL {
            let mut expected = names.to_vec();
            expected.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
            expected.dedup();
            for limit in (0..2000).step_by(50) {
                let mut got: Vec<String> = Vec::new();
                loop {
                    let (next, more) = page(order, &names, got.last().map(String::as_str), limit);
                    assert!(
                        next.len() == 1 || next.iter().map(|name| name.len() + EACH).sum::<usize>() <= limit
                    );
                    got.extend(next);
                    if !more {
                        break;
                    }
                }
                assert_eq!(got, expected, "{order} by {limit}");
            }
        }
    }

    /// What is left out for its length leaves out all behind it, whatever is offered afterwards.
    #[test]
    fn nothing_comes_before_what_was_left_out() {
        let long = "b".repeat(500);
        let (got, more) = page(Order::Octet, &["a", &long, "c", "d"], None, 3 * (EACH + 1));
        assert_eq!((got, more), (vec!["a".to_owned()], true));
    }

    #[test]
    fn an_empty_page_is_empty() {
        assert_eq!(page(Order::Dot, &[], None, 0), (vec![], false));
        assert_eq!(page(Order::Dot, &["a", "b"], Some("b"), 900), (vec![], false));
    }
}
