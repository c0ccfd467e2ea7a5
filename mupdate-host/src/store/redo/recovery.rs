//! What has to be done once more when a store is opened that was not closed in good order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::layout::{self, AREAS_AT, Header, NoHeader, SLOT};
use super::record::Record;
use super::{LOG_FILE, MOST_AREA};
use crate::store::DATA_FILE;
use crate::store::env::Env;
use crate::store::error::{Found, StoreError};
use crate::store::meta_page::{self, Meta};
use crate::store::tables::Tables;

/// The last transaction that is whole in the data file, and what was answered after it.
pub(in crate::store) struct Recovery {
    header: Header,
    /// The changes of the transactions after that, one after the other.
    changes: Vec<Vec<u8>>,
}

impl Recovery {
    /// What the log in this data directory says; `None` if there is nothing to be done. Changes nothing.
    pub(in crate::store) fn read(dir: &Path) -> io::Result<Result<Option<Self>, Found>> {
        let file = match File::open(dir.join(LOG_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(error) => return Err(error),
        };
        let header = match newest(&file)? {
            Ok(Some(header)) if !header.clean => header,
            Ok(_) => return Ok(Ok(None)),
            Err(found) => return Ok(Err(found)),
        };
        let Some(length) = usize::try_from(header.area).ok().filter(|&length| length <= MOST_AREA) else {
            return Ok(Err(Found::Log));
        };
        let mut areas = vec![0; 2 * length];
        match file.read_exact_at(&mut areas, AREAS_AT) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Err(Found::Log)),
            Err(error) => return Err(error),
        }
        let (first, second) = areas.split_at(length);
        Ok(Self::of(header, [first, second]).map(Some).ok_or(Found::Log))
    }

    /// `None`: something is missing that was there. What a power cut can have torn is the last record, and nobody was
    /// answered then.
    fn of(header: Header, areas: [&[u8]; 2]) -> Option<Self> {
        let mut records: Vec<_> = areas.into_iter().flat_map(layout::records).collect();
        records.retain(|record| record.session == header.session);
        if records.iter().any(|record| record.sequence > header.sequence) {
            return None;
        }
        records.retain(|record| record.transaction > header.transaction);
        records.sort_by_key(|record| record.transaction);
        let follow =
            (header.transaction + 1..).zip(&records).all(|(next, record)| record.transaction == next);
        let changes = records.iter().map(|record| record.changes.to_vec()).collect();
        follow.then_some(Self { header, changes })
    }

    /// What the data file's meta page is going to be.
    pub(in crate::store) fn meta(&self) -> Option<Meta> {
        self.header.meta()
    }

    /// How many transactions have to be done once more.
    pub(in crate::store) fn transactions(&self) -> usize {
        self.changes.len()
    }

    /// Is this the data file that the log was written beside? If another was put in its place, and nothing has to be done
    /// once more, the log does not matter; else somebody has to decide.
    pub(in crate::store) fn belongs_to(&self, data: &File) -> io::Result<Result<bool, Found>> {
        let Some(newest) = meta_page::newest(data)? else { return Ok(Err(Found::Foreign)) };
        let is_it =
            meta_page::stamp(data)? == self.header.store && newest.transaction >= self.header.transaction;
        Ok(if is_it || self.changes.is_empty() { Ok(is_it) } else { Err(Found::Other) })
    }

    /// Take the data file back to the last transaction that is whole in it. What came later may be there in part.
    pub(in crate::store) fn restore(&self, dir: &Path) -> io::Result<()> {
        let data = File::options().read(true).write(true).open(dir.join(DATA_FILE))?;
        let page_size = self.meta().map_or(meta_page::SMALLEST_PAGE, |meta| meta.page_size);
        meta_page::restore(&data, &self.header.meta, page_size)
    }

    /// Do once more what came after that transaction, durably. Until the next header is written it can be done again, from
    /// the beginning: pages of that transaction are not written to in the next, nor in the one after that (there is one more
    /// at most, which begins the journal anew).
    pub(in crate::store) fn redo(&self, tables: &Tables, env: &Env) -> Result<(), StoreError> {
        let mut txn = env.write_txn()?;
        for changes in &self.changes {
            for change in Record::changes(changes) {
                tables.redo(&mut txn, change.ok_or(StoreError::Corrupt("redo log"))?)?;
            }
        }
        Ok(txn.commit()?)
    }
}

/// The header that counts; `None` if none was ever whole.
pub(super) fn newest(file: &File) -> io::Result<Result<Option<Header>, Found>> {
    Ok(match headers(file)? {
        [Ok(even), Ok(odd)] => Ok(Some(if even.sequence > odd.sequence { even } else { odd })),
        [Ok(one), Err(_)] | [Err(_), Ok(one)] => Ok(Some(one)),
        [Err(NoHeader::Version(version)), _] | [_, Err(NoHeader::Version(version))] => {
            Err(Found::Version(version))
        }
        [Err(NoHeader::Torn), Err(NoHeader::Torn)] => Err(Found::Log),
        // The first header of all was being written: nothing was in the log before it was whole.
        _ => Ok(None),
    })
}

/// Is the first start of the store in this data directory not over? Then nobody was ever answered from it.
pub(in crate::store) fn is_unborn(dir: &Path) -> io::Result<bool> {
    match File::open(dir.join(LOG_FILE)) {
        Ok(file) => Ok(matches!(headers(&file)?, [Err(NoHeader::Unborn), Err(_)])),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn headers(file: &File) -> io::Result<[Result<Header, NoHeader>; 2]> {
    let header = |number: u64| {
        let mut slot = [0; SLOT];
        match file.read_exact_at(&mut slot, number * SLOT as u64) {
            Ok(()) => Ok(Header::parse(&slot)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(NoHeader::Blank)),
            Err(error) => Err(error),
        }
    };
    Ok([header(0)?, header(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::meta_page::SMALLEST_PAGE;

    const LENGTH: usize = 4 * layout::BLOCK;

    fn header() -> Header {
        let meta = [0; SMALLEST_PAGE];
        Header { sequence: 9, store: 8, session: 5, transaction: 20, area: LENGTH as u64, clean: false, meta }
    }

    fn area(records: &[(u64, u64, u64)]) -> Vec<u8> {
        let mut area = Vec::new();
        for &(session, transaction, sequence) in records {
            let mut record = vec![0; layout::RECORD_HEAD];
            record.push(u8::try_from(transaction).expect("small"));
            layout::finish(&mut record, session, transaction, sequence);
            area.extend(record);
        }
        area.resize(LENGTH, 0);
        area
    }

    fn transactions(areas: [&[(u64, u64, u64)]; 2]) -> Option<Vec<u8>> {
        let areas = areas.map(area);
        let recovery = Recovery::of(header(), [&areas[0], &areas[1]])?;
        Some(recovery.changes.into_iter().flatten().collect())
    }

    #[test]
    fn what_follows_is_done_once_more() {
        assert_eq!(transactions([&[], &[]]), Some(vec![]));
        // In whichever area it begins; what is settled or of earlier days is not done again.
        assert_eq!(transactions([&[(5, 19, 8), (5, 20, 8), (5, 21, 9)], &[(5, 22, 9)]]), Some(vec![21, 22]));
        assert_eq!(transactions([&[(5, 22, 9), (4, 21, 8)], &[(5, 20, 9), (5, 21, 9)]]), Some(vec![21, 22]));
        assert_eq!(transactions([&[(4, 21, 9), (4, 22, 9)], &[]]), Some(vec![]));
    }

    #[test]
    fn what_is_missing_is_missed() {
        assert_eq!(transactions([&[(5, 22, 9)], &[]]), None);
        assert_eq!(transactions([&[(5, 21, 9), (5, 23, 9)], &[]]), None);
        assert_eq!(transactions([&[(5, 21, 9), (5, 21, 9)], &[]]), None);
        // There was a later header.
        assert_eq!(transactions([&[(5, 21, 10)], &[]]), None);
    }
}
