use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;
use tempfile::tempdir;

use super::*;

/// A record of the password "pencil" (RFC 7677), cheap to verify.
const RECORD: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
                      $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn names(data_dir: &Path) -> Vec<String> {
    Users::load(data_dir).unwrap().names().map(str::to_owned).collect()
}

fn logs_in(data_dir: &Path, name: &str, password: &[u8]) -> bool {
    Users::load(data_dir).unwrap().password(name).is_some_and(|record| record.verify(password).into())
}

fn give(data_dir: &Path, name: &str, password: &[u8]) -> Result<Added, UsersError> {
    add(data_dir, name, password, &NewKeys::default())
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_user_is_added_changed_and_removed() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("deep/data");
    assert_eq!(give(&data, "zoe", b"one").unwrap(), Added::New);
    assert_eq!(give(&data, "adam", b"two").unwrap(), Added::New);
    assert_eq!(names(&data), ["adam", "zoe"]);
    assert!(logs_in(&data, "zoe", b"one") && !logs_in(&data, "zoe", b"two"));
    assert_eq!(give(&data, "zoe", b"three").unwrap(), Added::Changed);
    assert!(logs_in(&data, "zoe", b"three") && !logs_in(&data, "zoe", b"one"));
    assert!(remove(&data, "zoe").unwrap() && !remove(&data, "zoe").unwrap());
    assert_eq!(names(&data), ["adam"]);
    assert_eq!((mode(&data), mode(&path(&data))), (0o700, 0o600));
    assert!(!data.join("users.new").exists());
}

#[test]
fn the_rest_of_the_file_stays_as_it_is() {
    let dir = tempdir().unwrap();
    let file = path(dir.path());
    fs::write(&file, format!("# murder\n\n  one:{RECORD}\r\ntwo:{RECORD}")).unwrap();
    give(dir.path(), "three", b"x").unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with(&format!("# murder\n\n  one:{RECORD}\ntwo:{RECORD}\nthree:SCRAM-SHA-256$10000:")),
        "{text}"
    );
    assert!(remove(dir.path(), "one").unwrap());
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(&format!("# murder\n\ntwo:{RECORD}\nthree:")), "{text}");
    assert!(text.ends_with("=\n"), "{text}");
}

#[test]
fn wrong_lines_are_told_by_number_and_nothing_is_changed() {
    let text = format!("good:{RECORD}\nbad\n:{RECORD}\ngood:{RECORD}\nx:SCRAM-SHA-256$1:2$3:4\n#:x\n");
    let lines = Users::parse(&text).unwrap_err();
    let told: Vec<(usize, &str)> = lines.iter().map(|wrong| (wrong.line, wrong.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, "no colon after a user's name"),
            (3, "the user's name is empty"),
            (4, "this user has a line already"),
            (5, "the number of iterations is not between 4096 and 1000000"),
        ]
    );
    let dir = tempdir().unwrap();
    fs::write(path(dir.path()), &text).unwrap();
    let fatal = Fatal::from(give(dir.path(), "new", b"x").unwrap_err());
    assert_eq!(fatal.code, Code::Data);
    assert!(fatal.message.contains("users: line 2: no colon after a user's name, line 3: "), "{fatal}");
    assert!(fatal.message.ends_with(", and 1 more; correct the line or remove it"), "{fatal}");
    assert!(remove(dir.path(), "good").is_err());
    assert_eq!(fs::read_to_string(path(dir.path())).unwrap(), text);
}

#[test]
fn names_are_prepared_and_bounded() {
    assert_eq!(user_name("murder").as_deref(), Ok("murder"));
    assert_eq!(user_name("be1@example.org").as_deref(), Ok("be1@example.org"));
    assert_eq!(user_name("\u{2168}").as_deref(), Ok("IX"));
    for wrong in ["", "a:b", "a b", "#a", "a\nb", "a\0", &"x".repeat(256)] {
        assert!(user_name(wrong).is_err(), "{wrong:?}");
    }
    let dir = tempdir().unwrap();
    give(dir.path(), "\u{2168}", b"x").unwrap();
    assert_eq!(names(dir.path()), ["IX"]);
    assert_eq!(Fatal::from(give(dir.path(), "a:b", b"x").unwrap_err()).code, Code::Usage);
    assert_eq!(Fatal::from(give(dir.path(), "a", b"").unwrap_err()).code, Code::Data);
}

#[test]
fn the_slowest_hash_counts_for_strangers() {
    let text = format!("a:{RECORD}\nb:{}\nc:*\n", RECORD.replace("4096", "20000"));
    assert_eq!(Users::parse(&text).unwrap().slowest(), (Hash::Sha256, 20_000));
    assert_eq!(Users::default().slowest(), (Hash::Sha256, scram::ITERATIONS));
}

#[test]
fn strangers_look_like_most_users() {
    let slower = RECORD.replace("4096", "20000");
    let users = Users::parse(&format!("a:{RECORD}\nb:{slower}\nc:{RECORD}\nd:*\n")).unwrap();
    assert_eq!((users.usual(Hash::Sha256), users.usual(Hash::Sha1)), (Some((4096, 16)), None));
}

#[test]
fn users_with_different_hashes_are_told() {
    let sha1 = NewKeys { hashes: vec![Hash::Sha1], iterations: 4096 }.of(b"x").unwrap();
    let uneven = |text: &str| Users::parse(text).unwrap().uneven();
    assert_eq!(uneven(&format!("a:{RECORD}\nb:{RECORD}\nc:*\n")), None);
    assert_eq!(
        uneven(&format!("a:{RECORD}\nb:{sha1}\nc:{sha1},{RECORD}\nd:{sha1}\ne:{sha1}\nf:{sha1}")).unwrap(),
        "SCRAM-SHA-1 is offered, but without keys for it are a; SCRAM-SHA-256 is offered, but without keys for it are \
         b, d, e and 1 more: give all users the same hashes"
    );
}

#[test]
fn a_user_can_have_several_keys_or_no_password() {
    let dir = tempdir().unwrap();
    let new = NewKeys { hashes: Hash::ALL.to_vec(), iterations: 5000 };
    add(dir.path(), "all", b"secret", &new).unwrap();
    assert_eq!(add_without_password(dir.path(), "none").unwrap(), Added::New);
    let users = Users::load(dir.path()).unwrap();
    let records = users.get("all").unwrap().records();
    assert_eq!(
        records.iter().map(|record| (record.hash(), record.iterations())).collect::<Vec<_>>(),
        Hash::ALL.map(|hash| (hash, 5000))
    );
    assert!(users.get("none").is_some_and(|keys| keys.records().is_empty()));
    assert!(logs_in(dir.path(), "all", b"secret") && users.password("none").is_none());
    assert_eq!(add_without_password(dir.path(), "all").unwrap(), Added::Changed);
    assert!(!logs_in(dir.path(), "all", b"secret"));
}

#[test]
fn a_missing_file_is_told() {
    let dir = tempdir().unwrap();
    let fatal = Fatal::from(Users::load(dir.path()).unwrap_err());
    assert_eq!(fatal.code, Code::NoInput);
    assert!(fatal.message.contains("/users: ") && fatal.message.contains("user add NAME"), "{fatal}");
    assert!(remove(dir.path(), "x").is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let dir = tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let data = dir.path();
            scope.spawn(move || give(data, &format!("user{number}"), b"x").unwrap());
        }
    });
    assert_eq!(names(dir.path()).len(), 8);
}

#[test]
fn the_first_start_makes_a_user_whose_password_its_owner_can_read() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let first = first_start(&data).unwrap().unwrap();
    assert_eq!(first.password.len(), 24);
    assert_eq!(first.file, data.join("first-password"));
    assert_eq!(fs::read_to_string(&first.file).unwrap(), format!("{}\n", *first.password));
    assert_eq!((mode(&first.file), mode(&path(&data))), (0o600, 0o600));
    assert_eq!(names(&data), [FIRST_USER]);
    assert!(logs_in(&data, FIRST_USER, first.password.as_bytes()));
    let lines = first.imapd_conf("m.example.org", 3905);
    assert!(
        lines.contains("mupdate_server: m.example.org:3905\nmupdate_username: murder\nmupdate_authname: murder\nmupdate_password: "),
        "{lines}"
    );
    assert!(!format!("{first:?}").contains(first.password.as_str()));
    assert!(first_start(&data).unwrap().is_none());
}

#[test]
fn a_kept_password_goes_when_it_is_of_no_use() {
    let dir = tempdir().unwrap();
    let first = first_start(dir.path()).unwrap().unwrap();
    give(dir.path(), "other", b"x").unwrap();
    assert!(first.file.exists());
    give(dir.path(), FIRST_USER, b"x").unwrap();
    assert!(!first.file.exists());
}

#[test]
fn a_users_file_without_users_is_left_alone() {
    let dir = tempdir().unwrap();
    fs::write(path(dir.path()), "# nobody\n").unwrap();
    assert!(first_start(dir.path()).unwrap().is_none());
    assert!(Users::load(dir.path()).unwrap().is_empty());
}

#[test]
fn what_root_writes_belongs_to_the_owner_of_the_directory() {
    let dir = tempdir().unwrap();
    if fs::metadata(dir.path()).unwrap().uid() != 0 {
        return; // Only root can give files away.
    }
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    give(dir.path(), "x", b"x").unwrap();
    let file = fs::metadata(path(dir.path())).unwrap();
    assert_eq!((file.uid(), file.gid()), (65534, 65534));
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = Users::parse(&text);
        let _ = user_name(&text);
    }

    #[test]
    fn no_damaged_line_panics(at in 0..RECORD.len(), with in "[:$=\\PC\n]{0,3}") {
        let mut text = format!("name:{RECORD}\n");
        text.insert_str(at, &with);
        let _ = Users::parse(&text);
    }

    #[test]
    fn prepared_names_stay_as_they_are(name: String) {
        if let Ok(once) = user_name(&name) {
            prop_assert_eq!(user_name(&once), Ok(once.clone()));
        }
    }
}
