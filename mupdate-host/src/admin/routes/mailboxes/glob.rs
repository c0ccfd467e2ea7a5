//! Patterns of names: `*` is any octets, `?` is one.

use crate::admin::http::Refused;

/// Octets of a pattern at most: no name is longer, and time is the product of both.
const LONGEST: usize = 1024;

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct Glob(Vec<u8>);

impl Glob {
    /// This one.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn new(pattern: &[u8]) -> Result<Self, Refused> {
        if pattern.len() > LONGEST {
            return Err(Refused::bad(format!("glob: no more than {LONGEST} octets are allowed")));
        }
        Ok(Self(pattern.to_vec()))
    }

    /// Does a whole name look like this?
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let pattern = &self.0;
        let (mut at, mut looked) = (0, 0);
        // The last star, and up to where it has reached.
        let mut star = None;
        while looked < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, looked));
                    at += 1;
                }
                Some(octet) if *octet == b'?' || *octet == name[looked] => {
                    at += 1;
                    looked += 1;
                }
                _ => match &mut star {
                    Some((place, reach)) => {
                        *reach += 1;
                        (at, looked) = (*place + 1, *reach);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|octet| *octet == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let matches = |pattern: &str, name: &str| {
            Glob::new(pattern.as_bytes()).expect("short").matches(name.as_bytes())
        };
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("*", "user.a"),
            ("user.*", "user.a.b"),
            ("user.?", "user.a"),
            ("*.b", "a.b.b"),
            ("*a*b*", "xxaxxbxx"),
            ("a**", "a"),
            ("?*?", "ab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("?", ""), ("user.*", "user"), ("*.b", "a.c"), ("a", "ab"), ("?*?", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(Glob::new(&[b'*'; 2000]).is_err());
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)), "and in no more than the product of both");
    }
}
