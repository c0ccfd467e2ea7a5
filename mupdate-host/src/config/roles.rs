//! `[roles]`: which user may do what.

use std::collections::BTreeSet;
use std::fmt;

use mupdate_core::directory::{PeerRole, Roles};
use mupdate_proto::ServerName;
use toml::de::DeValue;

use super::Config;
use super::read::{list, text};
use crate::users::{Users, user_name};

/// The key of whoever is not listed.
const OTHERS: &str = "*";

const ALLOWED: &str =
    "allowed: \"admin\", \"frontend\", \"none\", or { role = \"backend\", servers = [\"be1.example.org\"] }";

/// Reads one key of the table into `roles`.
pub(super) fn read(roles: &mut Roles, user: &str, value: &DeValue<'_>) -> Result<(), String> {
    let role = role(value)?;
    if user == OTHERS {
        roles.give_others(role);
    } else {
        let user =
            user_name(user).map_err(|why| format!("allowed as a key: a user's name or \"*\" ({why})"))?;
        roles.give(user, role);
    }
    Ok(())
}

fn role(value: &DeValue<'_>) -> Result<PeerRole, String> {
    let DeValue::Table(table) = value else {
        return match text(value).map_err(|_| ALLOWED)?.as_str() {
            "admin" => Ok(PeerRole::Admin),
            "frontend" => Ok(PeerRole::Frontend),
            "none" => Ok(PeerRole::None),
            _ => Err(ALLOWED.into()),
        };
    };
    let (mut role, mut servers) = (None, None);
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "role" => role = Some(text(value.get_ref()).map_err(|_| ALLOWED)?),
            "servers" => servers = Some(list::<Server>(value.get_ref())?),
            _ => return Err(ALLOWED.into()),
        }
    }
    match (role.as_deref(), servers) {
        (Some("admin"), None) => Ok(PeerRole::Admin),
        (Some("frontend"), None) => Ok(PeerRole::Frontend),
        (Some("none"), None) => Ok(PeerRole::None),
        (Some("backend"), Some(servers)) => {
            Ok(PeerRole::Backend(servers.into_iter().map(|Server(name)| name).collect::<BTreeSet<_>>()))
        }
        _ => Err(ALLOWED.into()),
    }
}

struct Server(ServerName);

impl std::str::FromStr for Server {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let name = ServerName::new(name.to_owned())
            .map_err(|_| "allowed as a server: its name, without `!` and partition")?;
        Ok(Self(name))
    }
}

/// Writes the table, so that [`read`] reads the same.
pub(super) fn print(roles: &Roles, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quoted = |text: &dyn fmt::Display| toml::Value::String(text.to_string());
    writeln!(f, "\n[roles]")?;
    for (user, role) in roles.named().chain(roles.others().map(|role| (OTHERS, role))) {
        match role {
            PeerRole::Backend(servers) => {
                let servers: Vec<_> = servers.iter().map(|server| quoted(server).to_string()).collect();
                let servers = servers.join(", ");
                writeln!(f, "{} = {{ role = \"backend\", servers = [{servers}] }}", quoted(&user))?;
            }
            role => writeln!(f, "{} = {}", quoted(&user), quoted(role))?,
        }
    }
    Ok(())
}

/// What is allowed but probably not meant, a sentence each.
pub fn remarks(config: &Config, users: &Users) -> Vec<String> {
    let (roles, elsewhere) = (&config.roles, &config.saslauthd);
    let mut remarks = Vec::new();
    for (user, role) in roles.named() {
        if users.get(user).is_none() && (elsewhere.socket.is_none() || !elsewhere.users.contains(user)) {
            remarks.push(format!("roles.{user}: there is no user of this name"));
        }
        if *role == PeerRole::Backend(BTreeSet::new()) {
            remarks.push(format!("roles.{user}: a backend without servers can change nothing"));
        }
    }
    let idle = |user: &&str| {
        roles.speaker(user).role == &PeerRole::None && roles.named().all(|(named, _)| named != *user)
    };
    for user in users.names().filter(idle) {
        remarks.push(format!("user {user} has no role in [roles], and may do nothing"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(servers: &[&'static str]) -> PeerRole {
        PeerRole::Backend(servers.iter().map(|&name| ServerName::new(name).expect("legal")).collect())
    }

    #[test]
    fn each_way_of_saying_a_role() {
        let text = "[roles]\nlead = \"admin\"\nfe1 = \"frontend\"\nguest = \"none\"\n\"*\" = \"frontend\"\n\
                    be1 = { role = \"backend\", servers = [\"be1.example.org\", \"old\"] }\n\
                    pair = { role = \"backend\", servers = \"backenda\" }\n[roles.fe2]\nrole = \"frontend\"\n";
        let config = Config::parse(text).expect("right");
        let roles = &config.roles;
        for (user, role) in [
            ("lead", PeerRole::Admin),
            ("fe1", PeerRole::Frontend),
            ("guest", PeerRole::None),
            ("be1", backend(&["be1.example.org", "old"])),
            ("pair", backend(&["backenda"])),
            ("fe2", PeerRole::Frontend),
            ("anybody", PeerRole::Frontend),
        ] {
            assert_eq!(roles.speaker(user).role, &role, "{user}");
        }
        assert_eq!(Config::parse(&config.to_string()).as_ref(), Ok(&config), "{config}");
        assert!(Config::default().roles.are_open());
        assert!(Config::parse("[roles]").expect("right").roles.are_open());
    }

    #[test]
    fn what_is_no_role_is_refused_with_its_line() {
        for wrong in [
            "be1 = \"backend\"",
            "be1 = 1",
            "be1 = [\"be1\"]",
            "be1 = \"Admin\"",
            "be1 = { role = \"backend\" }",
            "be1 = { servers = [\"be1\"] }",
            "be1 = { role = \"frontend\", servers = [\"be1\"] }",
            "be1 = { role = \"backend\", servers = [\"be1!p\"] }",
            "be1 = { role = \"backend\", servers = [\"\"] }",
            "be1 = { role = \"backend\", servers = [\"be1\"], more = 1 }",
            "\"a b\" = \"admin\"",
            "\"\" = \"admin\"",
        ] {
            let problems = Config::parse(&format!("[roles]\n{wrong}\n")).expect_err(wrong);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].line, 2);
            assert!(problems[0].text.contains("allowed"), "{problems:?}");
        }
    }

    #[test]
    fn names_are_compared_as_users_are() {
        // A soft hyphen maps to nothing (RFC 4013).
        let config = Config::parse("[roles]\n\"b\\u00ADe1\" = \"admin\"\n").expect("right");
        assert_eq!(config.roles.speaker("be1").role, &PeerRole::Admin);
    }

    #[test]
    fn what_is_probably_not_meant_is_told() {
        let record = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let users = Users::parse(&format!("be1:{record}\nmurder:{record}\n")).expect("right");
        let told = |text: &str| remarks(&Config::parse(text).expect("right"), &users);
        assert_eq!(told(""), Vec::<String>::new());
        assert_eq!(
            told("[roles]\nbe1 = { role = \"backend\", servers = [] }\nfe1 = \"frontend\""),
            [
                "roles.be1: a backend without servers can change nothing",
                "roles.fe1: there is no user of this name",
                "user murder has no role in [roles], and may do nothing",
            ]
        );
        let asked = "auth.saslauthd = '/mux'\nauth.saslauthd_users = ['fe1']\n";
        let roles = "roles.fe1 = 'frontend'\nroles.'*' = 'none'";
        assert_eq!(told(&format!("{asked}{roles}")).len(), 2, "saslauthd knows it");
        assert_eq!(told("[roles]\nbe1 = \"none\"\n\"*\" = \"frontend\""), Vec::<String>::new());
    }
}
