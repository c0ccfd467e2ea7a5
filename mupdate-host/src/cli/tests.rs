use super::*;
use crate::logging::Form;

fn parsed(args: &[&str]) -> Result<Option<Cli>, Fatal> {
    parse("mupdated", std::iter::once("mupdated").chain(args.iter().copied()).map(OsString::from))
}

fn cli(args: &[&str]) -> Cli {
    parsed(args).unwrap().unwrap()
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn serving_takes_everything_over_the_file() {
    let cli = cli(&[
        "--config",
        "c",
        "--data-dir",
        "d",
        "--listen",
        "127.0.0.1:1",
        "--listen",
        "/s",
        "--server-name",
        "n",
        "--log",
        "debug,json",
    ]);
    assert_eq!(cli.listen.len(), 2);
    assert_eq!((cli.place.config, cli.place.data_dir), (Some("c".into()), Some("d".into())));
    assert_eq!(cli.server_name.as_deref(), Some("n"));
    assert!(cli.log.is_some_and(|log| log.form == Form::Json) && cli.command.is_none());
}

#[test]
fn the_place_can_stand_before_or_behind_a_command() {
    for args in [["user", "add", "x", "--data-dir", "d"], ["--data-dir", "d", "user", "add", "x"]] {
        let cli = cli(&args);
        assert_eq!(cli.place.data_dir, Some("d".into()));
        assert!(matches!(cli.command, Some(Command::User(UserCommand::Add { name, .. })) if name == "x"));
    }
    let cli = cli(&["check-config", "--config", "f"]);
    assert_eq!(cli.place.config, Some("f".into()));
}

#[test]
fn a_user_is_given_keys_for_sha256_unless_told_otherwise() {
    let added = |args: &[&str]| match cli(args).command {
        Some(Command::User(UserCommand::Add { scram, iterations, no_password, .. })) => {
            (scram, iterations, no_password)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(added(&["user", "add", "x"]), (vec![Hash::Sha256], ITERATIONS, false));
    let told = added(&["user", "add", "x", "--scram", "sha1,sha512", "--iterations", "5000"]);
    assert_eq!(told, (vec![Hash::Sha1, Hash::Sha512], 5000, false));
    assert!(added(&["user", "add", "x", "--no-password"]).2);
}

#[test]
fn a_wrong_command_line_is_one_line_with_advice() {
    let table: &[(&[&str], &str)] = &[
        (
            &["--lisen", "x"],
            "unexpected argument '--lisen' found; a similar argument exists: '--listen'; see `mupdated --help`",
        ),
        (&["usr"], "unrecognized subcommand 'usr'"),
        (&["user"], "`user` needs one of: add NAME, import, list, remove NAME; see"),
        (&["fuse"], "`fuse` needs one of: list, release NAME; see"),
        (
            &["fuse", "release"],
            "the following required arguments were not provided: <NAME>; see `mupdated --help`",
        ),
        (
            &["user", "add"],
            "the following required arguments were not provided: <NAME>; see `mupdated --help`",
        ),
        (
            &["--listen", "localhost:1"],
            "invalid value 'localhost:1' for '--listen <ADDR:PORT|PATH>': allowed: \"ADDRESS:PORT\"",
        ),
        (
            &["user", "add", "x", "--scram", "md5"],
            "invalid value 'md5' for '--scram <HASH,...>': allowed: sha1",
        ),
        (
            &["user", "add", "x", "--iterations", "9"],
            "invalid value '9' for '--iterations <N>': 9 is not in 4096",
        ),
        (
            &["user", "add", "x", "--no-password", "--scram", "sha1"],
            "the argument '--no-password' cannot be used",
        ),
        (&["--log", "loud"], "invalid value 'loud' for '--log <LEVEL|FORM>': allowed: a level"),
        (&["--server-name", "a!b"], "invalid value 'a!b' for '--server-name <NAME>': allowed: a host name"),
        (&["--config"], "a value is required for '--config <FILE>' but none was supplied"),
    ];
    for (args, start) in table {
        let fatal = parsed(args).unwrap_err();
        assert_eq!(fatal.code, Code::Usage, "{args:?}");
        assert!(fatal.message.starts_with(start), "{args:?}: {fatal}");
        assert!(fatal.message.ends_with("--help`"), "{args:?}: {fatal}");
    }
}

#[test]
fn serving_gets_the_configuration_and_can_read_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.toml");
    std::fs::write(&file, "software = 'one'\nserver_name = 'file'").unwrap();
    let source = Source {
        file: Some(file.clone()),
        overrides: Overrides { server_name: Some("cli".into()), ..Overrides::default() },
    };
    let config = source.load().unwrap();
    assert_eq!((config.server_name.as_str(), config.software.as_str()), ("cli", "one"));
    std::fs::write(&file, "software = 'two'\nserver_name = 'other'").unwrap();
    assert_eq!(source.load().unwrap().software, "two");
    std::fs::write(&file, "softwear = 'two'").unwrap();
    assert!(source.load().is_err());
}

#[test]
fn check_config_shows_what_is_in_force_or_all_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let overrides = Overrides { data_dir: Some(dir.path().to_owned()), ..Overrides::default() };
        let (source, mut out) = (Source { file: Some(file.clone()), overrides }, Vec::new());
        let outcome = check::run(&source, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    };
    let (outcome, shown) = check("software = 'x'\nlisten = ['0.0.0.0:1']");
    assert_eq!(outcome, Ok(()));
    assert!(shown.contains("\nsoftware = \"x\"\n") && shown.contains("# No users yet"), "{shown}");
    assert!(
        shown.contains("# Warning: from other hosts, only who speaks SCRAM can log in through 0.0.0.0:1"),
        "{shown}"
    );
    assert!(Config::parse(&shown).is_ok());
    let (outcome, shown) = check("sofware = 'x'\n[limits]\nline = 1");
    assert_eq!(outcome.map_err(|fatal| fatal.code), Err(Code::Config));
    assert_eq!(shown.lines().count(), 2);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    std::fs::write(dir.path().join("users"), "broken").unwrap();
    assert_eq!(check("").0.map_err(|fatal| fatal.code), Err(Code::Data));
    std::fs::write(dir.path().join("users"), "").unwrap();
    assert!(check("").1.contains("nobody can log in"));
}
