//! The mass-change fuse of the daemons: the core counts, files remember what has blown.
//!
//! A fuse that has blown is on the disk before anybody is told so, and stays blown over restarts until its file is
//! gone. Whether it is gone is looked at on SIGHUP, and once a second at most while that principal changes anything.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mupdate_core::directory::{FuseLimits, Fuses, Held, Mass, Victim};
use tracing::{error, info, warn};

pub use file::{Blown, list, remove};

use crate::sync::{Mutex, lock};

/// How often it is looked whether a fuse has been released.
const LOOK: Duration = Duration::from_secs(1);

/// The fuses of all principals.
#[derive(Debug)]
pub struct FuseBox {
    /// Without one, nothing is remembered.
    data_dir: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    fuses: Fuses,
    /// Those that have blown.
    blown: BTreeMap<String, Known>,
}

/// What is known of the file of a fuse that has blown.
#[derive(Debug)]
struct Known {
    looked: Instant,
    /// It could be written.
    written: bool,
}

impl Default for FuseBox {
    /// Nothing is held, and nothing is remembered.
    fn default() -> Self {
        let state = State { fuses: Fuses::new(FuseLimits::OFF), blown: BTreeMap::new() };
        Self { data_dir: None, state: Mutex::new(state) }
    }
}

impl FuseBox {
    /// Fuses with these limits, as they were left in this data directory.
    ///
    /// # Errors
    /// The files of fuses cannot be read.
    pub fn open(data_dir: &Path, limits: FuseLimits) -> io::Result<Self> {
        let state = State { fuses: Fuses::new(limits), blown: BTreeMap::new() };
        let fuses = Self { data_dir: Some(data_dir.to_owned()), state: Mutex::new(state) };
        fuses.reread()?;
        for (principal, kinds) in lock(&fuses.state).fuses.blown() {
            warn!(%principal, kinds = words(kinds), "a fuse has blown before, and changes are held; see `fuse list`");
        }
        Ok(fuses)
    }

    /// Other limits from now on.
    pub fn set_limits(&self, limits: FuseLimits) {
        lock(&self.state).fuses.set_limits(limits);
    }

    /// Look which fuses have a file.
    ///
    /// # Errors
    /// The files cannot be read; everything is as it was.
    pub fn reread(&self) -> io::Result<()> {
        let Some(data_dir) = &self.data_dir else { return Ok(()) };
        let mut state = lock(&self.state);
        let found = list(data_dir)?;
        let state = &mut *state;
        let gone = |principal: &String| !found.iter().any(|blown| blown.principal == *principal);
        let released: Vec<_> = state
            .blown
            .iter()
            .filter(|(principal, known)| known.written && gone(principal))
            .map(|(principal, _)| principal.clone())
            .collect();
        released.iter().for_each(|principal| state.release(principal));
        for Blown { principal, kinds, .. } in &found {
            for kind in kinds {
                state.fuses.blow(principal, *kind);
            }
            let known = Known { looked: Instant::now(), written: true };
            state.blown.insert(principal.clone(), known);
        }
        Ok(())
    }

    /// Whose fuses have blown, and which.
    pub fn blown(&self) -> Vec<(String, Vec<Mass>)> {
        let state = lock(&self.state);
        let owned =
            |(user, kinds): (&str, &BTreeSet<Mass>)| (user.to_owned(), kinds.iter().copied().collect());
        state.fuses.blown().map(owned).collect()
    }

    /// Release a principal's fuse at once, and for good; says whether it had blown.
    ///
    /// # Errors
    /// Its file cannot be removed, and it holds as before.
    pub fn release_now(&self, principal: &str) -> io::Result<bool> {
        let mut state = lock(&self.state);
        let file = match &self.data_dir {
            Some(data_dir) => remove(data_dir, principal)?,
            None => false,
        };
        let known = state.blown.contains_key(principal);
        if known {
            state.release(principal);
        }
        Ok(file || known)
    }

    /// Whether it matters whose names are changed.
    pub fn have_shares(&self) -> bool {
        lock(&self.state).fuses.limits().have_shares()
    }

    /// What is held of a principal's next change, which is of a name of `victim`.
    pub fn held(&self, principal: &str, victim: Option<Victim<'_>>, now: Instant) -> Held {
        let mut state = lock(&self.state);
        state.look(self.data_dir.as_deref(), principal, now);
        state.fuses.held(principal, victim, now)
    }

    /// A change of a name that `server` had is part of the open transaction.
    pub fn staged(&self, principal: &str, mass: Mass, server: &[u8]) {
        lock(&self.state).fuses.staged(principal, mass, server);
    }

    /// The open transaction is durable.
    pub fn committed(&self, now: Instant) {
        lock(&self.state).fuses.committed(now);
    }

    /// The open transaction has changed nothing.
    pub fn aborted(&self) {
        lock(&self.state).fuses.aborted();
    }

    /// A change was held. True: the fuse has just blown, and that is on the disk, if the disk takes it.
    pub fn blow(&self, principal: &str, mass: Mass) -> bool {
        let mut state = lock(&self.state);
        if !state.fuses.blow(principal, mass) {
            return false;
        }
        let limits = state.fuses.limits();
        error!(
            %principal, limit = limits.of(mass), percent = limits.share_of(mass), seconds = limits.within.as_secs(),
            "A FUSE HAS BLOWN: too many {mass} by one principal; further ones are held until `fuse release` is given"
        );
        let known = Known { looked: Instant::now(), written: true };
        state.blown.insert(principal.to_owned(), known);
        state.write(self.data_dir.as_deref(), principal);
        true
    }
}

impl State {
    /// Now and then, look whether a fuse has been released; or write the file that could not be written.
    fn look(&mut self, data_dir: Option<&Path>, principal: &str, now: Instant) {
        let Some(data_dir) = data_dir else { return };
        let Some(known) = self.blown.get_mut(principal) else { return };
        if now.saturating_duration_since(known.looked) < LOOK {
            return;
        }
        known.looked = now;
        if !known.written {
            self.write(Some(data_dir), principal);
        } else if !file::exists(data_dir, principal) {
            self.release(principal);
        }
    }

    fn write(&mut self, data_dir: Option<&Path>, principal: &str) {
        let (Some(data_dir), Some(known)) = (data_dir, self.blown.get_mut(principal)) else { return };
        let kinds = self.fuses.blown().find(|(name, _)| *name == principal).map(|(_, kinds)| kinds.clone());
        let written = file::write(data_dir, principal, &kinds.unwrap_or_default());
        known.written = written.is_ok();
        if let Err(error) = written {
            error!(%principal, %error, "that a fuse has blown cannot be written, and is forgotten at a restart");
        }
    }

    fn release(&mut self, principal: &str) {
        self.blown.remove(principal);
        self.fuses.release(principal);
        info!(%principal, "the fuse has been released");
    }
}

/// Which kinds, for people.
pub fn words(kinds: &BTreeSet<Mass>) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FuseLimits = FuseLimits { takeovers: 2, ..FuseLimits::OFF };

    fn holds(fuses: &FuseBox, now: Instant) -> bool {
        fuses.held("be1", None, now).holds(Mass::Takeover)
    }

    #[test]
    fn what_has_blown_outlives_a_restart_and_is_released_by_its_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (fuses, now) = (FuseBox::open(dir.path(), LIMITS).expect("opens"), Instant::now());
        for _ in 0..2 {
            assert!(!holds(&fuses, now));
            fuses.staged("be1", Mass::Takeover, b"be2");
            fuses.committed(now);
        }
        assert!(holds(&fuses, now));
        assert_eq!(list(dir.path()).expect("readable"), [], "nothing was held yet");
        assert!(fuses.blow("be1", Mass::Takeover));
        assert!(!fuses.blow("be1", Mass::Takeover), "it is told once");
        assert_eq!(fuses.blown(), [("be1".to_owned(), vec![Mass::Takeover])]);
        assert_eq!(list(dir.path()).expect("readable")[0].principal, "be1");

        let again = FuseBox::open(dir.path(), LIMITS).expect("opens");
        assert!(holds(&again, now));
        assert!(remove(dir.path(), "be1").expect("removed"));
        let later = Instant::now() + LOOK;
        assert!(!holds(&again, later), "it looks");
        assert!(!holds(&fuses, later) && !holds(&fuses, later));
        assert!(fuses.blow("be1", Mass::Takeover), "the next time is news again");
        assert!(remove(dir.path(), "be1").expect("removed"));
        fuses.reread().expect("readable");
        assert!(!holds(&fuses, now), "it looks at once on SIGHUP");
    }

    #[test]
    fn what_cannot_be_written_holds_all_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let (fuses, now) = (FuseBox::open(&data, LIMITS).expect("opens"), Instant::now());
        assert!(fuses.blow("be1", Mass::Takeover));
        assert!(holds(&fuses, now + LOOK), "no file is no release then");
        std::fs::create_dir(&data).expect("the directory is back");
        assert!(holds(&fuses, now + 3 * LOOK));
        assert_eq!(list(&data).expect("readable").len(), 1, "it was tried again");
        fuses.reread().expect("readable");
        assert!(holds(&fuses, now));
    }

    #[test]
    fn without_a_directory_nothing_is_remembered() {
        let fuses = FuseBox::default();
        assert!(fuses.blow("be1", Mass::Takeover));
        fuses.reread().expect("nothing to read");
        fuses.set_limits(LIMITS);
        assert!(holds(&fuses, Instant::now() + LOOK));
        fuses.aborted();
    }
}
