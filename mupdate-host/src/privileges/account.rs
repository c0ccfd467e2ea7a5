//! `user` and `group`: becoming somebody who may less than root.

use std::{ffi::CString, io, panic, thread};

use nix::unistd::{
    self, Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getuid, setgroups, setresgid, setresuid,
};
use rustix::thread::{CapabilitySet, capabilities};
use tracing::info;

use crate::{
    config::Config,
    exit::{Code, Fatal},
};

/// Somebody to run as.
#[derive(Debug, Clone)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    /// All groups, the one above among them.
    groups: Vec<Gid>,
}

impl Account {
    /// Whom the configuration wants the daemon to become; `None` if it is to stay who it is.
    ///
    /// # Errors
    /// There is no such user or group, or we are neither root nor that user.
    pub fn to_become(config: &Config) -> Result<Option<Self>, Fatal> {
        let Some(user) = &config.user else { return Ok(None) };
        let account = Self::look_up(user, config.group.as_deref())?;
        match geteuid() {
            us if us.is_root() => Ok(Some(account)),
            us if us == account.uid && getuid() == us && getegid() == account.gid => Ok(None),
            us => Err(Fatal::new(
                Code::NoPerm,
                format!(
                    "only root can become {user}, and this is user {us}; start as root, or leave out `user`"
                ),
            )),
        }
    }

    fn look_up(user: &str, group: Option<&str>) -> Result<Self, Fatal> {
        let refused = |what: &str, name: &str, error: io::Error| {
            Fatal::new(Code::OsErr, format!("cannot look up the {what} {name}: {error}; try again"))
        };
        let found = User::from_name(user).map_err(|error| refused("user", user, error.into()))?;
        let missing = |what: &str, name: &str, program: &str| {
            Fatal::new(
                Code::Config,
                format!("there is no {what} {name}; make one with `{program} --system {name}`"),
            )
        };
        let found = found.ok_or_else(|| missing("user", user, "useradd"))?;
        let gid = match group {
            None => found.gid,
            Some(group) => {
                let found = Group::from_name(group).map_err(|error| refused("group", group, error.into()))?;
                found.ok_or_else(|| missing("group", group, "groupadd"))?.gid
            }
        };
        // A name without NUL: it was found.
        let c_name = CString::new(user).unwrap_or_default();
        let groups = getgrouplist(&c_name, gid).map_err(|error| refused("groups of", user, error.into()))?;
        Ok(Self { name: user.to_owned(), uid: found.uid, gid, groups })
    }

    /// The numbers of the user and the group.
    pub(super) fn owner(&self) -> (rustix::fs::Uid, rustix::fs::Gid) {
        (rustix::fs::Uid::from_raw(self.uid.as_raw()), rustix::fs::Gid::from_raw(self.gid.as_raw()))
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Become this user, in all threads, with no way back.
    ///
    /// # Errors
    /// The system refuses, or a way back is left.
    pub fn become_for_good(&self) -> Result<(), Fatal> {
        let become_it = || {
            // In this order: who has given up root can give up nothing more.
            setgroups(&self.groups)?;
            setresgid(self.gid, self.gid, self.gid)?;
            setresuid(self.uid, self.uid, self.uid)
        };
        become_it().map_err(|error| self.refused(&error))?;
        if !self.uid.is_root() {
            let back = [unistd::setuid(Uid::from_raw(0)).is_ok(), unistd::seteuid(Uid::from_raw(0)).is_ok()];
            let capable = capabilities(None).map_err(|error| self.refused(&error))?;
            let left = capable.effective | capable.permitted;
            if back.contains(&true) || geteuid() != self.uid || left != CapabilitySet::empty() {
                return Err(self.refused(&"a way back to root is left"));
            }
        }
        info!(user = self.name, uid = self.uid.as_raw(), gid = self.gid.as_raw(), "gave up root");
        Ok(())
    }

    fn refused(&self, error: &dyn std::fmt::Display) -> Fatal {
        let text = format!("cannot become {}: {error}; start as that user instead", self.name);
        Fatal::new(Code::OsErr, text)
    }

    /// What this user would see: `look` runs in a thread that becomes it, and ends.
    ///
    /// # Errors
    /// The system refuses.
    pub fn on_behalf<T: Send>(&self, look: impl FnOnce() -> T + Send) -> Result<T, Fatal> {
        let groups: Vec<_> = self.groups.iter().map(|gid| rustix::fs::Gid::from_raw(gid.as_raw())).collect();
        let (uid, gid) = self.owner();
        let become_it = move || {
            // These are system calls, and so the calling thread's affair alone.
            rustix::thread::set_thread_groups(&groups)?;
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)
        };
        let seen = thread::scope(|scope| scope.spawn(|| become_it().map(|()| look())).join());
        match seen {
            Ok(seen) => seen.map_err(|error| self.refused(&error)),
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text).expect("settings")
    }

    #[test]
    fn who_is_not_there_cannot_be_become() {
        assert!(Account::to_become(&config("")).expect("nothing to do").is_none());
        let fatal = Account::to_become(&config("user = 'no-such-user'")).expect_err("nobody");
        assert_eq!(fatal.code, Code::Config);
        assert!(fatal.message.starts_with("there is no user no-such-user; "), "{fatal}");
        let fatal =
            Account::to_become(&config("user = 'root'\ngroup = 'no-such-group'")).expect_err("nobody");
        assert!(fatal.message.starts_with("there is no group no-such-group; "), "{fatal}");
    }

    #[test]
    fn another_user_sees_what_that_user_may_see() {
        if !geteuid().is_root() {
            println!("SKIPPED: only root can look on behalf of others");
            return;
        }
        let nobody =
            Account::to_become(&config("user = 'nobody'")).expect("there is one").expect("we are root");
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("it is ours");
        let sees = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is ours");
            nobody.on_behalf(|| fs::File::open(&file).is_ok()).expect("we are root")
        };
        assert_eq!([sees(0o600), sees(0o604)], [false, true]);
        assert!(geteuid().is_root() && fs::File::open(&file).is_ok(), "we are who we were");
    }
}
