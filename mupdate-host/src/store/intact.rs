//! Is the data file what LMDB has written? Looked at before LMDB maps it.
//!
//! LMDB trusts its file: a page that is not there ends the process by SIGBUS, one full of anything else by a wild read.
//! So, at every start, all pages that the current transaction reaches are read once in the ordinary way: each must be
//! inside of the file, bear its own number, be of the kind that its place asks for, and hold nothing that points out
//! of it. That costs as long as reading the file does, and warms the cache.
//!
//! What this cannot see: octets that changed within a name or a value (LMDB has no checksums), and whatever happens to
//! the file while it is open.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::meta_page::{self, Meta, PAGE_HEAD, TABLE, Tree, u16_at, u32_at, u64_at};
use super::{Progress, error::Found};

/// Octets before the contents of a node.
const NODE_HEAD: usize = 8;

/// Kinds of pages.
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;

/// Kinds of nodes: the value stands on pages of its own; the value describes a table.
const BIG: u16 = 1;
const SUB_TABLE: u16 = 2;

/// A root that is not there.
const NO_PAGE: u64 = u64::MAX;

/// Levels of a tree; no file that fits on a disk has as many.
const DEEPEST: u16 = 32;

/// Pages between two words of how far the look has come.
const TOLD_EVERY: u64 = 4096;

/// What is wrong with the file; `None` if nothing is, or if it is not in a form that this machine writes. It is looked at
/// as of its current transaction, or of the one that is going to be.
pub(super) fn look(file: &File, current: Option<Meta>, progress: &Progress) -> io::Result<Option<Found>> {
    // The layout differs where addresses are shorter, and there LMDB is taken at its word.
    if cfg!(not(target_pointer_width = "64")) {
        return Ok(None);
    }
    let length = file.metadata()?.len();
    let current = match current {
        Some(current) => current,
        None => match meta_page::newest(file)? {
            Some(newest) => newest,
            None => return Ok(Some(Found::Foreign)),
        },
    };
    let pages = length / current.page_size as u64;
    let seen = vec![0; usize::try_from(pages / 64 + 1).unwrap_or(0)];
    let mut walk =
        Walk { file, page_size: current.page_size, last: current.last, pages, seen, looked: 0, progress };
    for table in current.tables {
        match walk.table(table) {
            Ok(()) => {}
            Err(Stop::Damaged(page)) => return Ok(Some(Found::Damaged(page))),
            Err(Stop::Io(error)) => return Err(error),
        }
    }
    progress.tell(pages, pages);
    Ok(None)
}

/// Why a walk has ended.
enum Stop {
    /// This page is not what it should be.
    Damaged(u64),
    Io(io::Error),
}

struct Walk<'f> {
    file: &'f File,
    page_size: usize,
    /// The last page that was ever used. The file may be shorter, if those at its end are free.
    last: u64,
    /// Pages that are in the file.
    pages: u64,
    /// A bit for each of them: nothing may be reached twice.
    seen: Vec<u64>,
    /// Pages that were reached.
    looked: u64,
    progress: &'f Progress,
}

impl Walk<'_> {
    fn table(&mut self, tree: Tree) -> Result<(), Stop> {
        match tree {
            Tree { root: NO_PAGE, .. } => Ok(()),
            Tree { depth: 1..=DEEPEST, root } => self.page(root, tree.depth - 1),
            Tree { root, .. } => Err(Stop::Damaged(root)),
        }
    }

    /// A page with this many levels below it, and all of these.
    fn page(&mut self, number: u64, below: u16) -> Result<(), Stop> {
        self.visit(number, 1)?;
        let mut page = vec![0; self.page_size];
        self.read(number, &mut page)?;
        let damaged = || Stop::Damaged(number);
        let kind = if below > 0 { BRANCH } else { LEAF };
        if u64_at(&page, 0) != Some(number) || u16_at(&page, 10) != Some(kind) {
            return Err(damaged());
        }
        let lower =
            u16_at(&page, 12).map(usize::from).filter(|&lower| (PAGE_HEAD..=page.len()).contains(&lower));
        let pointers = page.get(PAGE_HEAD..lower.ok_or_else(damaged)?).ok_or_else(damaged)?;
        for pointer in pointers.chunks(2) {
            let at = u16_at(pointer, 0).map(usize::from).filter(|&at| at >= PAGE_HEAD + pointers.len());
            let node = at.and_then(|at| page.get(at..)).and_then(Node::parse).ok_or_else(damaged)?;
            match node {
                Node { words, .. } if below > 0 => self.page(node_page(words), below - 1)?,
                Node { flags, value, size, .. } if flags & BIG != 0 => {
                    let first = u64_at(value, 0).ok_or_else(damaged)?;
                    self.overflow(first, size)?;
                }
                Node { flags, value, size, .. } => {
                    let value = value.get(..size).ok_or_else(damaged)?;
                    if flags & SUB_TABLE != 0 {
                        let tree = value.get(..TABLE).and_then(Tree::parse).ok_or_else(damaged)?;
                        self.table(tree)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Pages that hold one value of this many octets. Only the first has a head.
    fn overflow(&mut self, first: u64, size: usize) -> Result<(), Stop> {
        let needed = (PAGE_HEAD + size).div_ceil(self.page_size) as u64;
        self.visit(first, needed)?;
        let mut head = [0; PAGE_HEAD];
        self.read(first, &mut head)?;
        let pages = u32_at(&head, 12).map(u64::from);
        let sound = u64_at(&head, 0) == Some(first) && u16_at(&head, 10) == Some(OVERFLOW);
        if sound && pages.is_some_and(|pages| pages >= needed) { Ok(()) } else { Err(Stop::Damaged(first)) }
    }

    /// These pages are there, and were not seen before.
    fn visit(&mut self, first: u64, count: u64) -> Result<(), Stop> {
        let end =
            first.checked_add(count).filter(|&end| first > 1 && end <= self.pages && end - 1 <= self.last);
        for page in first..end.ok_or(Stop::Damaged(first))? {
            let (word, bit) = (usize::try_from(page / 64).unwrap_or(usize::MAX), 1 << (page % 64));
            match self.seen.get_mut(word) {
                Some(word) if *word & bit == 0 => *word |= bit,
                _ => return Err(Stop::Damaged(page)),
            }
        }
        let before = self.looked / TOLD_EVERY;
        self.looked += count;
        if self.looked / TOLD_EVERY > before {
            self.progress.tell(self.looked.min(self.pages - 1), self.pages);
        }
        Ok(())
    }

    fn read(&self, page: u64, into: &mut [u8]) -> Result<(), Stop> {
        self.file.read_exact_at(into, page * self.page_size as u64).map_err(Stop::Io)
    }
}

/// An entry of a page.
struct Node<'p> {
    /// A page number, or the size of a value and flags.
    words: [u16; 3],
    flags: u16,
    size: usize,
    /// What stands after the key, to the end of the page.
    value: &'p [u8],
}

impl<'p> Node<'p> {
    fn parse(octets: &'p [u8]) -> Option<Self> {
        let words = [u16_at(octets, 0)?, u16_at(octets, 2)?, u16_at(octets, 4)?];
        let key = usize::from(u16_at(octets, 6)?);
        let value = octets.get(NODE_HEAD + key..)?;
        // On machines of the other kind the two halves of a size change places.
        let [low, high] =
            if cfg!(target_endian = "little") { [words[0], words[1]] } else { [words[1], words[0]] };
        let size = usize::from(low) | usize::from(high) << 16;
        Some(Self { words, flags: words[2], size, value })
    }
}

/// Where a branch leads: LMDB spreads the number over the three words of the node.
fn node_page([first, second, third]: [u16; 3]) -> u64 {
    let [low, high] = if cfg!(target_endian = "little") { [first, second] } else { [second, first] };
    u64::from(low) | u64::from(high) << 16 | u64::from(third) << 32
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mupdate_core::directory::{Record, State, View};
    use mupdate_proto::{Acl, Location, MailboxName};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::super::meta_page::SMALLEST_PAGE;
    use super::*;
    use crate::store::{Store, StoreOptions};

    /// A store with tables of more than one level, and a value with pages of its own.
    fn store() -> (TempDir, Vec<u8>) {
        let dir = TempDir::new().expect("a directory");
        let options = StoreOptions { map_size: 16 << 20, max_readers: 16, ..StoreOptions::default() };
        let store = Store::open(dir.path(), options).expect("opens");
        let mut txn = store.begin().expect("no other writer");
        for made in 1..400_u64 {
            let acl = vec![b'a'; if made == 200 { 9000 } else { 100 }];
            let record = Record {
                location: Location::new("be1!p").expect("legal"),
                state: State::Active(Acl::new(acl)),
            };
            let mailbox = MailboxName::new(format!("m{made}")).expect("legal");
            txn.put(&mailbox, &record, None, made).expect("there is room");
        }
        txn.commit().expect("there is room");
        let file = fs::read(dir.path().join("data.mdb")).expect("written");
        (dir, file)
    }

    fn judge(dir: &TempDir, octets: &[u8]) -> Option<Found> {
        let path = dir.path().join("copy");
        fs::write(&path, octets).expect("written");
        let file = File::open(&path).expect("written");
        look(&file, None, &Progress::default()).expect("it can be read")
    }

    #[test]
    fn what_lmdb_has_written_is_intact() {
        let (dir, file) = store();
        assert_eq!(judge(&dir, &file), None);
    }

    #[test]
    fn a_page_that_is_in_use_is_missed() {
        let (dir, file) = store();
        let mut missed = 0;
        for page in 0..file.len() / SMALLEST_PAGE {
            let mut damaged = file.clone();
            damaged[page * SMALLEST_PAGE..][..SMALLEST_PAGE].fill(0);
            match judge(&dir, &damaged) {
                Some(Found::Foreign) => assert!(page < 2),
                Some(Found::Damaged(_)) => missed += 1,
                // Free, or amid a value.
                other => assert_eq!(other, None),
            }
        }
        assert!(missed > 20, "{missed} pages were missed");
        let half = &file[..file.len() / 2];
        assert!(matches!(judge(&dir, half), Some(Found::Damaged(_))));
        assert_eq!(judge(&dir, &file[..SMALLEST_PAGE]), Some(Found::Foreign));
        assert_eq!(judge(&dir, b"precious"), Some(Found::Foreign));
    }

    #[test]
    fn no_octets_are_too_wild() {
        let (dir, file) = store();
        let octets = prop::collection::vec((0..file.len(), any::<u8>()), 1..200);
        let runner_config = ProptestConfig::with_cases(200);
        proptest!(runner_config, |(changes in octets)| {
            let mut damaged = file.clone();
            for (at, octet) in changes {
                damaged[at] = octet;
            }
            // Damaged or not: it comes to an end, and does not panic.
            let _ = judge(&dir, &damaged);
        });
    }
}
