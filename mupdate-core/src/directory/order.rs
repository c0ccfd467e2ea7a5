//! The three orders in which Cyrus releases store their mailboxes, and the native one's keys.
//!
//! A Cyrus client never sorts: it walks what the server sends beside its own database. What is in another
//! order than the client's makes backends refuse to start and frontends lose mailboxes, so order is part of
//! the protocol.
//!
//! # v36 keys
//! The store's key of a mailbox is its v36 key, which is Cyrus 3.6's own wherever Cyrus can have such a name:
//!
//! | octet of the name | in a domain (before the first `!`) | elsewhere |
//! |---|---|---|
//! | the first `!` | 1D | 1D |
//! | `.` | `.` | 1F |
//! | `^` | `^` | 2E |
//! | 1D | **0A** | **0A** |
//! | 1F | **0D** | **0D** |
//! | any other | itself | itself |
//!
//! The two last mappings are ours. No mailbox of a Cyrus can have these control characters in its name, but a
//! MUPDATE name may be any octets but NUL, CR and LF; left alone, they would give two names one key (`a` 1D
//! `b` and `a!b`). CR and LF are free for the purpose since no name has them. So a key has exactly one 1D if
//! its name has a `!`, else none; every 1F stands for a `.`; and the mapping is one octet to one octet: a key
//! is as long as its name, and can be turned back.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Where Cyrus 3.6 puts the `!` between a domain and the rest.
const DOMAIN_END: u8 = 0x1D;
/// What Cyrus 3.6 puts between the levels of the hierarchy.
const LEVEL_END: u8 = 0x1F;
/// What stands for a raw [`DOMAIN_END`]: an LF, which no name has.
const RAW_DOMAIN_END: u8 = 0x0A;
/// What stands for a raw [`LEVEL_END`]: a CR, which no name has.
const RAW_LEVEL_END: u8 = 0x0D;

/// An order of mailbox names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Plain octets: Cyrus 2.4 to 3.4 with their default settings.
    Octet,
    /// Plain octets, but `.` before (almost) everything: the same releases with `improved_mboxlist_sort`.
    Dot,
    /// Cyrus 3.6 and later, and the order of our own index.
    #[default]
    V36,
}

impl Order {
    /// All of them.
    pub const ALL: [Order; 3] = [Order::Octet, Order::Dot, Order::V36];

    /// The name that configuration files and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Octet => "octet",
            Order::Dot => "dot",
            Order::V36 => "v36",
        }
    }

    /// Octets that sort, byte by byte, as `name` does in this order. As long as the name.
    pub fn key(self, name: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(name.len());
        self.key_into(name, &mut key);
        key
    }

    /// Appends the [`key`](Order::key) to `out`.
    pub fn key_into(self, name: &[u8], out: &mut Vec<u8>) {
        match self {
            Order::Octet => out.extend_from_slice(name),
            Order::Dot => out.extend(dot_octets(name)),
            Order::V36 => v36_key(name, out),
        }
    }

    /// The name whose [`key`](Order::key) this is: in each order every name has a key of its own.
    pub fn name(self, key: &[u8]) -> Vec<u8> {
        match self {
            Order::Octet => key.to_vec(),
            Order::Dot => dot_name(key),
            Order::V36 => v36_name(key),
        }
    }

    /// Compares two names as their keys would compare, without making them.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Order::Octet => a.cmp(b),
            Order::Dot => dot_octets(a).cmp(dot_octets(b)),
            Order::V36 => v36_octets(a).cmp(v36_octets(b)),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Order {
    type Err = UnknownOrder;

    fn from_str(text: &str) -> Result<Self, UnknownOrder> {
        Order::ALL.into_iter().find(|order| order.as_str() == text).ok_or(UnknownOrder)
    }
}

/// The caller's fault: a text that names no [`Order`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownOrder;

impl fmt::Display for UnknownOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order is one of octet, dot, v36")
    }
}

impl std::error::Error for UnknownOrder {}

/// Appends the v36 key of a name to `out`: see the [module's documentation](self).
pub fn v36_key(name: &[u8], out: &mut Vec<u8>) {
    static PLAIN: [u8; 256] = table(false);
    // Most names have no domain: all octets are taken for some behind it, and those of one are done again.
    let (start, mut bang) = (out.len(), false);
    out.extend(name.iter().map(|&octet| {
        bang |= octet == b'!';
        PLAIN[usize::from(octet)]
    }));
    if bang && let (Some(domain), _) = v36_parts(name) {
        let key = &mut out[start..];
        key[domain.len()] = DOMAIN_END;
        key.iter_mut().zip(domain).for_each(|(key, &octet)| *key = domain_octet(octet));
    }
}

/// The name whose v36 key this is. Octets that are no name's key give some name or other.
pub fn v36_name(key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    v36_name_into(key, &mut name);
    name
}

/// Appends the [name](v36_name) to `out`.
pub fn v36_name_into(key: &[u8], out: &mut Vec<u8>) {
    static PLAIN: [u8; 256] = table(true);
    // As above.
    let (start, mut ended) = (out.len(), false);
    out.extend(key.iter().map(|&octet| {
        ended |= octet == DOMAIN_END;
        PLAIN[usize::from(octet)]
    }));
    if ended {
        let domain = key.iter().take_while(|octet| **octet != DOMAIN_END);
        out[start..].iter_mut().zip(domain).for_each(|(name, &octet)| *name = domain_octet_of_name(octet));
    }
}

/// The v36 key of `octets` if all of them belong to a domain: the start of the keys of names in such domains.
pub(crate) fn v36_domain_key(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().map(domain_octet).collect()
}

/// The octets of the v36 key, one after the other.
fn v36_octets(name: &[u8]) -> impl Iterator<Item = u8> {
    let (domain, rest) = v36_parts(name);
    let end = domain.map(|_| DOMAIN_END);
    let domain = domain.unwrap_or_default();
    domain.iter().copied().map(domain_octet).chain(end).chain(rest.iter().copied().map(plain_octet))
}

/// The domain of a name, if it has one, and what is not of it.
fn v36_parts(name: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match name.iter().position(|&octet| octet == b'!') {
        Some(bang) => (Some(&name[..bang]), &name[bang + 1..]),
        None => (None, name),
    }
}

/// An octet behind the domain.
const fn plain_octet(octet: u8) -> u8 {
    match octet {
        b'.' => LEVEL_END,
        b'^' => b'.',
        other => domain_octet(other),
    }
}

/// An octet of a domain.
const fn domain_octet(octet: u8) -> u8 {
    match octet {
        DOMAIN_END => RAW_DOMAIN_END,
        LEVEL_END => RAW_LEVEL_END,
        other => other,
    }
}

/// What an octet of the key stands for behind the domain, or where that ends.
const fn plain_octet_of_name(octet: u8) -> u8 {
    match octet {
        DOMAIN_END => b'!',
        b'.' => b'^',
        other => domain_octet_of_name(other),
    }
}

/// What an octet of the key stands for in the domain. (No key has a [`LEVEL_END`] there.)
const fn domain_octet_of_name(octet: u8) -> u8 {
    match octet {
        RAW_DOMAIN_END => DOMAIN_END,
        RAW_LEVEL_END => LEVEL_END,
        LEVEL_END => b'.',
        other => other,
    }
}

/// What becomes of each octet behind the domain, from key to name or the other way. Tables, since all names that are
/// looked up or listed go through them.
const fn table(to_name: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    loop {
        table[octet as usize] = if to_name { plain_octet_of_name(octet) } else { plain_octet(octet) };
        if octet == u8::MAX {
            return table;
        }
        octet += 1;
    }
}

/// Cyrus's comparison table of `improved_mboxlist_sort`: `.` moves to 02, what was there makes room.
fn dot_octets(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(|&octet| match octet {
        b'.' => 0x02,
        b'\t' | b'\n' => 0x01,
        0x01..=0x07 => octet + 2,
        0x08 => 0x0A,
        other => other,
    })
}

/// What [`dot_octets`] were made of. No name has an LF, so 01 was a tab.
fn dot_name(key: &[u8]) -> Vec<u8> {
    let undo = |&octet: &u8| match octet {
        0x01 => b'\t',
        0x02 => b'.',
        0x03..=0x0A => octet - 2,
        other => other,
    };
    key.iter().map(undo).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: Order, names: &[&'static str]) -> Vec<&'static str> {
        let mut names = names.to_vec();
        names.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
        names
    }

    #[test]
    fn the_three_orders_of_cyrus() {
        let names = ["user.a", "user.a b", "user.a-b", "user.a.b", "user.a0", "user.aZ", "user.a^b"];
        assert_eq!(sorted(Order::Octet, &names), names);
        let dot = ["user.a", "user.a.b", "user.a b", "user.a-b", "user.a0", "user.aZ", "user.a^b"];
        assert_eq!(sorted(Order::Dot, &names), dot);
        let v36 = ["user.a", "user.a.b", "user.a b", "user.a-b", "user.a^b", "user.a0", "user.aZ"];
        assert_eq!(sorted(Order::V36, &names), v36);
    }

    #[test]
    fn a_domain_is_split_off_at_the_first_bang_and_left_as_it_is() {
        assert_eq!(Order::V36.key(b"a.b^c!d.e^f!g"), b"a.b^c\x1Dd\x1Fe.f!g");
        assert_eq!(Order::V36.key(b"!a.b"), b"\x1Da\x1Fb");
        assert_eq!(Order::V36.key(b"user.a^b"), b"user\x1Fa.b");
        let mut key = b"prefix ".to_vec();
        v36_key(b"user.a^b", &mut key);
        assert_eq!(key, b"prefix user\x1Fa.b");
    }

    #[test]
    fn every_octet_of_a_key_is_turned_back() {
        let legal = || (1..=u8::MAX).filter(|octet| !b"\r\n".contains(octet));
        for octet in legal() {
            assert_eq!(plain_octet_of_name(plain_octet(octet)), octet);
            assert_eq!(domain_octet_of_name(domain_octet(octet)), octet);
        }
        assert_eq!(plain_octet_of_name(DOMAIN_END), b'!');
        let (to_key, to_name) = (table(false), table(true));
        assert!(legal().all(|octet| to_name[usize::from(to_key[usize::from(octet)])] == octet));
    }

    #[test]
    fn no_two_octets_of_names_become_one() {
        for octet_of_key in [plain_octet, domain_octet] {
            let legal = (1..=u8::MAX).filter(|octet| !b"\r\n".contains(octet));
            let mut keys: Vec<u8> = legal.map(octet_of_key).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), 253);
            assert!(!keys.contains(&0));
        }
    }

    #[test]
    fn odd_octets_do_not_collide() {
        let names: [&[u8]; 6] = [b"a!b", b"a\x1Db", b"a.b", b"a\x1Fb", b"a\x1D!\x1D", b"a\x1F!\x1F."];
        for name in names {
            assert_eq!(v36_name(&Order::V36.key(name)), name);
        }
        assert_eq!(Order::V36.key(b"a\x1D\x1F!\x1D\x1F."), b"a\n\r\x1D\n\r\x1F");
    }

    #[test]
    fn every_octet_in_every_place_comes_back() {
        let legal: Vec<u8> = (1..=255).filter(|octet| !b"\r\n".contains(octet)).collect();
        for &octet in &legal {
            for name in [vec![octet], vec![b'a', octet, b'!', b'.'], vec![b'a', b'!', octet, b'.']] {
                assert_eq!(v36_name(&Order::V36.key(&name)), name);
            }
        }
        for order in Order::ALL {
            let mut keys: Vec<Vec<u8>> = legal.iter().map(|&octet| order.key(&[octet])).collect();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), legal.len(), "{order}: one key per octet");
        }
    }

    #[test]
    fn orders_are_read_back() {
        for order in Order::ALL {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert_eq!("DOT".parse::<Order>(), Err(UnknownOrder));
        for order in Order::ALL {
            assert!(UnknownOrder.to_string().contains(order.as_str()), "what is possible is told");
        }
        assert_eq!(Order::default(), Order::V36);
    }
}
