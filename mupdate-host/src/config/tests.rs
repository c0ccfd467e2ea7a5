use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../../mupdated.example.toml");

/// What is wrong with a text, a line each.
fn wrong(text: &str) -> Vec<String> {
    Config::parse(text).map_or_else(|problems| problems.into_iter().map(|p| p.text).collect(), |_| Vec::new())
}

fn good(text: &str) -> Config {
    Config::parse(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(good(EXAMPLE), Config::default());
}

#[test]
fn the_example_without_its_comment_signs_is_the_defaults() {
    let mut said = good(&uncommented());
    assert_eq!(said.server_name, "mupdate.example.org");
    said.server_name = Config::default().server_name;
    said.orders.clear();
    assert_eq!(said.roles.named().count(), 3);
    said.roles = Roles::default();
    assert_eq!(said.pairs.members.len(), 1);
    said.pairs.members.clear();
    assert_eq!(said.tls.certificate.as_deref(), Some(Path::new("tls/certificate.pem")));
    said.tls = TlsSettings { client_certificates: said.tls.client_certificates, ..TlsSettings::default() };
    said.listen_tls.clear();
    assert_eq!(said, Config::default());
}

#[test]
fn the_example_has_every_key() {
    let example = uncommented();
    let said: BTreeSet<&str> =
        example.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    let tables: BTreeSet<&str> =
        example.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).collect();
    for (table, keys) in NAMES {
        for key in *keys {
            assert!(*key == "*" || said.contains(key) || tables.contains(key), "{table}: {key}");
        }
    }
}

/// The example with the settings in force that are commented out in it: `#key = value`, no space before the key.
fn uncommented() -> String {
    let setting =
        |line: &str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|char: char| char != ' '));
    EXAMPLE.lines().map(|line| if setting(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_said_is_the_defaults() {
    assert_eq!(good(""), Config::default());
    assert_eq!(good("[limits]\n[orders]\n"), Config::default());
    assert_eq!(Config::load(None).unwrap(), Config::default());
}

#[test]
fn what_is_said_is_taken() {
    let config = good(
        "server_name = 'm.example.org'\ndata_dir = '/var/lib/m'\nlisten = ['0.0.0.0:3905', '/run/m.sock']\n\
         policy = 'replicated'\ncompress = 'both'\nallow_plaintext = true\nlog = 'debug,json'\nsoftware = 'x'\n\
         [limits]\nline = 2048\nliteral = '64KiB'\nidle_seconds = 60\nlogin_delay_ms = 0\n\
         connections_per_address = 0\nconnections_per_user = 3\n\
         [streams]\nhold_ms = 0\n[store]\nmap_size = '1 GiB'\nreaders = 7\n\
         [orders]\n'be1.example.org' = 'octet'\n[login_cache]\nentries = 0\n",
    );
    assert_eq!(config.server_name, "m.example.org");
    assert_eq!(config.listen, ["0.0.0.0:3905".parse().unwrap(), "/run/m.sock".parse().unwrap()]);
    assert_eq!(config.policy, Policy::Replicated);
    assert_eq!(config.compress, CompressLines::Both);
    assert_eq!(config.limits.octets.literal, 65_536);
    assert_eq!(config.limits.idle, Some(Duration::from_secs(60)));
    assert_eq!((config.limits.connections_per_address, config.limits.connections_per_user), (None, Some(3)));
    assert_eq!(config.limits.login_delay, Duration::ZERO);
    assert_eq!(config.store.map_size, 1 << 30);
    assert_eq!((config.readers(), config.login_cache.entries), (7, 0));
    assert_eq!(config.orders.values().copied().collect::<Vec<_>>(), [Order::Octet]);
    assert_eq!(good("listen = '10.0.0.1'").listen, ["10.0.0.1:3905".parse().unwrap()]);
}

#[test]
fn a_user_is_a_name_and_a_group_goes_with_one() {
    let config = good("user = 'mupdate'\ngroup = 'mail'");
    assert_eq!((config.user.as_deref(), config.group.as_deref()), (Some("mupdate"), Some("mail")));
    assert_eq!(good("user = ''\ngroup = ''"), Config::default());
    assert_eq!(wrong("group = 'mail'"), ["`group` in line 1 is \"mail\"; set `user` too"]);
    assert!(wrong("user = 'two words'")[0].ends_with("; allowed: a name without spaces"));
}

#[test]
fn a_raised_part_raises_the_whole() {
    assert_eq!(good("[limits]\nliteral = '8MiB'").limits.octets.message, (8 << 20) + (64 << 10));
    assert_eq!(wrong("[limits]\nliteral = '8MiB'\nmessage = '4MiB'").len(), 1);
}

#[test]
fn unknown_keys_name_their_line_and_the_nearest() {
    assert_eq!(wrong("\n\nlisen = 1"), ["unknown key `lisen` in line 3; did you mean `listen`?"]);
    assert_eq!(
        wrong("[limits]\nliteraal = 1"),
        ["unknown key `limits.literaal` in line 2; did you mean `literal`?"]
    );
    assert_eq!(
        wrong("hold_ms = 1"),
        ["unknown key `hold_ms` in line 1; did you mean `hold_ms` in [streams]?"]
    );
    assert_eq!(
        wrong("[store]\npolicy = 'strict'"),
        ["unknown key `store.policy` in line 2; did you mean `policy` above the first [table]?"]
    );
    assert_eq!(
        wrong("\"two\\nlines\" = 1")[0].split(';').next(),
        Some("unknown key `two\\nlines` in line 1"),
        "a complaint is one line"
    );
    assert_eq!(wrong("[limit]\nline = 2000"), ["unknown key `limit` in line 1; did you mean `limits`?"]);
    assert_eq!(
        wrong("[streams]\nentirely_different = 2000"),
        ["unknown key `streams.entirely_different` in line 2; known here: hold_ms"]
    );
}

#[test]
fn bad_values_name_their_line_and_what_is_allowed() {
    let table = [
        ("policy = 'lax'", "`policy` in line 1 is \"lax\"; allowed: \"standard\", \"strict\", \"unified\""),
        ("policy = 3", "`policy` in line 1 is 3; allowed: \"standard\""),
        ("authority = 'etcd'", "`authority` in line 1 is \"etcd\"; known, but not available in this version"),
        ("authority = 'upstream'", "`authority` in line 1 is \"upstream\"; set `upstream.host` too"),
        (
            "upstream.host = 'a:b'",
            "`upstream.host` in line 1 is \"a:b\"; allowed: \"HOST\", \"HOST:PORT\" or",
        ),
        (
            "upstream = { host = 'a', user = 'u' }",
            "`upstream.host` in line 1 is \"a\"; set `upstream.password_file` too",
        ),
        (
            "upstream.starttls = 'yes'",
            "`upstream.starttls` in line 1 is \"yes\"; allowed: \"require\", \"prefer\" or \"off\"",
        ),
        ("\nallow_plaintext = 'yes'", "`allow_plaintext` in line 2 is \"yes\"; allowed: true or false"),
        ("listen = []", "`listen` in line 1 is a list; at least one is needed"),
        ("listen = ['localhost:3905']", "`listen` in line 1 is a list; allowed: \"ADDRESS:PORT\""),
        ("listen = 3905", "`listen` in line 1 is 3905; allowed: a list of strings"),
        ("log = 'loud'", "`log` in line 1 is \"loud\"; allowed: a level"),
        ("server_name = 'a!b'", "`server_name` in line 1 is \"a!b\"; allowed: a host name"),
        ("data_dir = ''", "`data_dir` in line 1 is \"\"; allowed: a directory"),
        ("software = 'a\"b'", "`software` in line 1 is \"a\\\"b\"; allowed: printable ASCII"),
        ("compress = 'x'", "`compress` in line 1 is \"x\"; allowed: \"quoted\""),
        ("limits = 3", "`limits` in line 1 is 3; allowed: a table, [limits]"),
        ("[limits]\nline = 12", "`limits.line` in line 2 is 12; allowed: octets from 1KiB to 64MiB"),
        ("[limits]\nline = 'x'", "`limits.line` in line 2 is \"x\"; allowed: octets from 1KiB"),
        ("[auth]\nsaslauthd = 'mux'", "`auth.saslauthd` in line 2 is \"mux\"; allowed: the path of a socket"),
        (
            "[auth]\nsaslauthd = '/mux'",
            "`auth.saslauthd` in line 2 is \"/mux\"; set `auth.saslauthd_users` too",
        ),
        (
            "[auth]\nsaslauthd_users = '*'",
            "`auth.saslauthd_users` in line 2 is \"*\"; set `auth.saslauthd` too",
        ),
        (
            "[auth]\nsaslauthd_users = ['*', 'a']",
            "`auth.saslauthd_users` in line 2 is a list; allowed: \"*\" alone",
        ),
        (
            "[auth]\nsaslauthd_users = ['a b']",
            "`auth.saslauthd_users` in line 2 is a list; the user's name has a",
        ),
        (
            "[auth]\nsaslauthd_service = ''",
            "`auth.saslauthd_service` in line 2 is \"\"; allowed: a service's name",
        ),
        (
            "[auth]\nsaslauthd_realm = \"\\t\"",
            "`auth.saslauthd_realm` in line 2 is \"\\t\"; allowed: at most 255",
        ),
        (
            "[auth]\nsaslauthd_at_once = 0",
            "`auth.saslauthd_at_once` in line 2 is 0; allowed: a number from 1",
        ),
        (
            "[limits]\nconnections = -1",
            "`limits.connections` in line 2 is -1; allowed: a number from 1 to 1000000",
        ),
        ("[limits]\nbatch = 1.5", "`limits.batch` in line 2 is 1.5; allowed: a number from 1"),
        (
            "[streams]\nhold_ms = 99999",
            "`streams.hold_ms` in line 2 is 99999; allowed: a number from 0 to 60000 (milli",
        ),
        ("[tls]\ncertificate = 'c'", "`tls.certificate` in line 2 is \"c\"; set `tls.key` too"),
        ("[tls]\nkey = 'k'", "`tls.key` in line 2 is \"k\"; set `tls.certificate` too"),
        (
            "[tls]\ncertificate = 'c'\nkey = 'k'\nclient_certificates = 'required'",
            "`tls.client_certificates` in line 4 is \"required\"; set `tls.client_ca` too",
        ),
        (
            "[tls]\nclient_certificates = 'no'",
            "`tls.client_certificates` in line 2 is \"no\"; allowed: \"off\"",
        ),
        ("[tls]\nminimum_version = '1.1'", "`tls.minimum_version` in line 2 is \"1.1\"; allowed: \"1.2\""),
        ("[orders]\nx = 'y'", "`orders.x` in line 2 is \"y\"; allowed: \"octet\", \"dot\" or \"v36\""),
        ("[orders]\n'a!b' = 'dot'", "`orders.a!b` in line 2 is \"dot\"; allowed as a name: a server's"),
    ];
    for (text, start) in table {
        let said = wrong(text);
        assert!(said.len() == 1 && said[0].starts_with(start), "{text}: {said:?}");
    }
}

#[test]
fn what_is_no_toml_names_its_line() {
    for text in ["\nlisten = [", "\na b c", "\nlog = info", "\n[limits\nline = 1"] {
        let said = wrong(text);
        assert!(said[0].starts_with("line ") && !said[0].contains('\n'), "{text}: {said:?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_and_the_first_shown() {
    let problems = Config::parse("[limits]\nbatch = 0\nlime = 1\n[store]\nreaders = 'x'").unwrap_err();
    assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 3, 5]);
    let shown = ConfigError::Wrong { path: "m.toml".into(), problems }.to_string();
    assert!(shown.starts_with("m.toml: `limits.batch` in line 2 is 0;"), "{shown}");
    assert!(shown.ends_with("(and 2 more; see check-config)"), "{shown}");
}

#[test]
fn files_that_cannot_be_read_say_so() {
    use crate::exit::{Code, Fatal};
    let fatal = Fatal::from(Config::load(Some(Path::new("/nonexistent/m.toml"))).unwrap_err());
    assert_eq!(fatal.code, Code::NoInput);
    assert!(fatal.message.starts_with("cannot read /nonexistent/m.toml: "), "{fatal}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.toml");
    std::fs::write(&path, "lisen = 1").unwrap();
    let fatal = Fatal::from(Config::load(Some(&path)).unwrap_err());
    assert_eq!(fatal.code, Code::Config);
    assert!(
        fatal.message.ends_with("m.toml: unknown key `lisen` in line 1; did you mean `listen`?"),
        "{fatal}"
    );
}

#[test]
fn files_of_tls_are_beside_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.toml");
    std::fs::write(&path, "[tls]\ncertificate = 'c.pem'\nkey = '/k.pem'").unwrap();
    let tls = Config::load(Some(&path)).unwrap().tls;
    assert_eq!(tls.certificate, Some(dir.path().join("c.pem")));
    assert_eq!(tls.key.as_deref(), Some(Path::new("/k.pem")));
}

#[test]
fn the_command_line_is_over_the_file() {
    let overrides = Overrides {
        data_dir: Some("/d".into()),
        user: Some("somebody".into()),
        listen: vec!["[::1]:1".parse().unwrap()],
        listen_tls: vec!["[::1]:2".parse().unwrap()],
        server_name: Some("cli".into()),
        log: Some("trace".parse().unwrap()),
    };
    let config = good("server_name = 'file'\ndata_dir = '/f'\nsoftware = 'x'").with(&overrides);
    assert_eq!((config.server_name.as_str(), config.data_dir.as_path()), ("cli", Path::new("/d")));
    assert_eq!((config.listen, config.listen_tls), (overrides.listen, overrides.listen_tls));
    assert_eq!((config.software.as_str(), config.user.as_deref()), ("x", Some("somebody")));
    assert_eq!(good("server_name = 'file'").with(&Overrides::default()).server_name, "file");
}

#[test]
fn a_reload_changes_limits_and_keeps_what_needs_a_restart() {
    let now = good("policy = 'strict'");
    let fresh = good(
        "server_name = 'new'\nlog = 'debug,json'\nallow_plaintext = true\n[limits]\nline = 2048\nbatch = 1\n\
         [store]\ntombstones = 1\n",
    );
    let (next, waiting) = now.reloaded(fresh);
    assert_eq!(waiting, ["server_name", "policy", "log (form)", "limits.batch", "store"]);
    assert_eq!((&next.server_name, next.policy), (&now.server_name, Policy::Strict));
    assert_eq!((next.limits.octets.line, next.limits.batch), (2048, now.limits.batch));
    assert!(next.allow_plaintext);
    assert_eq!(next.log.to_string(), "debug");
    assert_eq!(now.reloaded(now.clone()), (now.clone(), Vec::new()));
}

#[test]
fn warnings_tell_what_will_not_work() {
    assert_eq!(Config::default().warnings(), Vec::<String>::new());
    let open = good("listen = ['0.0.0.0:3905']").warnings();
    assert!(
        open.len() == 1
            && open[0].starts_with("from other hosts, only who speaks SCRAM can log in through 0.0.0.0:3905"),
        "{open:?}"
    );
    let clear = good("listen = ['0.0.0.0:3905']\nallow_plaintext = true").warnings();
    assert!(clear.len() == 1 && clear[0].starts_with("passwords cross the network"), "{clear:?}");
    let tls = "listen = ['0.0.0.0:3905']\n[tls]\ncertificate = 'c'\nkey = 'k'\n";
    assert_eq!(good(tls).warnings(), Vec::<String>::new());
    assert_eq!(good("[store]\nreaders = 1").warnings().len(), 1);
    let asked =
        |users: &str| good(&format!("[auth]\nsaslauthd = '/mux'\nsaslauthd_users = {users}")).warnings();
    assert_eq!(asked("['a', 'b']"), Vec::<String>::new());
    assert!(asked("'*'")[0].starts_with("whoever saslauthd knows can log in"));
}

#[test]
fn a_shown_configuration_is_read_back() {
    let config = good(
        "data_dir = 'a \"b\" \\ c'\nlisten = ['/s', '[::1]:1']\nlog = 'warn,json'\n[limits]\nline = 4097\n\
         idle_seconds = 5\n[orders]\nb = 'dot'\n'a.b' = 'v36'\n[store]\nreaders = 9\n\
         [tls]\ncertificate = 'c'\nkey = '/k'\nclient_ca = 'a'\nclient_certificates = 'optional'\n\
         minimum_version = '1.3'\n\
         [auth]\nsaslauthd = '/mux'\nsaslauthd_users = ['b', 'a\"']\nsaslauthd_realm = 'r'\nsaslauthd_seconds = 3\n",
    );
    assert_eq!(good(&config.to_string()), config);
    assert_eq!(good(&Config::default().to_string()), Config::default());
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = Config::parse(&text);
    }

    #[test]
    fn no_value_of_a_known_key_panics(section in 0..NAMES.len(), key: prop::sample::Index, value in "[\\[\\]{}'\"0-9a-z.=\\-\n ]{0,12}") {
        let (table, keys) = NAMES[section];
        let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
        let _ = Config::parse(&format!("{header}{} = {value}\n", key.get(keys)));
    }
}
