//! Patterns of names: `*` is anything, `?` one character, everything else itself.

/// Does the whole name match?
///
/// Time is bounded by the product of the lengths: what a star takes is taken back only for the last star.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    // Behind the last star: where to go on in the pattern, and in the name.
    let mut retry = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                retry = Some((at, in_name));
            }
            Some(b'?') => {
                at += 1;
                in_name += char_length(&name[in_name..]);
            }
            Some(octet) if *octet == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match &mut retry {
                Some((after, begin)) => {
                    *begin += 1;
                    (at, in_name) = (*after, *begin);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|octet| *octet == b'*')
}

/// Octets of the character that the name begins with; one, where it is no UTF-8.
fn char_length(name: &[u8]) -> usize {
    let begin = &name[..name.len().min(4)];
    begin.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()).map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn whole_names_are_matched() {
        for (pattern, name, expected) in [
            ("user.*", "user.alice.Sent", true),
            ("user.*.Sent", "user.alice.Sent", true),
            ("*Sent", "user.alice.Sent", true),
            ("user.?????", "user.alice", true),
            ("user.m?ller", "user.müller", true),
            ("user", "user.alice", false),
            ("user.*.Sent", "user.alice.Sent.2024", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(matches(b"a?c", b"a\xffc"));
        assert!(!matches(&b"*a".repeat(20), &b"b".repeat(10_000)));
    }
}
