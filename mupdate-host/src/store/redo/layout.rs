//! What stands where in `redo.log`, and how: two headers, two areas, records. Octets only, no files.
//!
//! | octets | what |
//! |---|---|
//! | 0, 8192 | headers, written in turns: the valid one with the higher sequence number counts |
//! | 16384 and on | two areas of the same size, filled in turns |
//!
//! A record begins at a multiple of 4096 octets, so that what was synced is never written again together with what was
//! not. All numbers are big-endian. A checksum (CRC-32) tells a whole record from one that a power cut has torn, and a
//! random session number what was written since the store was opened from what is left of earlier days.

use super::super::meta_page::{Meta, SMALLEST_PAGE};
use super::super::tables::{FORMAT, be_u32, be_u64};

/// Records begin at multiples of this.
pub(super) const BLOCK: usize = 4096;

/// Octets kept for a header.
pub(super) const SLOT: usize = 8192;

/// Where the first area begins.
pub(super) const AREAS_AT: u64 = 2 * SLOT as u64;

const HEADER_MAGIC: &[u8; 8] = b"mupdredo";

/// What stands in the place of the first header from before there is a data file until there is a header.
pub(super) const UNBORN: &[u8; 64] = b"mupdated: the first start of this store is not over yet.       \n";

const RECORD_MAGIC: &[u8; 4] = b"redo";

/// Octets before the meta page in a header, and before the changes in a record.
const HEADER_HEAD: usize = 64;
pub(super) const RECORD_HEAD: usize = 36;

/// Where their checksums stand.
const HEADER_SUM: usize = 12;
const RECORD_SUM: usize = 32;

/// The last transaction that is whole in the data file, and how to get back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Grows with each header.
    pub sequence: u64,
    /// The number of the data file that the log is written beside.
    pub store: u64,
    /// Records bear it, too.
    pub session: u64,
    /// The transaction.
    pub transaction: u64,
    /// Octets of an area.
    pub area: u64,
    /// The store was closed in good order: there is nothing to redo.
    pub clean: bool,
    /// LMDB's meta page of that transaction.
    pub meta: [u8; SMALLEST_PAGE],
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// None was ever written here.
    Blank,
    /// None was ever written: the first start is not over.
    Unborn,
    /// Another version of this program has written it.
    Version(u32),
    /// It is damaged, or was being written.
    Torn,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_HEAD + SMALLEST_PAGE);
        out.extend_from_slice(HEADER_MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        let Self { sequence, store, session, transaction, area, clean, .. } = *self;
        for number in [sequence, store, session, transaction, area, u64::from(clean)] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.meta);
        seal(&mut out, HEADER_SUM);
        out
    }

    pub(super) fn parse(slot: &[u8]) -> Result<Self, NoHeader> {
        let octets = slot.get(..HEADER_HEAD + SMALLEST_PAGE).ok_or(NoHeader::Torn)?;
        if octets.iter().all(|&octet| octet == 0) {
            return Err(NoHeader::Blank);
        }
        if octets.starts_with(UNBORN) {
            return Err(NoHeader::Unborn);
        }
        if !is_sealed(octets, HEADER_SUM) || !octets.starts_with(HEADER_MAGIC) {
            return Err(NoHeader::Torn);
        }
        match be_u32(&octets[8..12]) {
            Some(FORMAT) => Self::split(octets).ok_or(NoHeader::Torn),
            version => Err(NoHeader::Version(version.unwrap_or_default())),
        }
    }

    fn split(octets: &[u8]) -> Option<Self> {
        let number = |place: usize| be_u64(octets.get(16 + 8 * place..24 + 8 * place)?);
        Some(Self {
            sequence: number(0)?,
            store: number(1)?,
            session: number(2)?,
            transaction: number(3)?,
            area: number(4)?,
            clean: number(5)? != 0,
            meta: octets[HEADER_HEAD..].try_into().ok()?,
        })
        .filter(|header| header.meta().is_some_and(|meta| meta.transaction == header.transaction))
    }

    /// What its meta page says.
    pub(super) fn meta(&self) -> Option<Meta> {
        Meta::parse(&self.meta)
    }
}

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// The session that it is of.
    pub session: u64,
    /// The transaction that made it.
    pub transaction: u64,
    /// The sequence number of the header that counted then.
    pub sequence: u64,
    /// What it has written.
    pub changes: &'a [u8],
}

/// Finish a record, whose first [`RECORD_HEAD`] octets are free, and fill its last block.
pub(super) fn finish(record: &mut Vec<u8>, session: u64, transaction: u64, sequence: u64) {
    let length = u32::try_from(record.len() - RECORD_HEAD).unwrap_or(u32::MAX);
    let mut head = Vec::with_capacity(RECORD_HEAD);
    head.extend_from_slice(RECORD_MAGIC);
    head.extend_from_slice(&length.to_be_bytes());
    for number in [session, transaction, sequence] {
        head.extend_from_slice(&number.to_be_bytes());
    }
    head.extend_from_slice(&[0; 4]);
    record[..RECORD_HEAD].copy_from_slice(&head);
    seal(record, RECORD_SUM);
    record.resize(record.len().next_multiple_of(BLOCK), 0);
}

/// All whole records in an area, wherever they stand.
pub(super) fn records(area: &[u8]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = area.get(at..).filter(|rest| !rest.is_empty()) {
        match record(rest) {
            Some(record) => {
                at += (RECORD_HEAD + record.changes.len()).next_multiple_of(BLOCK);
                found.push(record);
            }
            None => at += BLOCK,
        }
    }
    found
}

fn record(octets: &[u8]) -> Option<Found<'_>> {
    let head = octets.strip_prefix(RECORD_MAGIC)?;
    let length = usize::try_from(be_u32(head.get(..4)?)?).ok()?;
    let number = |place: usize| be_u64(head.get(4 + 8 * place..12 + 8 * place)?);
    let whole = octets.get(..RECORD_HEAD.checked_add(length)?)?;
    let [session, transaction, sequence] = [number(0)?, number(1)?, number(2)?];
    let found = Found { session, transaction, sequence, changes: &whole[RECORD_HEAD..] };
    is_sealed(whole, RECORD_SUM).then_some(found)
}

fn seal(octets: &mut [u8], at: usize) {
    let sum = checksum(octets, at);
    octets[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

fn is_sealed(octets: &[u8], at: usize) -> bool {
    be_u32(&octets[at..at + 4]) == Some(checksum(octets, at))
}

/// Of everything but the checksum itself.
fn checksum(octets: &[u8], at: usize) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&octets[..at]);
    sum.update(&octets[at + 4..]);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        let mut meta = [0; SMALLEST_PAGE];
        meta[10] = 8;
        meta[16..24].copy_from_slice(&[0xDE, 0xC0, 0xEF, 0xBE, 1, 0, 0, 0]);
        meta[40..44].copy_from_slice(&4096_u32.to_ne_bytes());
        meta[144..152].copy_from_slice(&77_u64.to_ne_bytes());
        Header { sequence: 3, store: 8, session: 0xfeed, transaction: 77, area: 4 << 20, clean: true, meta }
    }

    #[test]
    #[cfg(all(target_endian = "little", target_pointer_width = "64"))]
    fn headers_come_back_or_are_torn() {
        let octets = header().encode();
        assert_eq!(Header::parse(&octets), Ok(header()));
        assert_eq!(Header::parse(&[0; SLOT]), Err(NoHeader::Blank));
        assert_eq!(Header::parse(&[&UNBORN[..], &[0; SLOT]].concat()), Err(NoHeader::Unborn));
        for at in (0..octets.len()).step_by(61) {
            let mut damaged = octets.clone();
            damaged[at] ^= 1;
            assert_eq!(Header::parse(&damaged), Err(NoHeader::Torn), "{at}");
        }
        assert_eq!(Header::parse(&octets[..512]), Err(NoHeader::Torn));
        let mut later = octets;
        later[8..12].copy_from_slice(&(FORMAT + 1).to_be_bytes());
        seal(&mut later, HEADER_SUM);
        assert_eq!(Header::parse(&later), Err(NoHeader::Version(FORMAT + 1)));
    }

    fn finished(changes: &[u8], session: u64, transaction: u64) -> Vec<u8> {
        let mut record = vec![0; RECORD_HEAD];
        record.extend_from_slice(changes);
        finish(&mut record, session, transaction, 1);
        record
    }

    #[test]
    fn records_are_found_where_they_stand() {
        let long = vec![7; 3 * BLOCK];
        let mut area = finished(b"first", 5, 10);
        area.extend(finished(b"of earlier days", 4, 99));
        area.extend(finished(&long, 5, 11));
        area.extend(vec![0; 2 * BLOCK]);
        area.extend(finished(b"", 5, 12));
        let found = records(&area);
        let found: Vec<_> =
            found.iter().map(|found| (found.session, found.transaction, found.changes)).collect();
        assert_eq!(
            found,
            [(5, 10, &b"first"[..]), (4, 99, b"of earlier days"), (5, 11, &long), (5, 12, b"")]
        );
    }

    proptest! {
        #[test]
        fn what_is_torn_is_no_record(at in 0..2 * BLOCK, octet: u8) {
            let record = finished(&[3; BLOCK], 5, 10);
            let mut damaged = record.clone();
            damaged[at] = octet;
            let whole = records(&damaged).len();
            // What fills the last block is not looked at.
            let looked_at = at < RECORD_HEAD + BLOCK;
            prop_assert_eq!(whole == 1, record == damaged || !looked_at);
        }

        #[test]
        fn no_octets_are_too_wild(mut octets in prop::collection::vec(any::<u8>(), 0..3 * BLOCK)) {
            let _ = Header::parse(&octets);
            let _ = records(&octets);
            if octets.len() > RECORD_HEAD {
                octets[..4].copy_from_slice(RECORD_MAGIC);
                let _ = records(&octets);
            }
            let _ = Record::changes(&octets).count();
        }
    }
}
