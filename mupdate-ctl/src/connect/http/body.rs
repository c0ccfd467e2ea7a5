//! The body of an answer: as long as was said, in chunks, or up to the end of the connection (RFC 9112 section 6).

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use crate::connect::stream::{PATIENCE, Stream};

/// Octets of a line that says how long a chunk is, or of a trailer.
const LINE: u64 = 8 << 10;

/// How a body's end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// That many octets are left.
    Length(u64),
    /// That many are left of this chunk.
    Chunks(u64),
    /// The connection ends.
    ToEnd,
    /// It has ended.
    Done,
}

/// A body that is being read. Its end is an end only if all of it has come.
pub struct Body<S = Stream> {
    reader: BufReader<S>,
    framing: Framing,
    /// The end of the chunk before has yet to be read.
    inside: bool,
}

/// What the head says of the body.
///
/// # Errors
/// It cannot be understood.
pub fn framing(headers: &[httparse::Header<'_>]) -> io::Result<Framing> {
    let named = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if let Some(coding) = named("Transfer-Encoding") {
        return match coding.value.eq_ignore_ascii_case(b"chunked") {
            true => Ok(Framing::Chunks(0)),
            false => Err(wrong("an unknown transfer encoding")),
        };
    }
    let Some(length) = named("Content-Length") else { return Ok(Framing::ToEnd) };
    let length = std::str::from_utf8(length.value).ok().and_then(|text| text.trim().parse().ok());
    length.map(Framing::Length).ok_or_else(|| wrong("a content length that is no number"))
}

impl Body {
    /// Behind the head.
    pub fn new(reader: BufReader<Stream>, framing: Framing) -> Self {
        // Streams of changes may be silent for as long as nothing changes.
        let patience = if matches!(framing, Framing::Chunks(_)) { None } else { Some(PATIENCE) };
        reader.get_ref().patience(patience);
        Self { reader, framing, inside: false }
    }
}

impl<S: Read> Body<S> {
    /// How many octets the next chunk has; 0 at the end.
    fn chunk(&mut self) -> io::Result<u64> {
        if self.inside && !self.line()?.is_empty() {
            return Err(wrong("a chunk that is longer than it said"));
        }
        self.inside = true;
        let mut line = self.line()?;
        line.extend_from_slice(b"\r\n");
        match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((_, size))) => Ok(size),
            _ => Err(wrong("a chunk without a length")),
        }
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader).take(LINE).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    fn part(&mut self, octets: &mut [u8], left: u64) -> io::Result<usize> {
        let most = usize::try_from(left).map_or(octets.len(), |left| left.min(octets.len()));
        match self.reader.read(&mut octets[..most])? {
            0 if most > 0 => Err(ErrorKind::UnexpectedEof.into()),
            length => Ok(length),
        }
    }
}

impl<S: Read> Read for Body<S> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        if octets.is_empty() {
            return Ok(0);
        }
        loop {
            match self.framing {
                Framing::Done | Framing::Length(0) => return Ok(0),
                Framing::ToEnd => return self.reader.read(octets),
                Framing::Length(left) => {
                    let length = self.part(octets, left)?;
                    self.framing = Framing::Length(left - length as u64);
                    return Ok(length);
                }
                Framing::Chunks(0) => match self.chunk()? {
                    0 => {
                        while !self.line()?.is_empty() {}
                        self.framing = Framing::Done;
                    }
                    size => self.framing = Framing::Chunks(size),
                },
                Framing::Chunks(left) => {
                    let length = self.part(octets, left)?;
                    self.framing = Framing::Chunks(left - length as u64);
                    return Ok(length);
                }
            }
        }
    }
}

fn wrong(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the answer has {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8], framing: Framing) -> Result<Vec<u8>, ErrorKind> {
        let mut body = Body { reader: BufReader::with_capacity(3, octets), framing, inside: false };
        let mut all = Vec::new();
        body.read_to_end(&mut all).map(|_| all).map_err(|error| error.kind())
    }

    #[test]
    fn bodies_end_where_they_say() {
        assert_eq!(read(b"hello, world", Framing::Length(5)), Ok(b"hello".to_vec()));
        assert_eq!(read(b"hello", Framing::ToEnd), Ok(b"hello".to_vec()));
        let chunks = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX: y\r\n\r\nmore";
        assert_eq!(read(chunks, Framing::Chunks(0)), Ok(b"hello, world".to_vec()));
    }

    #[test]
    fn what_was_cut_is_no_end() {
        let cut = Err(ErrorKind::UnexpectedEof);
        assert_eq!(read(b"hell", Framing::Length(5)), cut);
        for chunks in ["", "5", "5\r\nhell", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n"] {
            assert_eq!(read(chunks.as_bytes(), Framing::Chunks(0)), cut, "{chunks}");
        }
        assert_eq!(read(b"5\r\nhello!\r\n0\r\n\r\n", Framing::Chunks(0)), Err(ErrorKind::InvalidData));
        assert_eq!(read(b"x\r\n", Framing::Chunks(0)), Err(ErrorKind::InvalidData));
    }

    #[test]
    fn heads_say_how_bodies_end() {
        let header =
            |name, value: &'static str| framing(&[httparse::Header { name, value: value.as_bytes() }]).ok();
        assert_eq!(header("content-length", "12"), Some(Framing::Length(12)));
        assert_eq!(header("Transfer-Encoding", "chunked"), Some(Framing::Chunks(0)));
        assert_eq!(header("X", "y"), Some(Framing::ToEnd));
        assert_eq!(header("Content-Length", "-1").or(header("Transfer-Encoding", "gzip")), None);
    }
}
