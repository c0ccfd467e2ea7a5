use super::*;

/// What Debian's `db_dump -p` says of a database that `saslpasswd2` has made.
const PRINT: &str = "VERSION=3\nformat=print\ntype=hash\nh_nelem=5\ndb_pagesize=4096\nHEADER=END\n \
                     mailproxy\\00m.example\\00userPassword\n proxy secret \n \
                     murder\\00m.example\\00userPassword\n p\\c3\\a4\\c3\\9f:w\\\\ord\n \
                     localuser\\00vm\\00userPassword\n x\nDATA=END\n";

/// The same without `-p`, with one user.
const BYTES: &str = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n \
                     6d7572646572006d2e6578616d706c65007573657250617373776f7264\n 736563726574\nDATA=END\n";

fn chosen(text: &str) -> Import {
    Import::read(text.as_bytes(), Realm::Chosen("m.example")).unwrap()
}

fn supposed(text: &str) -> Import {
    Import::read(text.as_bytes(), Realm::Supposed("m.example")).unwrap()
}

fn dump(records: &[(&str, &str)]) -> String {
    let lines: String =
        records.iter().map(|(key, value)| format!(" {}\n {value}\n", key.replace('/', "\\00"))).collect();
    format!("VERSION=3\nformat=print\ntype=hash\nHEADER=END\n{lines}DATA=END\n")
}

fn users(import: &Import) -> Vec<(&str, &[u8])> {
    import.users.0.iter().map(|(user, password)| (user.as_str(), password.as_slice())).collect()
}

fn left(import: &Import) -> Vec<String> {
    import.left.iter().map(ToString::to_string).collect()
}

fn wrong(text: &str) -> String {
    Import::read(text.as_bytes(), Realm::Chosen("m.example")).unwrap_err().to_string()
}

#[test]
fn users_and_passwords_of_a_realm_are_read() {
    let import = supposed(PRINT);
    let password = "päß:w\\ord".as_bytes();
    assert_eq!(users(&import), [("mailproxy", &b"proxy secret "[..]), ("murder", password)]);
    assert_eq!(left(&import), ["line 11: localuser@vm: another realm"]);
    assert!(!import.has_faults() && !import.is_listing);
    assert_eq!(import.realms, BTreeMap::from([("m.example".into(), 2), ("vm".into(), 1)]));
    assert_eq!(users(&chosen(BYTES)), [("murder", &b"secret"[..])]);
    assert_eq!(users(&chosen(&BYTES.replace('\n', "\r\n"))), [("murder", &b"secret"[..])]);
}

#[test]
fn what_mdb_dump_says_is_read_as_well_if_it_is_exact() {
    let of_lmdb = |text: &str| text.replace("type=hash\n", "type=btree\nmapsize=1048576\nmaxreaders=126\n");
    assert_eq!(users(&chosen(&of_lmdb(BYTES))), users(&chosen(BYTES)));
    assert!(wrong(&of_lmdb(PRINT)).starts_with("line 4: `mdb_dump -p` writes backslashes"));
}

#[test]
fn other_properties_are_no_passwords() {
    let import = supposed(&dump(&[
        ("a/m.example/cmusaslsecretOTP", "md5 0499 seed"),
        ("b/m.example/authPassword", "x"),
        ("b/m.example/userPassword", "secret"),
        ("c/vm/cmusaslsecretOTP", "x"),
    ]));
    assert_eq!(users(&import), [("b", &b"secret"[..])]);
    assert_eq!(
        left(&import),
        [
            "line 5: a@m.example: cmusaslsecretOTP is not a password, and there is none beside it",
            "line 7: b@m.example: authPassword is not the password",
            "line 11: c@vm: another realm",
        ]
    );
    assert!(!import.has_faults());
}

#[test]
fn a_user_in_two_realms_is_in_doubt_until_one_is_chosen() {
    let text = dump(&[("a/vm/userPassword", "one"), ("a/m.example/userPassword", "two")]);
    assert_eq!(
        left(&supposed(&text)),
        ["line 5: a@vm: the same user is in two realms; choose one with --realm"]
    );
    assert!(supposed(&text).has_faults());
    assert_eq!(
        (users(&chosen(&text)), left(&chosen(&text))),
        (vec![("a", &b"two"[..])], vec!["line 5: a@vm: another realm".to_owned()])
    );
}

#[test]
fn names_and_passwords_that_cannot_be_are_faults() {
    let import = chosen(&dump(&[
        ("a:b/m.example/userPassword", "secret"),
        ("/m.example/userPassword", "secret"),
        ("empty/m.example/userPassword", ""),
        ("bell/m.example/userPassword", "sec\\07ret"),
        ("nul/m.example/userPassword", "sec\\00ret"),
        ("long/m.example/userPassword", &"x".repeat(4097)),
        ("IX/m.example/userPassword", "one"),
        ("\\e2\\85\\a8/m.example/userPassword", "two"),
    ]));
    assert_eq!(
        left(&import),
        [
            "line 5: a:b@m.example: the user's name has a colon or a space",
            "line 7: @m.example: the user's name is empty",
            "line 9: empty@m.example: the password is empty",
            "line 11: bell@m.example: the password has a character that is not allowed in one",
            "line 13: nul@m.example: the password has a line end or a NUL",
            "line 15: long@m.example: the password is longer than 4096 octets",
            "line 19: \u{2168}@m.example: the same name as in line 17",
        ]
    );
    assert!(import.left.iter().all(|left| left.why.is_fault()));
}

#[test]
fn a_list_says_who_needs_a_password() {
    let import =
        supposed("murder@m.example: userPassword\n\nx@y@vm: userPassword\nmurder@vm: cmusaslsecretOTP\n");
    assert!(import.is_listing && import.users.0.is_empty());
    assert_eq!(
        left(&import),
        [
            "line 1: murder@m.example: a list says no passwords",
            "line 3: x@y@vm: another realm",
            "line 4: murder@vm: another realm",
        ]
    );
}

#[test]
fn a_text_that_is_not_understood_is_told_by_line() {
    let end = "DATA=END\n";
    let table = [
        (String::new(), "there is nothing in it"),
        ("nonsense\n".into(), "line 1: neither a dump"),
        (PRINT.replace(end, ""), "the dump is not whole: DATA=END is missing"),
        (PRINT.replace(" x\nDATA=END\n", ""), "the dump is not whole"),
        (PRINT.replace("HEADER=END\n", ""), "line 6: this is no line of a dump's header"),
        (PRINT.replace("format=print\n", ""), "line 5: the header of the dump does not say a format"),
        (PRINT.replace("=print", "=other"), "line 2: this format of dumps"),
        (PRINT.replace("VERSION=3", "VERSION=2"), "line 1: only version 3"),
        (PRINT.replace("=hash", "=recno"), "line 3: a database without keys"),
        (PRINT.replace(" x\n", "x\n"), "line 12: a line of data begins with a space"),
        (PRINT.replace("\\c3\\9f", "\\zz"), "line 10: an octet is not hexadecimal"),
        (PRINT.replace(" x\n", " x\\0\n"), "line 12: it ends within an octet"),
        (BYTES.replace("736563726574", "73656372657"), "line 7: it ends within an octet"),
        (PRINT.replace("localuser\\00vm", "localuser"), "line 11: the key is not user, realm and property"),
        (PRINT.replace("localuser", "\\ff"), "line 11: the key is not UTF-8"),
        (format!("{PRINT}{BYTES}"), "line 14: something follows after DATA=END"),
        ("VERSION=3\nformat=print\n".into(), "the header of the dump has no end"),
    ];
    for (text, start) in table {
        let error = wrong(&text);
        assert!(error.starts_with(start), "{text}: {error}");
    }
}

#[test]
fn the_database_itself_is_known_by_its_first_page() {
    let mut page = [0; 64];
    for (at, magic) in [(12, 0x0006_1561_u32), (12, 0x0005_3162), (16, 0xBEEF_C0DE), (0, 0x1357_9ACE)] {
        for octets in [magic.to_le_bytes(), magic.to_be_bytes()] {
            page[at..at + 4].copy_from_slice(&octets);
            let error = Import::read(&page, Realm::Chosen("x")).unwrap_err();
            assert!(error.reason.starts_with("this is the database itself"), "{error}");
            page[at..at + 4].fill(0);
        }
    }
}

#[test]
fn nothing_shows_a_password() {
    let import =
        supposed(&dump(&[("a/m.example/userPassword", "secret"), ("b:/m.example/userPassword", "secret")]));
    let shown = format!("{import:?} {:?}", left(&import));
    assert!(shown.contains("\"a\"") && !shown.contains("secret"), "{shown}");
}

#[test]
fn the_harness_takes_what_is_here() {
    for text in [PRINT, BYTES, "", "murder@m.example: userPassword\n"] {
        harness::text(format!("m.example\n{text}").as_bytes());
    }
}
