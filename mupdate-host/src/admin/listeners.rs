//! Where the admin interface is listened for.

use std::path::Path;

use socket2::Socket;
use tracing::error;

use crate::{
    config::{Config, ListenAddr},
    exit::Fatal,
    listen::{self, SocketFiles},
    manager::{Passed, Purpose},
};

/// The longest path of a Unix socket, on any system.
const LONGEST: usize = 103;

/// Sockets of the admin interface that wait for connections.
#[derive(Debug, Default)]
pub struct AdminListeners {
    /// The sockets.
    pub sockets: Vec<Socket>,
    /// What was bound, for the log.
    pub addresses: Vec<String>,
}

impl AdminListeners {
    /// Take what was passed and bind what else `admin.listen` names, once the data directory is there.
    ///
    /// A socket in the data directory, which is the default, is done without if it cannot be had: mail is to be served
    /// on a full disk, too, and what is wrong with the directory itself will be told by who opens it.
    ///
    /// # Errors
    /// Another one cannot be bound.
    pub fn bind(config: &Config, files: &mut SocketFiles, passed: &mut Passed) -> Result<Self, Fatal> {
        let mut listeners = Self::default();
        let resolved = |address| resolved(&config.data_dir, address);
        let left: Vec<_> =
            config.admin.listen.iter().filter(|address| !passed.covers(&resolved(address))).collect();
        (listeners.sockets, listeners.addresses) = passed.take(Purpose::Admin).into_iter().unzip();
        for address in left {
            let bound = match resolved(address) {
                ListenAddr::Tcp(address) => listen::bind_tcp(address),
                ListenAddr::Unix(path) => listen::bind_unix(&path, files),
            };
            match bound {
                Ok((socket, name)) => {
                    listeners.sockets.push(socket);
                    listeners.addresses.push(name);
                }
                Err(error) if is_relative(address) => {
                    error!(%error, "the admin interface cannot be had at {address} in the data directory");
                }
                Err(error) => return Err(listen::refused(address, &error, "[admin] listen")),
            }
        }
        Ok(listeners)
    }
}

fn is_relative(address: &ListenAddr) -> bool {
    matches!(address, ListenAddr::Unix(path) if path.is_relative())
}

/// Relative paths count from the data directory. One that is too long there may be short enough from here.
pub(crate) fn resolved(data_dir: &Path, address: &ListenAddr) -> ListenAddr {
    let ListenAddr::Unix(path) = address else { return address.clone() };
    let full = data_dir.join(path.strip_prefix(".").unwrap_or(path));
    let here = std::env::current_dir().ok();
    ListenAddr::Unix(match here.as_deref().and_then(|here| full.strip_prefix(here).ok()) {
        Some(short) if full.as_os_str().len() > LONGEST => short.to_owned(),
        _ => full,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path, listen: &str) -> Config {
        let text = format!("data_dir = '{}'\nadmin.listen = [{listen}]", dir.display());
        Config::parse(&text).expect("settings")
    }

    #[test]
    fn the_default_is_a_socket_in_the_data_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = SocketFiles::default();
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let bound = AdminListeners::bind(&config, &mut files, &mut Passed::default()).expect("bound");
        let path = dir.path().join("admin.sock");
        assert_eq!((bound.sockets.len(), bound.addresses), (1, vec![path.display().to_string()]));
        assert!(path.exists());
        drop(files);
        assert!(!path.exists(), "removed at the end");
    }

    #[test]
    fn only_what_is_in_the_data_directory_is_done_without() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = SocketFiles::default();
        let missing = dir.path().join("missing");
        let bound =
            AdminListeners::bind(&config(&missing, "'./admin.sock'"), &mut files, &mut Passed::default())
                .expect("done without");
        assert!(bound.sockets.is_empty());
        let there = format!("'{}/admin.sock'", missing.display());
        let fatal = AdminListeners::bind(&config(dir.path(), &there), &mut files, &mut Passed::default())
            .expect_err("not done without");
        assert!(fatal.message.contains("[admin] listen"), "{fatal}");
        let none = AdminListeners::bind(&config(dir.path(), ""), &mut files, &mut Passed::default())
            .expect("nothing to do");
        assert!(none.sockets.is_empty());
    }
}
