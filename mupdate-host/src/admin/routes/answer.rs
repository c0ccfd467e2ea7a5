//! What is said to a request.

use std::{fmt, io};

use serde::Serialize;

use super::Out;
use crate::{
    admin::{api::Failure, http::Refused, server::Long},
    store::StoreError,
};

const JSON: &str = "application/json";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The media type.
    pub kind: &'static str,
    /// Other fields of its head.
    pub fields: Vec<(&'static str, String)>,
    /// What it says.
    pub content: Content,
    /// The connection ends with it: browsers keep connections that they may never use again.
    pub last: bool,
}

/// What an answer says.
pub enum Content {
    /// This, which is short.
    Whole(Vec<u8>),
    /// What is written by and by.
    Stream {
        /// Its octets, if that is known.
        length: Option<u64>,
        /// Which of the bounds for long answers it counts for.
        long: Long,
        /// Writes it; called once the head is written, if at all.
        write: Write,
    },
}

/// Writes an answer.
pub type Write = Box<dyn FnOnce(&mut Out<'_>) -> io::Result<()> + Send>;

impl Answer {
    /// A text, of this media type.
    pub fn text(kind: &'static str, text: impl Into<Vec<u8>>) -> Self {
        let content = Content::Whole(text.into());
        Self { status: 200, kind, fields: Vec::new(), content, last: false }
    }

    /// Something as JSON, on one line.
    pub fn json(value: &impl Serialize) -> Self {
        Self::json_with(200, value)
    }

    /// The same with this status.
    pub fn json_with(status: u16, value: &impl Serialize) -> Self {
        let mut text = serde_json::to_vec(value).expect("what the interface says has string keys");
        text.push(b'\n');
        Self { status, ..Self::text(JSON, text) }
    }

    /// Lines of JSON, as many as there are, written with [`Out::line`].
    pub fn lines(write: impl FnOnce(&mut Out<'_>) -> io::Result<()> + Send + 'static) -> Self {
        Self::stream("application/jsonl", None, write)
    }

    /// Octets of this media type, as many as `length` if that is known.
    pub fn stream(
        kind: &'static str,
        length: Option<u64>,
        write: impl FnOnce(&mut Out<'_>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let content = Content::Stream { length, long: Long::List, write: Box::new(write) };
        Self { status: 200, kind, fields: Vec::new(), content, last: false }
    }

    /// Events for a page that is open, as long as it is.
    pub fn events(write: impl FnOnce(&mut Out<'_>) -> io::Result<()> + Send + 'static) -> Self {
        let content = Content::Stream { length: None, long: Long::Page, write: Box::new(write) };
        Self { status: 200, kind: "text/event-stream", fields: Vec::new(), content, last: true }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let Refused { status, error } = refused;
        let mut answer = Self::json_with(status, &Failure { error });
        match status {
            401 => {
                answer.fields.push(("WWW-Authenticate", r#"Basic realm="mupdate", charset="UTF-8""#.into()))
            }
            503 => answer.fields.push(("Retry-After", "1".into())),
            _ => {}
        }
        answer
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the directory cannot be read for the admin interface");
        Self::new(500, format!("the directory cannot be read: {error}"))
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        Self::other(error)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(octets) => f.debug_tuple("Whole").field(&octets.len()).finish(),
            Self::Stream { length, .. } => {
                f.debug_struct("Stream").field("length", length).finish_non_exhaustive()
            }
        }
    }
}
