//! What can go wrong with a measurement.

use std::{fmt, io, path::PathBuf, process::ExitCode};

use mupdate_sync::client::ClientError;

/// Why there is no figure.
#[derive(Debug)]
pub enum BenchError {
    /// The options do not fit together, or name what does not exist.
    Options(String),
    /// A server cannot be reached, or does not do what it has to.
    Server {
        /// Which one; empty where that is not known yet.
        name: String,
        /// What it did.
        error: ClientError,
    },
    /// A server did not show a change within the time that was given to it.
    Silent {
        /// What was waited for.
        what: &'static str,
    },
    /// A file cannot be read or written.
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl BenchError {
    /// The same, with the server's name.
    pub(super) fn at(self, name: &str) -> Self {
        match self {
            Self::Server { error, .. } => Self::Server { name: name.to_owned(), error },
            other => other,
        }
    }

    /// As in sysexits(3).
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Options(_) => 64,
            Self::Server { .. } | Self::Silent { .. } => 69,
            Self::File { .. } => 74,
        })
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(text) => f.write_str(text),
            Self::Server { name, error } if name.is_empty() => error.fmt(f),
            Self::Server { name, error } => write!(f, "{name}: {error}"),
            Self::Silent { what } => write!(f, "waited in vain for {what}"),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for BenchError {}

impl From<ClientError> for BenchError {
    fn from(error: ClientError) -> Self {
        Self::Server { name: String::new(), error }
    }
}

impl From<io::Error> for BenchError {
    fn from(error: io::Error) -> Self {
        ClientError::from(error).into()
    }
}
