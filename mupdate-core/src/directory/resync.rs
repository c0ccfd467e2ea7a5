//! What a frontend may have lost when it has taken a fresh list.
//!
//! The replica inside a Cyrus frontend merges our list with its own database by plain octet comparison,
//! whatever order the database is in. Where a mailbox was deleted while the frontend was away, that merge
//! runs out of step, and can delete mailboxes that exist. They are announced again after the list: not all of
//! them, since each costs the frontend a database write, but those *at risk*.
//!
//! A name x is at risk from a deleted name d if d comes before x in the frontend's order, and after it in
//! plain octets. Frontends in plain octet order lose nothing; the orders in question are v36 and dot.
//!
//! # Where such names are
//! Let d and x share their first octets, up to where d has `b` and x has something smaller (else x is not
//! smaller than d). Then it is the mapping of orders that must turn the two around, and it does so at few
//! octets only: with `.`, `^`, the `!` behind a domain, and (never in Cyrus's own names) some control
//! characters. So x is a *sibling*, within a known range, of a prefix of d. In addition, v36 maps `.` and `^`
//! in one way inside a domain and in another outside: a d without domain comes, from its first `.` or `^` on,
//! before any x that has this octet in its domain; and its first `^` has the key of a domain's `.`, where
//! what follows decides.
//!
//! # Where nothing was deleted
//! A list in v36 order and a database in `dot` order disagree about domains: the list has `a.com!` after `a-b.com!`,
//! the database has it before. The merge then finds `a.com!` in its way where `a-b.com!` comes in the list, and
//! loses all of the latter, each time. So every domain there is counts as a deleted name: see [`domain_of`].

use super::Order;
use super::order::v36_domain_key;

/// Whether a merge after the deletion of `deleted` can lose `other`, in a frontend of v36 or dot order.
pub fn at_risk(deleted: &[u8], other: &[u8]) -> bool {
    deleted > other && [Order::V36, Order::Dot].into_iter().any(|order| order.compare(deleted, other).is_lt())
}

/// The domain of a name, with its `!`, if it has one: for those at risk from it, ask [`at_risk`].
pub fn domain_of(name: &[u8]) -> Option<&[u8]> {
    let bang = name.iter().position(|&octet| octet == b'!')?;
    Some(&name[..=bang])
}

/// Whether there can be a name at all whose deletion puts this one at risk.
///
/// Who follows a part of the directory loses from his list what moves to another server, and no tombstone tells of
/// that. So all of his names that this does not rule out are announced to him again: those with an octet that can be
/// larger than a `.` or `^` in one order and smaller in the other. Names of small letters and dots are ruled out.
pub fn can_be_at_risk(name: &[u8]) -> bool {
    name.iter().any(|&octet| octet < b'^' && octet != b'.')
}

/// From one v36 *key* (included) to another (excluded).
pub type KeyRange = (Vec<u8>, Vec<u8>);

/// Ranges in which every name lies that is at risk from `deleted`. Not every name in them is: ask [`at_risk`].
///
/// They are in order and do not overlap. They are narrow: for `user.jane.Sent`, what a table could have
/// between `user` and `user.`, and between `user.jane` and `user.jane.`, before and after the children of
/// these.
pub fn risk_ranges(deleted: &[u8]) -> Vec<KeyRange> {
    let bang = deleted.iter().position(|&octet| octet == b'!');
    let mut ranges = Vec::new();
    for (at, &octet) in deleted.iter().enumerate() {
        let in_domain = bang.is_some_and(|bang| at < bang);
        let ends_domain = bang == Some(at);
        let siblings = sibling_keys(octet, in_domain, ends_domain);
        if siblings.is_empty() {
            continue;
        }
        // Up to here the names at risk are as the deleted one. If that settles whether they have a domain,
        // their keys are too; if not, each form has its own.
        let shared = &deleted[..at];
        add_siblings(&mut ranges, Order::V36.key(shared), siblings);
        let after_domain = bang.is_some_and(|bang| at > bang);
        if !after_domain {
            add_siblings(&mut ranges, v36_domain_key(shared), siblings);
        }
    }
    if bang.is_none()
        && let Some(at) = deleted.iter().position(|octet| b".^".contains(octet))
    {
        ranges.push((v36_domain_key(&deleted[..=at]), v36_domain_key(deleted)));
        if deleted[at] == b'^' {
            // The key has a `.` here, as that of a domain with a `.`: the rest decides.
            ranges.push((Order::V36.key(deleted), [&deleted[..at], b"/"].concat()));
        }
    }
    merged(ranges)
}

/// The part of a deleted name that settles what is at risk from it: deleted names that share it endanger the same names, as
/// the children of one mailbox do. It ends with the last octet that can turn two names around.
///
/// The exception are names in the second range that this gives, if it gives one: for those the rest counts. `None`: the rest
/// counts in any case.
pub fn stem(deleted: &[u8]) -> Option<(&[u8], Option<KeyRange>)> {
    let turning = |octet: &u8| matches!(octet, b'.' | b'^' | b'!') || *octet < b' ';
    let end = deleted.iter().rposition(turning).map_or(0, |at| at + 1);
    let first = deleted.iter().position(|octet| b".^".contains(octet));
    let exception = match first {
        Some(at) if !deleted.contains(&b'!') => {
            if deleted[at] == b'^' {
                return None;
            }
            // Names in whose domain that `.` is: what follows it decides.
            let from = v36_domain_key(&deleted[..=at]);
            let to = [&from[..at], &[from[at] + 1]].concat();
            Some((from, to))
        }
        _ => None,
    };
    Some((&deleted[..end], exception))
}

/// Octets of keys, the last one excluded.
type Siblings = &'static [(u8, u8)];

/// What can follow in the key of a name that is at risk, where the deleted name has `octet`.
fn sibling_keys(octet: u8, in_domain: bool, ends_domain: bool) -> Siblings {
    match octet {
        // Smaller in octets, larger in v36 (20..2D) or in dot (01..08, 0B..2D); 1F is left out: no such name
        // has it there, and it is where all the children are.
        b'.' => &[(0x01, 0x1F), (0x20, 0x2E)],
        b'^' if !in_domain => &[(0x2F, 0x5E)],
        // v36 has 1D here: smaller than what a longer domain goes on with.
        b'!' if ends_domain => &[(0x1E, 0x1F), (0x20, 0x21)],
        // dot has 01 here, and what was there moves up
        b'\t' => &[(0x01, 0x09)],
        // v36 has a CR, or an LF, here
        0x1F => &[(0x0E, 0x1D), (0x1E, 0x1F)],
        0x1D => &[(0x0B, 0x1D)],
        _ => &[],
    }
}

fn add_siblings(ranges: &mut Vec<KeyRange>, shared: Vec<u8>, siblings: Siblings) {
    let followed_by = |octet| [&shared[..], &[octet]].concat();
    ranges.extend(siblings.iter().map(|&(from, to)| (followed_by(from), followed_by(to))));
}

/// The same ranges in order, and without overlaps.
fn merged(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.retain(|(from, to)| from < to);
    ranges.sort_unstable();
    let mut merged: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match merged.last_mut() {
            Some((_, end)) if from <= *end => *end = std::mem::take(end).max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covered(deleted: &[u8], other: &[u8]) -> bool {
        let key = Order::V36.key(other);
        risk_ranges(deleted).iter().any(|(from, to)| (from..to).contains(&&key))
    }

    #[test]
    fn siblings_of_a_prefix_are_at_risk() {
        assert!(at_risk(b"user.a.b", b"user.a-c"));
        assert!(at_risk(b"user.a.b", b"user-x"));
        assert!(at_risk(b"user.a.b.c", b"user.a b.z"));
        assert!(at_risk(b"user.a^b", b"user.a0"));
        assert!(at_risk(b"user.a^b", b"user.aZ"));
        assert!(!at_risk(b"user.a.b", b"user.a.a"));
        assert!(!at_risk(b"user.a.b", b"user.a0"));
        assert!(!at_risk(b"user.a-b", b"user.a.c"));
        assert!(!at_risk(b"user.a", b"user.a.b"));
        assert!(!at_risk(b"user.a", b"user.a"));
    }

    #[test]
    fn small_letters_and_dots_are_never_at_risk() {
        assert!(!can_be_at_risk(b"user.jane.sent^x"));
        for risky in ["user.jane.Sent", "user.jane-x", "user.jane2", "user.a b", "example.com!user.jane"] {
            assert!(can_be_at_risk(risky.as_bytes()), "{risky}");
        }
    }

    #[test]
    fn domains_are_at_risk_from_each_other() {
        assert_eq!(domain_of(b"example.com!user.a!b"), Some(&b"example.com!"[..]));
        assert_eq!(domain_of(b"user.a"), None);
        assert!(at_risk(b"example.com!", b"example-two.com!user.a"));
        assert!(at_risk(b"example.com!", b"example-two"));
        assert!(!at_risk(b"example-two.com!", b"example.com!user.a"));
    }

    #[test]
    fn domains_are_at_risk_too() {
        assert!(at_risk(b"example.com!user.a", b"example-two.com!user.a"));
        assert!(at_risk(b"example.com!user.a.b", b"example.com!user.a-b"));
        assert!(at_risk(b"user.joe", b"user.com!shared"));
    }

    /// Every pair of octets, behind every kind of beginning and before every kind of end.
    #[test]
    fn ranges_cover_every_pair_of_octets() {
        let legal = || (1..=255u8).filter(|octet| !b"\r\n".contains(octet));
        for shared in ["", "a", "a.b", "a^b", "d!", "d.e!a.b"] {
            for (d_ends, x_ends) in [("", ""), ("!", "!"), ("!", ""), ("", "!")] {
                for b in legal() {
                    let deleted = [shared.as_bytes(), &[b], d_ends.as_bytes()].concat();
                    let ranges = risk_ranges(&deleted);
                    for c in legal() {
                        let other = [shared.as_bytes(), &[c], x_ends.as_bytes()].concat();
                        assert!(can_be_at_risk(&other) || !at_risk(&deleted, &other));
                        let key = Order::V36.key(&other);
                        let covered = ranges.iter().any(|(from, to)| (from..to).contains(&&key));
                        assert!(
                            covered || !at_risk(&deleted, &other),
                            "{} puts {} at risk",
                            deleted.escape_ascii(),
                            other.escape_ascii()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn ranges_are_narrow() {
        for deleted in ["user.jane.Sent", "example.com!user.jane.Sent^1", "DELETED.user.jane.6B045FBB"] {
            for spared in [
                "user.bob",
                "user.jane",
                "user.jane.Drafts",
                "user.jane.Trash.old",
                "user.zoe.Sent",
                "example.com!user.bob",
                "example.com!user.jane.Drafts",
                "example.org!user.jane",
                "DELETED.user.bob.6B045FBB",
            ] {
                assert!(!covered(deleted.as_bytes(), spared.as_bytes()), "{deleted} covers {spared}");
            }
        }
        assert_eq!(risk_ranges(b"INBOX"), []);
        // In a domain `^` is nothing special, nor is a second `!`.
        assert!(!covered(b"d^e!user.a", b"dZ!user.a"));
        assert!(!covered(b"d!a!b", b"d!a b"));
    }

    proptest! {
        #[test]
        fn names_of_one_stem_endanger_the_same_names(
            shared in "[ab.^!\t\u{1d}\u{1f},~-]{0,6}",
            rests in ["[ab,~0-]{0,4}", "[ab,~0-]{0,4}"],
            other in "[ab.^!\t\u{1d}\u{1f},~0-]{1,10}",
        ) {
            let [one, two] = rests.map(|rest| format!("{shared}{rest}").into_bytes());
            let (Some((stem, exception)), Some(same)) = (stem(&one), stem(&two)) else { return Ok(()) };
            prop_assert_eq!((stem, &exception), (same.0, &same.1));
            let key = Order::V36.key(other.as_bytes());
            if !exception.is_some_and(|(from, to)| (from..to).contains(&key)) {
                prop_assert_eq!(at_risk(&one, other.as_bytes()), at_risk(&two, other.as_bytes()));
            }
        }
    }

    #[test]
    fn overlapping_ranges_become_one() {
        let range = |from: &str, to: &str| (from.as_bytes().to_vec(), to.as_bytes().to_vec());
        let ranges = vec![
            range("m", "p"),
            range("a", "c"),
            range("b", "d"),
            range("d", "e"),
            range("n", "o"),
            range("z", "z"),
        ];
        assert_eq!(merged(ranges), [range("a", "e"), range("m", "p")]);
    }
}
