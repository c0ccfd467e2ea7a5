//! Raw deflate as COMPRESS wants it (RFC 4978), for both ends of a test.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Both directions of one end.
pub struct Deflate {
    outgoing: Compress,
    incoming: Decompress,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { outgoing: Compress::new(Compression::default(), false), incoming: Decompress::new(false) }
    }
}

impl Deflate {
    /// Deflates octets to send, to the last bit: the other end can inflate all of them at once.
    pub fn pack(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut rest = octets;
        loop {
            packed.reserve(rest.len() + 64);
            let before = self.outgoing.total_in();
            self.outgoing
                .compress_vec(rest, &mut packed, FlushCompress::Sync)
                .expect("any octets can be deflated");
            rest = &rest[length(self.outgoing.total_in() - before)..];
            // Room left over means that the flush is complete.
            if packed.len() < packed.capacity() {
                return packed;
            }
        }
    }

    /// Inflates octets received.
    ///
    /// # Errors
    /// They are not deflate.
    pub fn unpack(&mut self, packed: &[u8]) -> Result<Vec<u8>, String> {
        let mut octets = Vec::new();
        let mut rest = packed;
        loop {
            octets.reserve(rest.len() * 4 + 4096);
            let before = self.incoming.total_in();
            let status = self
                .incoming
                .decompress_vec(rest, &mut octets, FlushDecompress::Sync)
                .map_err(|error| format!("not deflate: {error}"))?;
            rest = &rest[length(self.incoming.total_in() - before)..];
            if status == Status::StreamEnd || octets.len() < octets.capacity() {
                return Ok(octets);
            }
        }
    }
}

fn length(octets: u64) -> usize {
    usize::try_from(octets).expect("what is in memory can be counted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_again_at_once() {
        let (mut here, mut there) = (Deflate::default(), Deflate::default());
        for octets in [&b"A1 NOOP\r\n"[..], &[7; 300_000], b"", b"A2 LOGOUT\r\n"] {
            let packed = here.pack(octets);
            assert_eq!(there.unpack(&packed).unwrap(), octets);
        }
        assert!(there.unpack(&[0xff; 6]).is_err());
    }
}
