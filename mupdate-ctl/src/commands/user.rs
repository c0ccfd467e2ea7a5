//! `user`: the users file of a data directory on this host.

use mupdate_host::{
    cli::{self, UserCommand},
    config::Config,
    users::Users,
};

use super::Session;
use crate::fail::Fail;

pub(super) fn run(command: UserCommand, session: &mut Session<'_>) -> Result<(), Fail> {
    let data_dir = session.connect.global.data_dir();
    if session.out.json && matches!(command, UserCommand::List) {
        let users = Users::load(&data_dir).map_err(|error| Fail::Host(error.into()))?;
        return session.out.document(&users.names().collect::<Vec<_>>());
    }
    let config = Config { data_dir, ..Config::default() };
    cli::user("mupdated", command, &config).map_err(Fail::Host)
}
