//! DEFLATE between two of ours, and from a peer that means harm: what fuzz targets and property tests both call.

use arbitrary::{Result, Unstructured};
use bytes::BytesMut;

use super::{DeflateError, Deflater, Inflater};

/// No octet of deflate stands for more than this many of plain text: a match of 258 octets takes two bits.
const GROWTH: usize = 1032;

/// Steps after which a bomb is taken for one.
const ENOUGH: usize = 200;

/// Read `data` as bursts, or as what a peer sends, and panic at the first broken promise:
///
/// - what was packed unpacks, burst by burst, torn into any pieces and taken out in steps of any size, and costs little
///   more on the wire than it is long;
/// - of a stream that is cut off, what was said before comes out, and nothing else;
/// - whatever comes instead, a step yields no more than it was asked for, all steps together no more than deflate can
///   stand for, and nothing is kept but what was pushed and not yet looked at.
pub fn torn_streams(data: &[u8]) {
    let mut source = Unstructured::new(data);
    // Out of octets, the rest is as good as nothing.
    let _ = match source.arbitrary::<u8>().unwrap_or(0) % 2 {
        0 => own(&mut source),
        _ => foreign(&mut source),
    };
}

fn own(source: &mut Unstructured<'_>) -> Result<()> {
    let (mut deflater, mut inflater) = (Deflater::default(), Inflater::default());
    let (mut sent, mut all) = (BytesMut::new(), Vec::new());
    while !source.is_empty() {
        let length = usize::from(source.arbitrary::<u8>()? % 64).min(source.len());
        let times = usize::from(source.arbitrary::<u8>()? % 32);
        let burst = source.bytes(length.min(source.len()))?.repeat(times);
        let mut wire = BytesMut::new();
        deflater.burst(&burst, &mut wire).expect("any octets can be packed");
        assert!(
            wire.len() <= burst.len() + burst.len() / 8 + 64,
            "packing {} octets gave {}",
            burst.len(),
            wire.len()
        );
        assert_eq!(wire.is_empty(), burst.is_empty());
        let (piece, step) = (source.arbitrary::<u8>()?, source.arbitrary::<u8>()?);
        let mut got = Vec::new();
        for piece in wire.chunks(usize::from(piece) + 1) {
            inflater.push(piece);
            let stopped = drain(&mut inflater, usize::from(step) + 1, usize::MAX, &mut got);
            assert_eq!(stopped, Ok(false), "our own stream");
        }
        assert!(got == burst, "a burst did not come out whole");
        sent.extend_from_slice(&wire);
        all.extend_from_slice(&burst);
    }
    torn(&sent, &all);
    Ok(())
}

/// Of a stream that is cut off, what was said before comes out.
fn torn(sent: &[u8], all: &[u8]) {
    let mut inflater = Inflater::default();
    inflater.push(&sent[..sent.len() / 2]);
    let mut got = Vec::new();
    assert_eq!(drain(&mut inflater, 100, usize::MAX, &mut got), Ok(false), "the beginning of our own stream");
    assert!(all.starts_with(&got), "what was not said came out");
}

fn foreign(source: &mut Unstructured<'_>) -> Result<()> {
    let mut inflater = Inflater::default();
    let (mut pushed, mut got) = (0, Vec::new());
    while !source.is_empty() {
        let step = usize::from(source.arbitrary::<u8>()?) * 16 + 1;
        let length = usize::from(source.arbitrary::<u8>()?).min(source.len());
        let wire = source.bytes(length)?;
        inflater.push(wire);
        pushed += length;
        let bomb = drain(&mut inflater, step, ENOUGH, &mut got);
        assert!(got.len() <= pushed * GROWTH, "{pushed} octets yielded {}", got.len());
        if bomb != Ok(false) {
            break;
        }
    }
    Ok(())
}

/// Take out what is there, in at most that many steps; true if more is left.
fn drain(
    inflater: &mut Inflater,
    size: usize,
    steps: usize,
    got: &mut Vec<u8>,
) -> std::result::Result<bool, DeflateError> {
    let mut plain = [0; 4096];
    let plain = &mut plain[..size];
    for _ in 0..steps {
        if !inflater.ready() {
            return Ok(false);
        }
        let kept = inflater.pending.len();
        let length = inflater.step(plain)?;
        assert!(length <= size, "more than was asked for");
        assert!(inflater.pending.len() <= kept, "more is kept than was pushed");
        assert!(length == size || !inflater.ready(), "a step stopped before the input did");
        got.extend_from_slice(&plain[..length]);
    }
    Ok(true)
}
