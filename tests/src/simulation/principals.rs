//! As whom everybody logs in, and what they may do then.

use std::collections::BTreeSet;

use mupdate_core::directory::{PeerRole, Roles};
use mupdate_proto::ServerName;
use serde::{Deserialize, Serialize};

use crate::player::LOGIN;

/// Who logs in as whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principals {
    /// All as one, who may do everything.
    #[default]
    Alike,
    /// Each server name has one, which both members of a pair share. Frontends may only read.
    ByServer,
    /// Each member of a pair has its own, and both may speak for the same server name.
    ByMember,
}

const FRONTEND: &str = "frontend";

impl Principals {
    /// As whom a frontend logs in.
    pub fn frontend(self) -> String {
        match self {
            Self::Alike => LOGIN.0,
            Self::ByServer | Self::ByMember => FRONTEND,
        }
        .to_owned()
    }

    /// As whom a member of a group logs in.
    pub fn member(self, server: &str, member: usize) -> String {
        match self {
            Self::Alike => LOGIN.0.to_owned(),
            Self::ByServer => server.to_owned(),
            Self::ByMember => format!("{server}-{member}"),
        }
    }

    /// Are there roles, so that nobody can take from others what they use?
    pub fn fenced(self) -> bool {
        self != Self::Alike
    }

    /// What they may do, if these are the server names.
    pub fn roles<'a>(self, servers: impl Iterator<Item = &'a str>) -> Roles {
        let mut roles = Roles::default();
        if self.fenced() {
            roles.give(FRONTEND, PeerRole::Frontend);
            for server in servers {
                let name = ServerName::new(server.to_owned()).expect("a legal name");
                for member in 0..2 {
                    roles
                        .give(self.member(server, member), PeerRole::Backend(BTreeSet::from([name.clone()])));
                }
            }
        }
        roles
    }
}
