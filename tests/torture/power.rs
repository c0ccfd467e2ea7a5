//! What a power cut can leave of a data file: everything that was synced, and of the rest any part.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use fastrand::Rng;

/// The page of LMDB, and more than a disk writes at once.
const PAGE: usize = 4096;

/// What a disk writes at once.
const SECTOR: usize = 512;

/// A record of the shim's journal: the same numbers are in `shim.c`.
enum Record {
    Write { at: u64, octets: Vec<u8> },
    Meta { at: u64, octets: Vec<u8> },
    Synced,
    Committed,
}

/// Makes `data` what it can be after a power cut: `before` is what it was when the journal began. How many writes were
/// not on the disk for certain, and how many of their sectors are not there.
pub fn cut(data: &Path, before: &[u8], journal: &Path, rng: &mut Rng) -> (usize, usize) {
    let records = parse(&fs::read(journal).expect("the shim has written it"));
    fs::write(data, before).expect("the daemon is gone");
    let file = File::options().write(true).open(data).expect("it was just written");
    // A sync takes everything along that was written before it; the meta page is written through a descriptor that
    // syncs each write, and takes nothing else along.
    let synced = records.iter().rposition(|record| matches!(record, Record::Synced));
    let committed = records.iter().rposition(|record| matches!(record, Record::Committed));
    let mut at_risk = 0;
    let mut missing = 0;
    for (number, record) in records.iter().enumerate() {
        let (at, octets, tearable, durable) = match record {
            Record::Write { at, octets } => (*at, octets, true, synced),
            // Short, and within a sector: there whole or not at all.
            Record::Meta { at, octets } => (*at, octets, false, committed.max(synced)),
            Record::Synced | Record::Committed => continue,
        };
        let certain = durable.is_some_and(|last| number < last);
        at_risk += usize::from(!certain);
        let piece = if certain || !tearable { octets.len().max(1) } else { SECTOR };
        // A page is there, or not, or torn.
        let mut odds = 50;
        for (index, piece_octets) in octets.chunks(piece).enumerate() {
            if index * piece % PAGE == 0 {
                odds = *rng.choice([0, 50, 100].iter()).expect("three");
            }
            if certain || rng.u8(..100) < odds {
                file.write_all_at(piece_octets, at + (index * piece) as u64).expect("a folder of ours");
            } else {
                missing += 1;
            }
        }
    }
    file.sync_all().expect("a folder of ours");
    (at_risk, missing)
}

/// What is whole of a journal; a record that was being written at the end belongs to a write that was not begun.
fn parse(mut journal: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((head, rest)) = journal.split_first_chunk::<16>() {
        let number = |range: std::ops::Range<usize>| {
            let mut octets = [0; 8];
            octets[..range.len()].copy_from_slice(&head[range]);
            u64::from_ne_bytes(octets)
        };
        let (kind, length, at) = (number(0..4), number(4..8), number(8..16));
        let length = usize::try_from(length).expect("32 bits");
        let Some((octets, rest)) = rest.split_at_checked(length) else { break };
        let octets = octets.to_vec();
        records.push(match kind {
            1 => Record::Write { at, octets },
            2 => Record::Meta { at, octets },
            3 => Record::Synced,
            4 => Record::Committed,
            other => panic!("no record is {other}"),
        });
        journal = rest;
    }
    records
}
