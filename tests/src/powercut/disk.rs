//! A disk that may lose whatever was not synced.
//!
//! What had been written before a sync began is there once it has ended. Of everything else any part is there: each sector
//! of it or not, in whatever order it was written. A write through a descriptor that syncs each write is there when it has
//! ended, and takes nothing along. A file that is new may have no name as long as its directory was not synced, and one that
//! was put aside may have its old one.

use std::{cmp::Ordering, collections::HashMap, fs, io, path::Path};

use fastrand::Rng;

use super::journal::{Event, Place, Record};

/// The page of LMDB, and the block of a file system.
const PAGE: u64 = 4096;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// The names of the files, in the order of [`Files`].
const NAMES: [&str; 2] = ["data.mdb", "redo.log"];

/// The files of a store, as far as a power cut can do anything to them. `None`: it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files([Option<Vec<u8>>; 2]);

impl Files {
    /// What is in a data directory.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn read(dir: &Path) -> Self {
        Self(NAMES.map(|name| match fs::read(dir.join(name)) {
            Ok(octets) => Some(octets),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => panic!("{name}: {error}"),
        }))
    }

    /// A data file without a log.
    pub fn of_data(octets: &[u8]) -> Self {
        Self([Some(octets.to_vec()), None])
    }

    /// Makes a data directory have these, and no other ones of their names.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, dir: &Path) {
        for (name, octets) in NAMES.iter().zip(&self.0) {
            let path = dir.join(name);
            match octets {
                // The same file as before, if there was one: it may be known by its number.
                Some(octets) => fs::write(path, octets).expect("a folder of ours"),
                None => match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{name}: {error}"),
                    _ => {}
                },
            }
        }
    }

    /// Octets of both.
    pub fn len(&self) -> usize {
        self.0.iter().flatten().map(Vec::len).sum()
    }

    /// Is nothing there?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&mut self, file: usize, at: u64, octets: &[u8]) {
        let at = usize::try_from(at).expect("files of tests are small");
        let file = self.0[file].get_or_insert_default();
        if file.len() < at + octets.len() {
            file.resize(at + octets.len(), 0);
        }
        file[at..at + octets.len()].copy_from_slice(octets);
    }
}

/// A write that is not on the disk for certain.
#[derive(Debug)]
struct Write<'j> {
    file: usize,
    at: u64,
    octets: &'j [u8],
    thread: u32,
    /// When it ended, counted in records.
    ended: Option<usize>,
}

/// A disk, as far as a journal was followed.
#[derive(Debug)]
pub struct Disk<'j> {
    /// What is there whatever happens.
    certain: Files,
    /// Files whose names are there whatever happens.
    named: [bool; 2],
    /// A data file that was put aside and may still have its name.
    aside: Option<Vec<u8>>,
    open: Vec<Write<'j>>,
    /// The syncs that are under way, by thread: of what, since when.
    syncs: HashMap<u32, (Place, usize)>,
    records: usize,
}

/// What a power cut left.
#[derive(Debug)]
pub struct Left {
    /// The files.
    pub files: Files,
    /// Writes that were not there for certain.
    pub at_risk: usize,
    /// Sectors of them that are not there.
    pub missing: usize,
}

/// How much is left of what was not synced.
#[derive(Debug, Clone, Copy)]
enum Luck {
    /// So many sectors of a hundred, for each file.
    Odds([u8; 2]),
    /// Some pages are there, some are not, and some are torn.
    Pages,
    /// Everything in the order in which it was written, up to this write, which is torn.
    UpTo(usize),
    /// Everything but this write, which is torn.
    But(usize),
    /// Nothing but this write, which is torn.
    Only(usize),
}

impl<'j> Disk<'j> {
    /// One that has these files when the journal begins.
    pub fn new(files: Files) -> Self {
        let named = [0, 1].map(|file: usize| files.0[file].is_some());
        Self { certain: files, named, aside: None, open: Vec::new(), syncs: HashMap::new(), records: 0 }
    }

    /// The next record of the journal.
    pub fn follow(&mut self, record: &Record<'j>) {
        self.records += 1;
        let (now, thread) = (self.records, record.thread);
        match record.event {
            Event::Write { at, octets } => {
                let file = if record.place == Place::Log { 1 } else { 0 };
                self.open.push(Write { file, at, octets, thread, ended: None });
            }
            Event::Written { through } => {
                let Some(at) = self.open.iter().rposition(|write| write.thread == thread) else { return };
                self.open[at].ended = Some(now);
                if through {
                    let write = self.open.remove(at);
                    self.certain.put(write.file, write.at, write.octets);
                }
            }
            Event::Sync => drop(self.syncs.insert(thread, (record.place, now))),
            Event::Synced => {
                if let Some((place, since)) = self.syncs.remove(&thread) {
                    self.synced(place, since);
                }
            }
            // What may be in it does not matter as long as it is not whole.
            Event::Aside => {
                self.aside = self.certain.0[0].take();
                self.named[0] = false;
                self.open.retain(|write| write.file != 0);
            }
            Event::Remark(_) => {}
        }
    }

    /// What had been written before a sync began is there.
    fn synced(&mut self, place: Place, since: usize) {
        let file = match place {
            Place::Data => 0,
            Place::Log => 1,
            Place::Folder => {
                for file in 0..2 {
                    let begun =
                        |write: &Write<'_>| write.file == file && write.ended.is_some_and(|end| end < since);
                    self.named[file] |= self.certain.0[file].is_some() || self.open.iter().any(begun);
                }
                self.aside = None;
                return;
            }
        };
        let certain = &mut self.certain;
        self.open.retain(|write| {
            let there = write.file == file && write.ended.is_some_and(|end| end < since);
            if there {
                certain.put(file, write.at, write.octets);
            }
            !there
        });
    }

    /// The power fails now.
    pub fn cut(&self, rng: &mut Rng) -> Left {
        let mut files = self.certain.clone();
        let mut missing = 0;
        let luck = self.luck(rng);
        for (number, write) in self.open.iter().enumerate() {
            let mut odds = 50;
            for (at, sector) in sectors(write.at, write.octets) {
                let there = match luck {
                    Luck::Odds(odds) => odds[write.file],
                    Luck::Pages => {
                        if at == write.at || at.is_multiple_of(PAGE) {
                            odds = *rng.choice([0, 50, 100].iter()).expect("three");
                        }
                        odds
                    }
                    Luck::UpTo(last) => match number.cmp(&last) {
                        Ordering::Less => 100,
                        Ordering::Equal => 50,
                        Ordering::Greater => 0,
                    },
                    Luck::But(one) => {
                        if number == one {
                            50
                        } else {
                            100
                        }
                    }
                    Luck::Only(one) => {
                        if number == one {
                            50
                        } else {
                            0
                        }
                    }
                };
                if rng.u8(..100) < there {
                    files.put(write.file, at, sector);
                } else {
                    missing += 1;
                }
            }
        }
        for file in 0..2 {
            if !self.named[file] && rng.u8(..3) == 0 {
                files.0[file] = None;
            }
        }
        if self.aside.is_some() && rng.bool() {
            files.0[0].clone_from(&self.aside);
        }
        Left { files, at_risk: self.open.len(), missing }
    }

    fn luck(&self, rng: &mut Rng) -> Luck {
        if self.open.is_empty() {
            return Luck::Pages;
        }
        let one = rng.usize(..self.open.len());
        match rng.u8(..10) {
            0..2 => Luck::Odds([0, 1].map(|_| *rng.choice([0, 10, 50, 90, 100].iter()).expect("five"))),
            2..5 => Luck::Pages,
            5..7 => Luck::UpTo(one),
            7..9 => Luck::But(one),
            _ => Luck::Only(one),
        }
    }
}

/// What a disk writes at once, of what a program did.
fn sectors(mut at: u64, mut octets: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let begun = usize::try_from(at % SECTOR as u64).expect("less than a sector");
        let (sector, rest) = octets.split_at((SECTOR - begun).min(octets.len()));
        let here = at;
        octets = rest;
        at += sector.len() as u64;
        (!sector.is_empty()).then_some((here, sector))
    })
}
