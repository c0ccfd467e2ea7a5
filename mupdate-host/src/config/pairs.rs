//! `[pairs]`: who speaks for which server name, and how soon a replica should.

use std::collections::BTreeSet;
use std::fmt;

use mupdate_proto::ServerName;
use toml::de::DeValue;

use super::read::{list, seconds};
use crate::pairs::PairSettings;

/// The one key that is no server's name.
const ECHO: &str = "echo_seconds";

const ALLOWED: &str = "allowed: a list of users and addresses";

/// Reads one key of the table.
pub(super) fn read(pairs: &mut PairSettings, key: &str, value: &DeValue<'_>) -> Result<(), String> {
    if key == ECHO {
        pairs.echo = seconds(1..=86_400)(value)?;
        return Ok(());
    }
    let server = ServerName::new(key.to_owned())
        .map_err(|_| "allowed as a key: echo_seconds, or a server's name, without `!` and partition")?;
    let members: BTreeSet<String> = list(value)?.into_iter().map(|Member(name)| name).collect();
    if members.is_empty() {
        return Err(ALLOWED.into());
    }
    pairs.members.insert(server, members);
    Ok(())
}

/// A user, or an address.
struct Member(String);

impl std::str::FromStr for Member {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.is_empty() { Err(ALLOWED.into()) } else { Ok(Self(name.to_owned())) }
    }
}

/// Writes the table, so that [`read`] reads the same.
pub(super) fn print(pairs: &PairSettings, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quoted = |text: &dyn fmt::Display| toml::Value::String(text.to_string()).to_string();
    writeln!(f, "\n[pairs]\n{ECHO} = {}", pairs.echo.as_secs())?;
    for (server, members) in &pairs.members {
        let members: Vec<_> = members.iter().map(|member| quoted(member)).collect();
        writeln!(f, "{} = [{}]", quoted(server), members.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Config;

    #[test]
    fn pairs_are_read_and_printed() {
        let text = "[pairs]\necho_seconds = 5\n\"backenda\" = [\"be1\", \"192.0.2.2\"]\nbe9 = \"murder\"\n";
        let config = Config::parse(text).expect("right");
        assert_eq!(config.pairs.echo, Duration::from_secs(5));
        let members: Vec<Vec<&str>> =
            config.pairs.members.values().map(|names| names.iter().map(String::as_str).collect()).collect();
        assert_eq!(members, [vec!["192.0.2.2", "be1"], vec!["murder"]]);
        assert_eq!(Config::parse(&config.to_string()).as_ref(), Ok(&config), "{config}");
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for wrong in ["be1 = []", "be1 = 5", "be1 = [\"\"]", "\"be1!p\" = [\"a\"]", "echo_seconds = 0"] {
            let problems = Config::parse(&format!("[pairs]\n{wrong}\n")).expect_err(wrong);
            assert!(problems.len() == 1 && problems[0].line == 2, "{problems:?}");
        }
    }
}
