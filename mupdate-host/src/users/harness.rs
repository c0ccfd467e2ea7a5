//! The users file, whatever stands in it: what fuzz targets and property tests both call.

use std::path::Path;

use super::{Keys, Users, file::edit, user_name};

/// A user's line, but for the name.
const RECORD: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
                      WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// Read `data` as a user's name in the first line and a users file in the others, and panic at the first broken promise:
///
/// - a name is kept in one form only: what [`user_name`] gives, it gives back;
/// - every wrong line is named once, in order, and nothing that stands in it is repeated;
/// - users that were read are written and read to the same again;
/// - adding or removing a user leaves every other as it was.
pub fn file(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (name, text) = text.split_once('\n').unwrap_or((text, ""));
    let name = user_name(name).ok();
    if let Some(name) = &name {
        assert_eq!(user_name(name).as_ref(), Ok(name), "another form of the same name");
    }
    let users = match Users::parse(text) {
        Ok(users) => users,
        Err(wrong) => {
            let count = text.lines().count();
            assert!(wrong.iter().all(|wrong| (1..=count).contains(&wrong.line)));
            assert!(wrong.windows(2).all(|pair| pair[0].line < pair[1].line));
            assert!(!wrong.is_empty());
            return;
        }
    };
    let again: String = users.keys.iter().map(|(name, keys)| format!("{name}:{keys}\n")).collect();
    assert_eq!(Users::parse(&again).as_ref(), Ok(&users), "written and read");
    assert_eq!((users.len(), users.is_empty()), (users.names().count(), users.names().next().is_none()));
    if let Some(name) = name {
        edited(text, &users, &name);
    }
}

fn edited(text: &str, users: &Users, name: &str) {
    let keys: Keys = RECORD.parse().expect("keys");
    let there = users.get(name).is_some();
    let mut expected = users.keys.clone();
    expected.insert(name.to_owned(), keys);
    let line = format!("{name}:{RECORD}");
    let (with, found) =
        edit(Path::new("users"), text, name, Some(&line)).expect("nothing is wrong with the file");
    assert_eq!(found, there);
    assert_eq!(Users::parse(&with).as_ref(), Ok(&Users::of(expected.clone())), "with a user");

    expected.remove(name);
    let (without, found) =
        edit(Path::new("users"), &with, name, None).expect("nothing is wrong with the file");
    assert!(found);
    assert_eq!(Users::parse(&without), Ok(Users::of(expected)), "without it");
}
