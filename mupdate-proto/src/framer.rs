//! Cuts a stream of octets into messages: lines, with the literals that they announce. Knows no grammar.

use crate::literal::{LineTail, Literal};
use crate::{FrameError, LimitKind, Tag};
use bytes::Bytes;
use memchr::memchr;

/// How much a peer may send at once, in octets. RFC 3656 asks for lines of 1,024 and literals of 4,096 at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Between two line ends, neither included. What a literal holds does not count.
    pub line: usize,
    /// In one literal.
    pub literal: usize,
    /// In a whole message: its lines, the line ends between them, and its literals.
    pub message: usize,
}

impl Default for Limits {
    /// 64 KiB, 1 MiB and 2 MiB: the access control lists of shared folders reach tens of kilobytes.
    fn default() -> Self {
        Limits { line: 64 << 10, literal: 1 << 20, message: 2 << 20 }
    }
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message, without the line end after it. Its literals are inline, announcement and all:
    /// `T FIND {3+}`, CRLF, `abc`. A blank line is an empty message. While a client logs in this may hold its
    /// password: do not log it.
    Message(Bytes),
    /// The peer waits for leave to send a literal (`{N}`): answer `+ go ahead`. Given once for each literal, and
    /// only for one within the limits.
    GoAhead,
    /// A message too long was dropped, and the stream is in step again: answer BAD and go on.
    TooLong {
        /// The tag of the dropped message, when it had one.
        tag: Option<Tag>,
        /// The first limit that it exceeded.
        limit: LimitKind,
    },
}

/// Finds the messages in what a peer sends.
///
/// - Any chunking of the same octets gives the same frames in the same order.
/// - Each octet is looked at a bounded number of times.
/// - Once [`next`](Self::next) has given `None`, no more than [`Limits::message`] and a CR is kept; until then, what
///   was pushed since is kept too.
/// - Of a message that is being dropped, nothing is kept but its tag.
/// - After an error nothing is kept, and every `next` gives the same error.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the message begins in `buffer`; all that is before it has been given out.
    start: usize,
    state: State,
}

/// Positions count from the beginning of the message.
#[derive(Debug)]
enum State {
    /// In a line that begins at `line`, of which the octets before `scanned` hold no LF and end in `tail`.
    Line { line: usize, scanned: usize, tail: LineTail },
    /// In a literal that ends before `end`.
    Literal { end: usize },
    /// In a message that is too long.
    Dropping(Dropping),
    /// The end.
    Failed(FrameError),
}

impl State {
    const START: State = State::Line { line: 0, scanned: 0, tail: LineTail::Other };
}

/// What is remembered of a message that is being dropped.
#[derive(Debug)]
struct Dropping {
    tag: Option<Tag>,
    limit: LimitKind,
    /// Octets of a literal still to be dropped.
    literal: usize,
    /// Octets of the line after it that have been dropped, and what they end in.
    line: usize,
    tail: LineTail,
}

/// How many times a limit a peer may exceed before the connection is given up.
const PATIENCE: usize = 16;

/// An empty buffer larger than this is given back: idle connections are many.
const KEEP: usize = 16 << 10;

impl Framer {
    /// A framer at the beginning of a stream.
    pub fn new(limits: Limits) -> Framer {
        Framer { limits, buffer: Vec::new(), start: 0, state: State::START }
    }

    /// Replaces the limits, for what has not been looked at yet.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many octets are kept.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// How many octets have been allocated for what is kept.
    #[cfg(feature = "harness")]
    #[doc(hidden)]
    pub fn allocated(&self) -> usize {
        self.buffer.capacity()
    }

    /// Takes what the peer sent. Call [`next`](Self::next) until it gives `None` before pushing more.
    pub fn push(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        // Moving what is left is paid for by what has been given out since it was last moved.
        if self.start > self.buffered() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// The next frame, or `None` when more octets are needed.
    ///
    /// # Errors
    /// When the stream cannot be followed any further; from then on always.
    #[allow(clippy::should_implement_trait, reason = "a parser, not an iterator: None is not the end")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        self.next_behind(|_| false)
    }

    /// The same behind those whole messages that `passes` has seen enough of where they lie.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_behind(
        &mut self,
        mut passes: impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<Frame>, FrameError> {
        let next = loop {
            let step = match &mut self.state {
                State::Line { .. } => self.line(),
                State::Literal { .. } => self.literal(),
                State::Dropping(_) => self.dropping(),
                State::Failed(error) => Err(*error),
            };
            match step {
                Ok(Step::On) => {}
                Ok(Step::Message { length, with_end }) => {
                    let message = &self.buffer[self.start..][..length];
                    let kept = (!passes(message)).then(|| Bytes::copy_from_slice(message));
                    self.consume(with_end);
                    if let Some(message) = kept {
                        break Ok(Some(Frame::Message(message)));
                    }
                }
                Ok(Step::Give(frame)) => break Ok(Some(frame)),
                Ok(Step::Wait) => break Ok(None),
                Err(error) => {
                    self.state = State::Failed(error);
                    self.consume(self.buffered());
                    break Err(error);
                }
            }
        };
        if self.buffered() == 0 {
            self.buffer.clear();
            self.start = 0;
            if self.buffer.capacity() > KEEP {
                self.buffer = Vec::new();
            }
        }
        next
    }

    /// Goes on within a line.
    fn line(&mut self) -> Result<Step, FrameError> {
        let State::Line { line, scanned, tail } = &mut self.state else { return Ok(Step::On) };
        let message = &self.buffer[self.start..];
        let lf = memchr(b'\n', &message[*scanned..]).map(|at| *scanned + at);
        let end = lf.unwrap_or(message.len());
        tail.feed(&message[*scanned..end]);
        *scanned = end;

        let octets = end - *line;
        let ended_by_cr = octets > 0 && message[end - 1] == b'\r';
        let content = end - usize::from(ended_by_cr);
        let room = self.limits.message.saturating_sub(*line);
        let tail = *tail;
        if content - *line > room.min(self.limits.line) {
            let limit = if self.limits.line <= room { LimitKind::Line } else { LimitKind::Message };
            let dropping = Dropping { tag: self.tag(), limit, literal: 0, line: octets, tail };
            self.consume(end);
            self.state = State::Dropping(dropping);
            return Ok(Step::On);
        }
        let Some(lf) = lf else { return Ok(Step::Wait) };

        let Some(literal) = tail.announced()? else {
            self.state = State::START;
            return Ok(Step::Message { length: content, with_end: lf + 1 });
        };
        let end = (lf + 1).saturating_add(literal.length);
        let limit = if literal.length > self.limits.literal {
            LimitKind::Literal
        } else if end > self.limits.message {
            LimitKind::Message
        } else {
            self.state = State::Literal { end };
            return Ok(if literal.synchronising { Step::Give(Frame::GoAhead) } else { Step::On });
        };
        let dropping = Dropping { tag: self.tag(), limit, literal: 0, line: 0, tail: LineTail::Other };
        self.consume(lf + 1);
        self.drop_literal(dropping, literal)
    }

    /// Goes on within a literal.
    fn literal(&mut self) -> Result<Step, FrameError> {
        let State::Literal { end } = self.state else { return Ok(Step::On) };
        if self.buffered() < end {
            return Ok(Step::Wait);
        }
        self.state = State::Line { line: end, scanned: end, tail: LineTail::Other };
        Ok(Step::On)
    }

    /// Goes on within a message that is too long.
    fn dropping(&mut self) -> Result<Step, FrameError> {
        let State::Dropping(dropping) = &mut self.state else { return Ok(Step::On) };
        let skipped = dropping.literal.min(self.buffer.len() - self.start);
        dropping.literal -= skipped;
        self.start += skipped;

        // Nothing, as long as the literal is not over.
        let octets = &self.buffer[self.start..];
        let lf = memchr(b'\n', octets);
        let end = lf.unwrap_or(octets.len());
        dropping.tail.feed(&octets[..end]);
        dropping.line = dropping.line.saturating_add(end);
        if dropping.line > self.limits.line.saturating_mul(PATIENCE) {
            return Err(FrameError::LineTooLong);
        }
        if lf.is_none() {
            self.consume(end);
            return Ok(Step::Wait);
        }

        let (tag, limit) = (dropping.tag.take(), dropping.limit);
        let literal = dropping.tail.announced()?;
        self.consume(end + 1);
        match literal {
            Some(literal) => {
                let dropping = Dropping { tag, limit, literal: 0, line: 0, tail: LineTail::Other };
                self.drop_literal(dropping, literal)
            }
            None => {
                self.state = State::START;
                Ok(Step::Give(Frame::TooLong { tag, limit }))
            }
        }
    }

    /// A message that is too long goes on with `literal`.
    fn drop_literal(&mut self, dropping: Dropping, literal: Literal) -> Result<Step, FrameError> {
        if literal.synchronising {
            // The peer waits, and will be told BAD: it sends neither this literal nor what would follow.
            self.state = State::START;
            return Ok(Step::Give(Frame::TooLong { tag: dropping.tag, limit: dropping.limit }));
        }
        if literal.length > self.limits.literal.saturating_mul(PATIENCE) {
            return Err(FrameError::LiteralTooLong);
        }
        self.state = State::Dropping(Dropping { literal: literal.length, ..dropping });
        Ok(Step::On)
    }

    /// The tag of the message, if it has a proper one with a space after it.
    ///
    /// Looks no further than the limits reach, since how much more is there depends on the chunking.
    fn tag(&self) -> Option<Tag> {
        let message = &self.buffer[self.start..];
        let reach = self.limits.line.min(self.limits.message).min(Tag::MAX + 1);
        let space = memchr(b' ', &message[..message.len().min(reach)])?;
        Tag::new(Bytes::copy_from_slice(&message[..space])).ok()
    }

    fn consume(&mut self, octets: usize) {
        self.start += octets;
    }
}

enum Step {
    /// The state has changed: look again.
    On,
    /// A message is complete: so many octets, and with its line end so many, from where it begins.
    Message { length: usize, with_end: usize },
    /// This is what came.
    Give(Frame),
    /// More octets are needed.
    Wait,
}

#[cfg(test)]
mod tests;
