//! The program that changes a store under the shim, and remarks in the shim's journal what it tells whom.

use std::{error::Error, fs::File, path::Path, time::Duration};

use fastrand::Rng;
use mupdate_host::store::{CommitError, Store};
use rustix::io::Errno;

use super::{
    changes::{Batch, Changes, Directory, options},
    journal::{Remark, remark},
};
use crate::shim::{Call, Shim};

/// The longest time without a change after which pages have to be settled.
const QUIET: Duration = Duration::from_secs(3);

/// Opens the store of a data directory and tries so many commits, those of [`Changes::new`] with this seed; a few of them
/// find no room on the disk. Then it closes the store.
///
/// # Errors
/// The store cannot be opened, or does not take what it has to take.
///
/// # Panics
/// There is no shim under this program.
pub fn write(dir: &Path, seed: u64, attempts: u64, quiet: bool) -> Result<(), Box<dyn Error>> {
    let (shim, journal) = Shim::under_us().expect("the program runs under the shim");
    let journal = journal.expect("the shim keeps a journal");
    let store = Store::open(dir, options())?;
    let mut directory = Directory::read(&store)?;
    remark(&journal, Remark::Opened(directory.revision));
    let mut changes = Changes::new(seed);
    // Not the same numbers as those that the changes are drawn from.
    let mut rng = Rng::with_seed(!seed);
    for attempt in 0..attempts {
        let batch = changes.next(&directory);
        if rng.u8(..100) < 5 {
            shim.fail(Call::Write, rng.i64(..4), 1, Errno::NOSPC);
        }
        let made = attempt_one(&store, &batch, &journal)?;
        shim.mend();
        if made {
            directory = directory.after(&batch);
        }
        if quiet && attempt == attempts / 2 {
            shim.await_settling(QUIET);
        }
    }
    Ok(())
}

fn attempt_one(store: &Store, batch: &Batch, journal: &File) -> Result<bool, CommitError> {
    remark(journal, Remark::Began(batch.attempt));
    let made = match batch.commit(store) {
        Ok(()) => true,
        Err(CommitError::Obstacle(_)) => false,
        Err(error) => return Err(error),
    };
    remark(journal, if made { Remark::Made(batch.attempt) } else { Remark::Refused(batch.attempt) });
    Ok(made)
}
