//! The framer once more: slow and plain, over a whole stream at once and line by line.

use crate::{Frame, FrameError, LimitKind, Limits, Tag};
use bytes::Bytes;

/// How many times a limit may be exceeded before the stream is given up.
const PATIENCE: usize = 16;

/// All frames of a stream, up to the first error.
pub(super) fn frames(limits: Limits, stream: &[u8]) -> Vec<Result<Frame, FrameError>> {
    let mut frames = Vec::new();
    let mut rest = stream;
    loop {
        match message(limits, rest, &mut frames) {
            Ok(Some(length)) => rest = &rest[length..],
            Ok(None) => return frames,
            Err(error) => {
                frames.push(Err(error));
                return frames;
            }
        }
    }
}

/// The frames of the message that `stream` begins with. Gives its length, with the line end; `None` if it is not whole.
fn message(
    limits: Limits,
    stream: &[u8],
    frames: &mut Vec<Result<Frame, FrameError>>,
) -> Result<Option<usize>, FrameError> {
    let mut over = None;
    let mut at = 0;
    loop {
        let lf = stream[at..].iter().position(|octet| *octet == b'\n');
        let line = &stream[at..lf.map_or(stream.len(), |lf| at + lf)];
        let content = line.strip_suffix(b"\r").unwrap_or(line);
        let room = limits.message.saturating_sub(at);
        if over.is_none() && content.len() > limits.line.min(room) {
            over = Some(if limits.line <= room { LimitKind::Line } else { LimitKind::Message });
        }
        if over.is_some() && line.len() > limits.line * PATIENCE {
            return Err(FrameError::LineTooLong);
        }
        let Some(lf) = lf else { return Ok(None) };
        let content_end = at + content.len();
        at += lf + 1;
        let Some((length, waits)) = announced(content)? else {
            frames.push(Ok(match over {
                Some(limit) => Frame::TooLong { tag: tag(limits, stream), limit },
                None => Frame::Message(Bytes::copy_from_slice(&stream[..content_end])),
            }));
            return Ok(Some(at));
        };
        if over.is_none() && length > limits.literal {
            over = Some(LimitKind::Literal);
        } else if over.is_none() && at + length > limits.message {
            over = Some(LimitKind::Message);
        }
        match over {
            Some(limit) if waits => {
                frames.push(Ok(Frame::TooLong { tag: tag(limits, stream), limit }));
                return Ok(Some(at));
            }
            Some(_) if length > limits.literal * PATIENCE => return Err(FrameError::LiteralTooLong),
            None if waits => frames.push(Ok(Frame::GoAhead)),
            _ => {}
        }
        if stream.len() - at < length {
            return Ok(None);
        }
        at += length;
    }
}

/// The length of the literal that a line announces, and whether its sender waits for leave.
fn announced(line: &[u8]) -> Result<Option<(usize, bool)>, FrameError> {
    let Some(line) = line.strip_suffix(b"}") else { return Ok(None) };
    let (line, waits) = line.strip_suffix(b"+").map_or((line, true), |line| (line, false));
    let digits = line.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = line.split_at(line.len() - digits);
    if digits.is_empty() || !before.ends_with(b"{") {
        return Ok(None);
    }
    let number = str::from_utf8(digits).expect("digits are ASCII");
    let length: u32 = number.parse().map_err(|_| FrameError::LiteralLength)?;
    Ok(Some((usize::try_from(length).map_err(|_| FrameError::LiteralLength)?, waits)))
}

/// The tag of a message: what stands before its first space, if that is near enough, and a tag.
fn tag(limits: Limits, message: &[u8]) -> Option<Tag> {
    let reach = limits.line.min(limits.message).min(Tag::MAX + 1);
    let end = message.iter().take(reach).position(|octet| *octet == b' ')?;
    Tag::new(Bytes::copy_from_slice(&message[..end])).ok()
}
