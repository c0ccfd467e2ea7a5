//! What a transaction has written, octet for octet, so that it can be written once more.

use super::layout::RECORD_HEAD;
use crate::store::tables::be_u32;

/// What was done to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Op {
    /// A value was written.
    Put = 1,
    /// An entry was deleted.
    Delete = 2,
    /// Everything up to a key was deleted, and that.
    DeleteTo = 3,
}

/// Kind, table, lengths of key and value.
const HEAD: usize = 8;

/// The changes of a transaction in progress. Bounded: what does not fit is not kept, and then none of it is.
#[derive(Debug)]
pub(in crate::store) struct Record {
    /// Room for the head of the record, then the changes. Empty once it has grown too large.
    octets: Vec<u8>,
    most: usize,
}

impl Record {
    /// One that may take so many octets, its head included.
    pub(super) fn new(most: usize) -> Self {
        let mut octets = Vec::with_capacity(super::layout::BLOCK);
        octets.resize(RECORD_HEAD, 0);
        Self { octets, most }
    }

    /// Note a change.
    pub(in crate::store) fn note(&mut self, op: Op, table: u8, key: &[u8], value: &[u8]) {
        if self.octets.is_empty() {
            return;
        }
        let fits = self.octets.len() + HEAD + key.len() + value.len() <= self.most;
        let (Ok(key_length), Ok(value_length), true) =
            (u16::try_from(key.len()), u32::try_from(value.len()), fits)
        else {
            self.octets = Vec::new();
            return;
        };
        self.octets.extend_from_slice(&[op as u8, table]);
        self.octets.extend_from_slice(&key_length.to_be_bytes());
        self.octets.extend_from_slice(&value_length.to_be_bytes());
        self.octets.extend_from_slice(key);
        self.octets.extend_from_slice(value);
    }

    /// Nothing was noted, so nothing was changed.
    pub(super) fn is_blank(&self) -> bool {
        self.octets.len() == RECORD_HEAD
    }

    /// All of it, with room for a head; `None` if it was too much.
    pub(super) fn into_octets(self) -> Option<Vec<u8>> {
        (!self.octets.is_empty()).then_some(self.octets)
    }

    /// The changes that a record holds; `None` for what is none, and then nothing more.
    pub(super) fn changes(octets: &[u8]) -> impl Iterator<Item = Option<(Op, u8, &[u8], &[u8])>> {
        let mut rest = Some(octets);
        std::iter::from_fn(move || {
            let octets = rest.take().filter(|octets| !octets.is_empty())?;
            let Some((change, left)) = split(octets) else { return Some(None) };
            rest = Some(left);
            Some(Some(change))
        })
    }
}

type Change<'a> = (Op, u8, &'a [u8], &'a [u8]);

fn split(octets: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (head, rest) = octets.split_first_chunk::<HEAD>()?;
    let op = [Op::Put, Op::Delete, Op::DeleteTo].into_iter().find(|&op| op as u8 == head[0])?;
    let key = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = usize::try_from(be_u32(&head[4..])?).ok()?;
    let (key, rest) = rest.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some(((op, head[1], key, value), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_come_back(changes in prop::collection::vec(
            (0..3_usize, 0..8_u8, prop::collection::vec(any::<u8>(), 0..600), prop::collection::vec(any::<u8>(), 0..600)),
            0..20,
        )) {
            let mut record = Record::new(usize::MAX);
            let ops = [Op::Put, Op::Delete, Op::DeleteTo];
            for (op, table, key, value) in &changes {
                record.note(ops[*op], *table, key, value);
            }
            let octets = record.into_octets().expect("there is room");
            let found: Option<Vec<_>> = Record::changes(&octets[RECORD_HEAD..]).collect();
            let noted: Vec<_> =
                changes.iter().map(|(op, table, key, value)| (ops[*op], *table, &key[..], &value[..])).collect();
            prop_assert_eq!(found.as_deref(), Some(&noted[..]));
            // Cut anywhere, it ends with what cannot be read, or with a change that is whole.
            for at in RECORD_HEAD..octets.len() {
                prop_assert!(Record::changes(&octets[RECORD_HEAD..at]).count() <= changes.len());
            }
        }
    }

    #[test]
    fn too_much_is_not_kept_in_part() {
        let mut record = Record::new(RECORD_HEAD + 2 * HEAD + 3);
        record.note(Op::Put, 0, b"k", b"v");
        record.note(Op::Delete, 0, b"k", b"");
        record.note(Op::Delete, 0, b"", b"");
        record.note(Op::Delete, 0, b"", b"");
        assert_eq!(record.into_octets(), None);
    }
}
