//! What others have chosen, at no more length than is shown to people; a "…" says that it was cut.

use std::borrow::Cow;

const MARK: &str = "…";

/// A text, or its beginning of so many octets at most, with the mark behind it.
pub(crate) fn text(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    format!("{}{MARK}", &text[..text.floor_char_boundary(most)]).into()
}

/// The same of octets. What is no UTF-8 is cut as it is, since no mark would be legible behind it.
pub(crate) fn octets(octets: &[u8], most: usize) -> Cow<'_, [u8]> {
    if octets.len() <= most {
        return octets.into();
    }
    let beginning = &octets[..most];
    let whole = match str::from_utf8(beginning) {
        Ok(text) => text.len(),
        // A character has been cut in two.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return beginning.into(),
    };
    [&beginning[..whole], MARK.as_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of both functions.
    fn cut(whole: &str, most: usize) -> String {
        let short = text(whole, most);
        assert_eq!(octets(whole.as_bytes(), most), short.as_bytes());
        short.into_owned()
    }

    #[test]
    fn what_is_no_longer_than_it_may_be_stays() {
        for whole in ["", "user.a", "üüü"] {
            assert_eq!(cut(whole, whole.len()), whole);
            assert!(matches!(text(whole, 6), Cow::Borrowed(_)));
            assert!(matches!(octets(whole.as_bytes(), 6), Cow::Borrowed(_)));
        }
        assert_eq!(octets(b"\xff\xfe", 2), &b"\xff\xfe"[..]);
    }

    #[test]
    fn what_is_longer_ends_in_a_mark() {
        assert_eq!(cut("user.alice", 9), "user.alic…");
        assert_eq!(cut("user.alice", 0), "…");
    }

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!(cut("aüb", 3), "aü…");
        assert_eq!(cut("aüb", 2), "a…");
        assert_eq!(["😀b"; 4].map(|whole| cut(whole, 4)), ["😀…"; 4]);
        assert_eq!([1, 2, 3].map(|most| cut("😀b", most)), ["…"; 3]);
    }

    #[test]
    fn what_is_no_text_is_cut_without_a_mark() {
        assert_eq!(octets(b"a\xffbc", 3), &b"a\xffb"[..]);
        assert_eq!(octets(b"\xc3\x28bc", 3), &b"\xc3\x28b"[..]);
        assert_eq!(octets(b"user.alice\xff", 4), &b"user\xe2\x80\xa6"[..], "its beginning is one");
    }
}
