//! `POST /v1/backup`: a copy of the database, while the daemon goes on.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    sync::{Mutex, TryLockError},
};

use tracing::{error, info};

use super::{
    Answer, Call, Out,
    spool::{LEFT, nameless},
};
use crate::admin::http::Refused;

/// The copy on its way.
const FILE: &str = "backup.part";

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;

/// One copy is made at a time: each takes as much room on the disk as the database, and keeps its pages from being used
/// again for as long as it takes.
static MAKING: Mutex<()> = Mutex::new(());

/// A `data.mdb` as of one moment, without the gaps that changes have left. The writer is not held up.
pub(super) fn backup(call: &mut Call<'_>) -> Result<Answer, Refused> {
    // What is sent along is of no interest, but the connection goes on behind it.
    call.body.whole()?;
    let _making = match MAKING.try_lock() {
        Ok(making) => making,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(Refused::new(503, "another copy is being made; try again when it is there"));
        }
    };
    let store = &call.service().store;
    let (used, _) = store.map_fill()?;
    if let Some(free) = store.disk_free()
        && free < used.saturating_add(LEFT)
    {
        let text =
            format!("the copy needs {used} octets on the disk of the data directory, and {free} are free");
        return Err(Refused::new(507, text));
    }
    let made = nameless(&call.admin.data_dir, FILE).and_then(|mut file| {
        store.copy_into(&mut file)?;
        let length = file.metadata()?.len();
        file.rewind()?;
        Ok((file, length))
    });
    match made {
        Ok((file, length)) => {
            info!(who = %call.who, octets = length, "a copy of the database was made");
            Ok(Answer::stream("application/octet-stream", Some(length), move |out| send(file, out)))
        }
        Err(error) => {
            error!(%error, "no copy of the database could be made");
            Err(Refused::new(500, format!("no copy could be made: {error}")))
        }
    }
}

fn send(mut file: File, out: &mut Out<'_>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            length => out.write_all(&piece[..length])?,
        }
    }
}
