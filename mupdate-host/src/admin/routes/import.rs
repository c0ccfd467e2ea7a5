//! `POST /v1/import`: a list of mailboxes is taken over, in one go or not at all.

use std::{
    collections::HashSet,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, BufReader, ErrorKind, Seek},
    sync::{Mutex, TryLockError},
};

use mupdate_core::directory::Record;
use mupdate_proto::{Location, MailboxName};
use tracing::error;

use super::{
    Answer, Call,
    reservations::operate,
    spool::{LEFT, nameless},
};
use crate::{
    admin::{api::Imported, http::Refused},
    dump::{Form, Row, read},
    store::{Entries, Store},
    writer::Operation,
};

/// What it can be asked for.
pub(super) const PARAMETERS: &[&str] = &["replace", "dry_run"];

/// The list on the disk.
const FILE: &str = "import.part";

/// Rows that are wrong and told of, at most.
const TOLD: usize = 20;

/// Locations that are looked for among those that were there before.
const LOCATIONS: usize = 10_000;

/// Names that are looked at in one read transaction.
const PAGE: usize = 512;

/// One list at a time: what it changes is held in memory until it is done.
static IMPORTING: Mutex<()> = Mutex::new(());

/// What is to become of names.
type Changes = Vec<(MailboxName, Option<Record>)>;

/// Nothing is begun before the whole list has come and is right; it is refused (409) if one of the names that it changes
/// has changed meanwhile.
pub(super) fn import(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let (replace, dry_run) = (call.request.query.flag("replace")?, call.request.query.flag("dry_run")?);
    let _importing = match IMPORTING.try_lock() {
        Ok(importing) => importing,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(Refused::new(503, "another list is being imported; try again when it is done"));
        }
    };
    let file = spool(call)?;
    let store = &call.service().store;
    // What is found below is so at this revision, or has changed since.
    let planned_at = store.revision()?;
    let mut plan = Plan::new(store);
    plan.read(file)?;
    if replace {
        plan.remove_others()?;
    }
    let Plan { changes: records, mut imported, .. } = plan;
    if !dry_run {
        imported.done = true;
        if !records.is_empty() {
            operate(call, Operation::Import { planned_at, records })?;
        }
    }
    Ok(Answer::json(&imported))
}

/// The body, in a file.
fn spool(call: &mut Call<'_>) -> Result<File, Refused> {
    let length = call.request.length;
    if let Some(free) = call.service().store.disk_free()
        && free < length.saturating_add(LEFT)
    {
        let text =
            format!("the list needs {length} octets on the disk of the data directory, and {free} are free");
        return Err(Refused::new(507, text));
    }
    let unwritable = |error: io::Error| {
        error!(%error, "no list can be imported");
        Refused::new(500, format!("the list cannot be written to the disk: {error}"))
    };
    let mut file = nameless(&call.admin.data_dir, FILE).map_err(unwritable)?;
    io::copy(&mut call.body, &mut file).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => Refused::new(408, "the list did not come"),
        ErrorKind::UnexpectedEof => Refused::bad("the list ends too early"),
        _ => unwritable(error),
    })?;
    file.rewind().map_err(unwritable)?;
    Ok(file)
}

/// What a list would change.
struct Plan<'s> {
    store: &'s Store,
    /// The names of the list, as fingerprints: two share one as good as never.
    names: HashSet<u128>,
    keys: [RandomState; 2],
    /// Locations are few, and each is kept once.
    locations: HashSet<Location>,
    changes: Changes,
    imported: Imported,
    /// Some of the rows that are wrong, and how many are.
    faults: (Vec<String>, usize),
}

impl<'s> Plan<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            store,
            names: HashSet::new(),
            keys: [RandomState::new(), RandomState::new()],
            locations: HashSet::new(),
            changes: Changes::new(),
            imported: Imported::default(),
            faults: (Vec::new(), 0),
        }
    }

    /// Look at every row.
    fn read(&mut self, file: File) -> Result<(), Refused> {
        let mut rows = 0;
        let done = read(Form::JsonLines, BufReader::with_capacity(64 << 10, file), None, &mut |at, row| {
            rows += 1;
            match row {
                Ok(row) => self.row(at, row).map_err(io::Error::from),
                Err(fault) => {
                    self.fault(fault.to_string());
                    Ok(())
                }
            }
        });
        done.map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Refused::new(422, format!("the list: {error}")),
            _ => Refused::new(500, format!("the list cannot be read: {error}")),
        })?;
        let (told, all) = &self.faults;
        if *all > 0 {
            let more =
                if told.len() < *all { format!("; and {} more", all - told.len()) } else { String::new() };
            let text =
                format!("nothing was changed, {all} of {rows} rows are wrong: {}{more}", told.join("; "));
            return Err(Refused::new(422, text));
        }
        if rows == 0 {
            return Err(Refused::new(422, "nothing was changed, the list is empty"));
        }
        Ok(())
    }

    fn fault(&mut self, text: String) {
        let (told, all) = &mut self.faults;
        *all += 1;
        if told.len() < TOLD {
            told.push(text);
        }
    }

    fn row(&mut self, at: u64, Row { mailbox, record }: Row) -> Result<(), crate::store::StoreError> {
        let (length, limit) = (mailbox.as_bytes().len(), self.store.name_limit());
        if length > limit {
            self.fault(format!("line {at}: a name of {length} octets is too long, the limit is {limit}"));
            return Ok(());
        }
        if !self.names.insert(fingerprint(&self.keys, mailbox.as_bytes())) {
            self.fault(format!("line {at}: {mailbox} is there twice"));
            return Ok(());
        }
        let counter = match self.store.entry(&mailbox)? {
            Some(entry) if entry.is(&record) => {
                self.imported.same += 1;
                return Ok(());
            }
            Some(_) => &mut self.imported.changed,
            None => &mut self.imported.added,
        };
        *counter += 1;
        let location = self.shared(record.location);
        self.changes.push((mailbox, Some(Record { location, ..record })));
        Ok(())
    }

    fn shared(&mut self, location: Location) -> Location {
        if let Some(known) = self.locations.get(&location) {
            return known.clone();
        }
        if self.locations.len() < LOCATIONS {
            self.locations.insert(location.clone());
        }
        location
    }

    /// What the list does not have is to go.
    fn remove_others(&mut self) -> Result<(), Refused> {
        let mut entries = Entries::new(None, None);
        while !entries.is_over() {
            let (names, keys) = (&self.names, &self.keys);
            let page = self
                .store
                .next_entries(&mut entries, PAGE, |name, _| !names.contains(&fingerprint(keys, name)))?;
            for entry in page {
                let mailbox = MailboxName::new(entry.name)
                    .map_err(|error| Refused::new(500, format!("the directory has a wrong name: {error}")))?;
                self.imported.removed += 1;
                self.changes.push((mailbox, None));
            }
        }
        Ok(())
    }
}

fn fingerprint(keys: &[RandomState; 2], name: &[u8]) -> u128 {
    let [high, low] = keys.each_ref().map(|key| u128::from(key.hash_one(name)));
    high << 64 | low
}
