//! One page of an order that the index does not have.

use std::collections::BTreeSet;

use super::Order;

/// The `limit` smallest of the names offered that come after a cursor. Memory: `limit` names and their keys,
/// however many are offered.
#[derive(Debug)]
pub struct Selection {
    order: Order,
    after: Option<Vec<u8>>,
    limit: usize,
    /// Key and name, so that names with one key are told apart.
    smallest: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// The key being looked at: most offers are turned down, and need no memory of their own.
    key: Vec<u8>,
}

impl Selection {
    /// Selects at most `limit` names, all of them after the *name* `after` in `order`; from the first one on
    /// if there is none.
    pub fn new(order: Order, after: Option<&[u8]>, limit: usize) -> Self {
        let after = after.map(|name| order.key(name));
        Self { order, after, limit, smallest: BTreeSet::new(), key: Vec::new() }
    }

    /// Offers a name, in any sequence; the same one twice counts once.
    pub fn offer(&mut self, name: &[u8]) {
        self.key.clear();
        self.order.key_into(name, &mut self.key);
        if self.after.as_ref().is_some_and(|after| self.key <= *after) {
            return;
        }
        if self.smallest.len() >= self.limit {
            match self.smallest.last() {
                Some((key, _)) if self.key < *key => {}
                _ => return,
            }
        }
        self.smallest.insert((self.key.clone(), name.to_vec()));
        if self.smallest.len() > self.limit {
            self.smallest.pop_last();
        }
    }

    /// The names selected, in order. Fewer than `limit`: there are no more.
    pub fn into_sorted(self) -> Vec<Vec<u8>> {
        self.smallest.into_iter().map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(order: Order, names: &[&str], after: Option<&str>, limit: usize) -> Vec<String> {
        let mut selection = Selection::new(order, after.map(str::as_bytes), limit);
        for name in names {
            selection.offer(name.as_bytes());
        }
        let text = |name| String::from_utf8(name).expect("offered as text");
        selection.into_sorted().into_iter().map(text).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let names = ["b", "a.b", "a-b", "a", "c.d", "a b", "c", "a^b", "b"];
        for order in Order::ALL {
            let mut expected = names.to_vec();
            expected.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
            expected.dedup();
            for limit in 1..=names.len() {
                let mut got: Vec<String> = Vec::new();
                loop {
                    let next = page(order, &names, got.last().map(String::as_str), limit);
                    let last = next.len() < limit;
                    got.extend(next);
                    if last {
                        break;
                    }
                }
                assert_eq!(got, expected, "{order} by {limit}");
            }
        }
    }

    #[test]
    fn an_empty_page_is_empty() {
        assert_eq!(page(Order::Dot, &["a", "b"], None, 0), Vec::<String>::new());
        assert_eq!(page(Order::Dot, &["a", "b"], Some("b"), 9), Vec::<String>::new());
    }
}
