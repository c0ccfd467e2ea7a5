//! COMPRESS DEFLATE: raw deflate in both directions, in the manner of RFC 4978.
//!
//! - [`Deflater`] ends every burst with a sync flush, so that the peer can read all that was said without waiting.
//! - [`Inflater`] yields what it is asked for and no more: a few octets that would grow to gigabytes stay a few
//!   octets until somebody wants the rest.

#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Octets that may come out of however little went in, and beyond which it counts how little that was.
const WINDOW: u64 = 1 << 20;

/// Octets that one step of the compressor may add.
const STEP: usize = 8 * 1024;

/// The sending half.
#[derive(Debug)]
pub struct Deflater(Compress);

impl Default for Deflater {
    /// Names of mailboxes are so much alike that the fastest level does nearly as well as the best.
    fn default() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }
}

impl Deflater {
    /// Compress a burst and append it to `wire`, such that the peer can decode all of it at once.
    /// An empty burst adds nothing.
    pub fn burst(&mut self, plain: &[u8], wire: &mut BytesMut) -> Result<(), DeflateError> {
        if plain.is_empty() {
            return Ok(());
        }
        let mut rest = plain;
        let mut step = [0; STEP];
        loop {
            let (taken, given) = (self.0.total_in(), self.0.total_out());
            let status =
                self.0.compress(rest, &mut step, FlushCompress::Sync).map_err(|_| DeflateError::Broken)?;
            let added = difference(given, self.0.total_out());
            rest.advance(difference(taken, self.0.total_in()).min(rest.len()));
            wire.extend_from_slice(&step[..added]);
            // Room left in the step means that nothing is left inside the compressor.
            if added < STEP && rest.is_empty() {
                return Ok(());
            }
            if status == Status::StreamEnd {
                return Err(DeflateError::Broken);
            }
        }
    }
}

/// The receiving half: compressed octets go in as they come, plain ones are taken out as they are wanted.
#[derive(Debug)]
pub struct Inflater {
    state: Decompress,
    pending: BytesMut,
    /// The last step filled its buffer, so the decoder may hold more without any new input.
    more: bool,
    growth: Growth,
}

impl Default for Inflater {
    /// One that lets its input grow as it likes.
    fn default() -> Self {
        Self::new(None)
    }
}

impl Inflater {
    /// One whose output is no more than `most` times its input; `None` is without limit.
    pub fn new(most: Option<u32>) -> Self {
        let growth = Growth { most, taken: 0, given: 0 };
        Self { state: Decompress::new(false), pending: BytesMut::new(), more: false, growth }
    }

    /// Keep what came from the socket.
    pub fn push(&mut self, wire: &[u8]) {
        self.pending.extend_from_slice(wire);
    }

    /// Whether [`step`](Self::step) may have something to give.
    pub fn ready(&self) -> bool {
        self.more || !self.pending.is_empty()
    }

    /// How many octets wait to be decoded.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Decode up to `plain.len()` octets; says how many. None only means that more input is needed.
    ///
    /// # Errors
    /// What the peer sent is not deflate, or says that it ends, which RFC 4978 has no use for; or it grows too much.
    pub fn step(&mut self, plain: &mut [u8]) -> Result<usize, DeflateError> {
        let (taken, given) = (self.state.total_in(), self.state.total_out());
        let status = self
            .state
            .decompress(&self.pending, plain, FlushDecompress::Sync)
            .map_err(|_| DeflateError::NotDeflate)?;
        let taken = difference(taken, self.state.total_in()).min(self.pending.len());
        let given = difference(given, self.state.total_out()).min(plain.len());
        self.pending.advance(taken);
        self.more = given == plain.len();
        self.growth.count(taken, given)?;
        match status {
            Status::StreamEnd => Err(DeflateError::Ended),
            // Neither side moved although there is input: the decoder will never take it.
            _ if taken == 0 && given == 0 && !self.pending.is_empty() => Err(DeflateError::NotDeflate),
            _ => Ok(given),
        }
    }
}

/// How much grew out of how little, lately: what came long ago counts for less and less, so that nobody can save up for a
/// bomb.
#[derive(Debug)]
struct Growth {
    most: Option<u32>,
    taken: u64,
    given: u64,
}

impl Growth {
    fn count(&mut self, taken: usize, given: usize) -> Result<(), DeflateError> {
        let Some(most) = self.most else { return Ok(()) };
        self.taken += taken as u64;
        self.given += given as u64;
        if self.given < WINDOW {
            return Ok(());
        }
        if self.given > self.taken * u64::from(most) {
            return Err(DeflateError::Grows);
        }
        self.taken /= 2;
        self.given /= 2;
        Ok(())
    }
}

/// How far a counter of the codec went in one step; a step is bounded by its buffers, which fit a `usize`.
fn difference(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// Why a compressed connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeflateError {
    /// Peer: the octets are not a deflate stream.
    NotDeflate,
    /// Peer: the deflate stream was ended while the connection goes on.
    Ended,
    /// Peer: what it sent grows to more than is allowed.
    Grows,
    /// Us: the compressor refused to work.
    Broken,
}

impl std::fmt::Display for DeflateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotDeflate => "the peer's octets are not a deflate stream",
            Self::Ended => "the peer ended its deflate stream",
            Self::Grows => "what the peer compressed grows too much",
            Self::Broken => "the compressor failed",
        })
    }
}

impl std::error::Error for DeflateError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that can be decoded of what was pushed, in steps of `size`.
    fn drain(inflater: &mut Inflater, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut plain = vec![0; size];
        while inflater.ready() {
            let n = inflater.step(&mut plain).expect("valid input");
            all.extend_from_slice(&plain[..n]);
            if n == 0 {
                break;
            }
        }
        all
    }

    #[test]
    fn each_burst_can_be_read_at_once_in_any_chunks() {
        let mut deflater = Deflater::default();
        let mut inflater = Inflater::default();
        for length in [1, 5, 4096, 100_000, 3] {
            let burst: Vec<u8> =
                (0..length).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let mut wire = BytesMut::new();
            deflater.burst(&burst, &mut wire).expect("compress");
            let mut got = Vec::new();
            for octet in wire.chunks(7) {
                inflater.push(octet);
                got.extend(drain(&mut inflater, 13));
            }
            assert_eq!(got, burst);
        }
    }

    #[test]
    fn an_empty_burst_costs_nothing() {
        let mut wire = BytesMut::new();
        Deflater::default().burst(b"", &mut wire).expect("compress");
        assert!(wire.is_empty());
    }

    #[test]
    fn a_bomb_is_decoded_no_faster_than_it_is_wanted() {
        let mut wire = BytesMut::new();
        Deflater::default().burst(&vec![b'a'; 10_000_000], &mut wire).expect("compress");
        assert!(wire.len() < 100_000, "{}", wire.len());
        let mut inflater = Inflater::default();
        inflater.push(&wire);
        let mut plain = [0; 1000];
        assert_eq!(inflater.step(&mut plain), Ok(1000));
        assert!(inflater.ready());
        assert!(!inflater.pending.is_empty(), "most of the input was not looked at");
    }

    /// How many octets come out of this until it is refused.
    fn grown(inflater: &mut Inflater, wire: &[u8]) -> Result<usize, usize> {
        inflater.push(wire);
        let (mut plain, mut all) = ([0; 1024], 0);
        while inflater.ready() {
            match inflater.step(&mut plain) {
                Ok(0) => break,
                Ok(length) => all += length,
                Err(error) => {
                    assert_eq!(error, DeflateError::Grows);
                    return Err(all);
                }
            }
        }
        Ok(all)
    }

    #[test]
    fn a_bomb_is_refused_as_soon_as_it_is_seen_to_be_one() {
        let mut wire = BytesMut::new();
        let mut deflater = Deflater(Compress::new(Compression::best(), false));
        deflater.burst(&vec![b'a'; 10_000_000], &mut wire).expect("compress");
        let most = usize::try_from(WINDOW).expect("small");
        assert_eq!(grown(&mut Inflater::new(Some(200)), &wire), Err(most - 1024));
        assert_eq!(grown(&mut Inflater::new(Some(2000)), &wire), Ok(10_000_000));
        assert_eq!(grown(&mut Inflater::new(None), &wire), Ok(10_000_000));
    }

    #[test]
    fn an_honest_list_grows_as_it_likes_and_saves_nothing_up_for_a_bomb() {
        // What a backend sends that tells of all it has: one ACL for everything, which is as good as it gets.
        let acl = "anyone\tlrswipkxtecda\tgroup:staff\tlrs\t".repeat(5);
        let list: String = (0..100_000)
            .map(|number| format!("A{number} ACTIVATE \"user.u{number}\" \"be1!default\" \"{acl}\"\r\n"))
            .collect();
        let (mut deflater, mut wire) = (Deflater(Compress::new(Compression::best(), false)), BytesMut::new());
        deflater.burst(list.as_bytes(), &mut wire).expect("compress");
        let ratio = list.len() / wire.len();
        assert!((20..100).contains(&ratio), "{ratio}");
        let mut inflater = Inflater::new(Some(200));
        assert_eq!(grown(&mut inflater, &wire), Ok(list.len()));
        wire.clear();
        deflater.burst(&vec![b'a'; 50_000_000], &mut wire).expect("compress");
        let more = grown(&mut inflater, &wire).expect_err("a bomb");
        assert!(more < 4 << 20, "{more} octets of a bomb after {} of a list", list.len());
    }

    #[test]
    fn garbage_is_an_error() {
        let mut inflater = Inflater::default();
        inflater.push(b"\xff\xff\xff\xffX1 NOOP\r\n");
        assert_eq!(inflater.step(&mut [0; 64]), Err(DeflateError::NotDeflate));
    }

    #[test]
    fn a_stream_that_ends_is_an_error() {
        let mut inflater = Inflater::default();
        inflater.push(&[0x03, 0x00]); // an empty final block
        assert_eq!(inflater.step(&mut [0; 64]), Err(DeflateError::Ended));
    }
}
