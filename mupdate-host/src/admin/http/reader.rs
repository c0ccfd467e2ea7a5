//! Requests out of octets that come in pieces.

use bytes::{Buf, Bytes, BytesMut};
use zeroize::Zeroize;

use super::{Refused, Request};

/// Octets of a head at most.
pub const HEAD: usize = 16 * 1024;

/// What has come of a connection's requests, and was not taken yet.
#[derive(Default)]
pub struct Reader {
    buffer: BytesMut,
    /// Up to here there is no end of a head.
    looked: usize,
    /// Octets of the body that were not taken yet.
    body: u64,
}

impl Reader {
    /// Octets from the peer.
    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Nothing has come of the next request.
    pub fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.body == 0
    }

    /// The next request's head, once all of it has come. What was not taken of the body before is passed over.
    ///
    /// # Errors
    /// What came is no request, or one that cannot be had: the connection has to end, with this answer.
    pub fn request(&mut self) -> Result<Option<Request>, Refused> {
        while self.body > 0 {
            if self.body(usize::MAX).is_empty() {
                return Ok(None);
            }
        }
        if self.looked == 0 {
            // RFC 9112 section 2.2: some send empty lines between requests.
            let empty = self.buffer.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
            self.buffer.advance(empty);
        }
        let end = self.head_end();
        if end.unwrap_or(self.buffer.len()) > HEAD {
            return Err(Refused::new(431, "the head of the request is too long"));
        }
        let Some(end) = end else { return Ok(None) };
        let mut head = self.buffer.split_to(end);
        self.looked = 0;
        let request = Request::parse(&head);
        // It may hold a password.
        head.as_mut().zeroize();
        let request = request?;
        self.body = request.length;
        Ok(Some(request))
    }

    /// What has come of the body, of so many octets at most; nothing if more has to be pushed first, or nothing is left.
    pub fn body(&mut self, most: usize) -> Bytes {
        let left = usize::try_from(self.body).unwrap_or(usize::MAX);
        let piece = self.buffer.split_to(left.min(most).min(self.buffer.len())).freeze();
        self.body -= piece.len() as u64;
        piece
    }

    /// Octets of the body that were not taken yet, whether they have come or not.
    pub fn body_left(&self) -> u64 {
        self.body
    }

    /// Octets that have come and were not taken.
    #[cfg(feature = "harness")]
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Where the head ends, behind its empty line. No octet is looked at twice, but for the last two.
    fn head_end(&mut self) -> Option<usize> {
        let octets = &self.buffer[..];
        for at in self.looked..octets.len() {
            match &octets[at..] {
                [b'\n', b'\n', ..] => return Some(at + 2),
                [b'\n', b'\r', b'\n', ..] => return Some(at + 3),
                _ => {}
            }
        }
        self.looked = octets.len().saturating_sub(2);
        None
    }
}

impl std::fmt::Debug for Reader {
    /// Without what has come, which may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { buffer, body, .. } = self;
        f.debug_struct("Reader").field("buffered", &buffer.len()).field("body", body).finish_non_exhaustive()
    }
}
