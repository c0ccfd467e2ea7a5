//! The journal that the shim keeps: what was written to the files of a data directory and when it was synced, with remarks
//! of the program that did it in between.

use std::{fs::File, io::Write};

/// A file that the shim looks at. The same list is in `shim.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// LMDB's file.
    Data = 1,
    /// The redo log.
    Log = 2,
    /// The data directory itself: which files it has.
    Folder = 3,
}

/// What a program says of itself: the number of an attempt to commit, or a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remark {
    /// The store was opened, and is at this revision.
    Opened(u64),
    /// A commit begins.
    Began(u64),
    /// It was made: whoever wanted it is told so.
    Made(u64),
    /// It was not, and whoever wanted it is told that.
    Refused(u64),
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'j> {
    /// A write begins.
    Write {
        /// Where in the file.
        at: u64,
        /// What.
        octets: &'j [u8],
    },
    /// This thread's write has ended.
    Written {
        /// It is on the disk: the descriptor syncs each write.
        through: bool,
    },
    /// A sync begins.
    Sync,
    /// This thread's sync has ended.
    Synced,
    /// The file has another name now, and nothing more to do with the store.
    Aside,
    /// The program has something to say.
    Remark(Remark),
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'j> {
    /// What happened.
    pub event: Event<'j>,
    /// To what; of no meaning for a remark.
    pub place: Place,
    /// In which thread.
    pub thread: u32,
}

/// Octets of a record before those that were written.
const HEAD: usize = 24;

/// Kinds of records below this are the shim's.
const REMARKS: u32 = 100;

/// What is whole of a journal; a record that was being written at the end belongs to a call that was not begun.
///
/// # Panics
/// It is no journal.
pub fn parse(mut journal: &[u8]) -> Vec<Record<'_>> {
    let mut records = Vec::new();
    while let Some((head, rest)) = journal.split_first_chunk::<HEAD>() {
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (kind, place, thread, length) = (word(0), word(4), word(8), word(12));
        let number = u64::from_ne_bytes(*head.last_chunk().expect("it is longer"));
        let Some((octets, rest)) = rest.split_at_checked(usize::try_from(length).expect("32 bits")) else {
            break;
        };
        let event = match kind {
            1 => Event::Write { at: number, octets },
            2 => Event::Written { through: false },
            3 => Event::Written { through: true },
            4 => Event::Sync,
            5 => Event::Synced,
            6 => Event::Aside,
            100 => Event::Remark(Remark::Opened(number)),
            101 => Event::Remark(Remark::Began(number)),
            102 => Event::Remark(Remark::Made(number)),
            103 => Event::Remark(Remark::Refused(number)),
            other => panic!("no record is {other}"),
        };
        let place = match place {
            2 => Place::Log,
            3 => Place::Folder,
            _ => Place::Data,
        };
        records.push(Record { event, place, thread });
        journal = rest;
    }
    records
}

/// Puts a remark into the journal of the shim that is under this program.
///
/// # Panics
/// There is no room.
pub fn remark(mut journal: &File, remark: Remark) {
    let (kind, number) = match remark {
        Remark::Opened(number) => (0, number),
        Remark::Began(number) => (1, number),
        Remark::Made(number) => (2, number),
        Remark::Refused(number) => (3, number),
    };
    let mut octets = [0; HEAD];
    octets[..4].copy_from_slice(&(REMARKS + kind).to_ne_bytes());
    octets[HEAD - 8..].copy_from_slice(&number.to_ne_bytes());
    journal.write_all(&octets).expect("there is room for a journal");
}
