//! The dump of a sasldb, whatever stands in it: what the fuzz target and the tests both call.

use std::fmt::Write as _;

use super::{Import, Realm};

/// Read `data` as a realm in the first line and a dump or list in the others, and panic at the first broken promise:
///
/// - a text that is not understood is told with a line that is there;
/// - what is left is told in the sequence of the lines, each on one line and without control characters;
/// - who chooses a realm leaves nobody in doubt, and who does not gets nobody else's users;
/// - users that were read and written again, in either format of a dump, are read to the same.
pub fn text(data: &[u8]) {
    let at = data.iter().position(|octet| *octet == b'\n').unwrap_or(data.len());
    let Ok(realm) = str::from_utf8(&data[..at]) else { return };
    let text = data.get(at + 1..).unwrap_or_default();
    let [chosen, supposed] =
        [Realm::Chosen(realm), Realm::Supposed(realm)].map(|realm| Import::read(text, realm));
    let (chosen, supposed) = match (chosen, supposed) {
        (Ok(chosen), Ok(supposed)) => (chosen, supposed),
        (Err(error), other) => {
            assert_eq!(other.err().as_ref(), Some(&error), "the realm has nothing to do with it");
            assert!(error.line <= text.iter().filter(|octet| **octet == b'\n').count() + 1);
            return;
        }
        (Ok(_), Err(error)) => panic!("understood with one realm, and not with another: {error}"),
    };
    assert_eq!(chosen.users.0, supposed.users.0);
    assert!(!chosen.has_faults() || supposed.has_faults());
    for import in [&chosen, &supposed] {
        assert!(import.left.is_sorted_by_key(|left| left.line));
        assert!(import.left.iter().all(|left| !left.to_string().contains(char::is_control)));
        assert!(!import.is_listing || import.users.0.is_empty());
    }
    for print in [true, false] {
        let again = Import::read(written(&chosen, realm, print).as_bytes(), Realm::Supposed(realm));
        let again = again.expect("a dump");
        assert_eq!((&again.users.0, &again.left), (&chosen.users.0, &Vec::new()), "read again: {print}");
    }
}

/// The users as a dump.
fn written(import: &Import, realm: &str, print: bool) -> String {
    let format = if print { "print" } else { "bytevalue" };
    let mut text = format!("VERSION=3\nformat={format}\ntype=hash\nHEADER=END\n");
    for (user, password) in &import.users.0 {
        for octets in [format!("{user}\0{realm}\0userPassword").as_bytes(), password] {
            text.push(' ');
            for octet in octets {
                let _ = match octet {
                    b'\\' if print => write!(text, "\\\\"),
                    b' '..=b'~' if print => write!(text, "{}", char::from(*octet)),
                    _ if print => write!(text, "\\{octet:02x}"),
                    _ => write!(text, "{octet:02x}"),
                };
            }
            text.push('\n');
        }
    }
    text + "DATA=END\n"
}
