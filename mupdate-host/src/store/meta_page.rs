//! LMDB's two meta pages: which transaction is the current one, and where its tables begin.
//!
//! They take turns: transaction N is written to page N mod 2. LMDB has no checksum in them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The page that a description of LMDB's file starts with; its own pages may be larger.
pub(super) const SMALLEST_PAGE: usize = 4096;

/// Octets of an address, of which LMDB's numbers are.
const WORD: usize = size_of::<usize>();

/// Octets before the contents of a page, and where in them its kind stands.
pub(super) const PAGE_HEAD: usize = WORD + 8;
const KIND: usize = WORD + 2;

/// Octets of the description of a table, and where in it the number of its first page stands.
pub(super) const TABLE: usize = 8 + 5 * WORD;
const ROOT: usize = 8 + 4 * WORD;

/// Where the descriptions of both tables begin in what a meta page says, and what follows them.
const TABLES: usize = 8 + 2 * WORD;
const LAST: usize = TABLES + 2 * TABLE;

/// Octets of a meta page that say something; LMDB writes nothing behind them.
const SAYS: usize = PAGE_HEAD + LAST + 2 * WORD;

/// Where in the first page there is the number by which a file is known again. It is ours: a copy that LMDB makes has none.
const STAMP_AT: u64 = SMALLEST_PAGE as u64 - 8;

/// What meta pages begin with, and the version of the file.
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;

/// The kind of page.
const META: u16 = 8;

/// What a meta page says.
pub(super) struct Meta {
    pub page_size: usize,
    /// Free pages, and all else.
    pub tables: [Tree; 2],
    /// The last page that was ever used.
    pub last: u64,
    pub transaction: u64,
}

/// Where a tree of pages begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    pub depth: u16,
    pub root: u64,
}

/// That of the current transaction; `None` if one of the two is no meta page.
pub(super) fn newest(file: &File) -> io::Result<Option<Meta>> {
    let meta = |at: u64| Ok::<_, io::Error>(read(file, at)?.and_then(|page| Meta::parse(&page)));
    let Some(even) = meta(0)? else { return Ok(None) };
    let Some(odd) = meta(even.page_size as u64)? else { return Ok(None) };
    let alike = even.page_size == odd.page_size;
    Ok(alike.then_some(if odd.transaction > even.transaction { odd } else { even }))
}

/// The beginning of the page at this place in the file, if it has one there.
pub(super) fn read(file: &File, at: u64) -> io::Result<Option<[u8; SMALLEST_PAGE]>> {
    let mut page = [0; SMALLEST_PAGE];
    match file.read_exact_at(&mut page, at) {
        Ok(()) => Ok(Some(page)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Make this the meta page of a file that nobody has open, in both places: whatever was written after it is forgotten.
pub(super) fn restore(file: &File, page: &[u8; SMALLEST_PAGE], page_size: usize) -> io::Result<()> {
    for number in 0..2_usize {
        let mut says = page[..SAYS].to_vec();
        says[..WORD].copy_from_slice(&number.to_ne_bytes());
        file.write_all_at(&says, (number * page_size) as u64)?;
    }
    file.sync_data()
}

/// The number by which this file is known again; 0 if it has none yet.
pub(super) fn stamp(file: &File) -> io::Result<u64> {
    let mut stamp = [0; 8];
    file.read_exact_at(&mut stamp, STAMP_AT)?;
    Ok(u64::from_be_bytes(stamp))
}

/// Give the file such a number.
pub(super) fn set_stamp(file: &File, stamp: u64) -> io::Result<()> {
    file.write_all_at(&stamp.to_be_bytes(), STAMP_AT)
}

impl Meta {
    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let meta = page.get(PAGE_HEAD..SAYS)?;
        if u16_at(page, KIND)? & META == 0 || u32_at(meta, 0)? != MAGIC || u32_at(meta, 4)? != VERSION {
            return None;
        }
        // It stands in the description of the first table, which needs it for nothing else.
        let page_size = usize::try_from(u32_at(meta, TABLES)?).ok()?;
        let sane = page_size.is_power_of_two() && (SMALLEST_PAGE..=1 << 16).contains(&page_size);
        let tables = [Tree::parse(&meta[TABLES..])?, Tree::parse(&meta[TABLES + TABLE..])?];
        let (last, transaction) = (word_at(meta, LAST)?, word_at(meta, LAST + WORD)?);
        sane.then_some(Self { page_size, tables, last, transaction })
    }
}

impl Tree {
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        Some(Self { depth: u16_at(octets, 6)?, root: word_at(octets, ROOT)? })
    }
}

pub(super) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

pub(super) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn word_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().copied().map(usize::from_ne_bytes).map(|word| word as u64)
}

pub(super) fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().copied().map(u64::from_ne_bytes)
}
