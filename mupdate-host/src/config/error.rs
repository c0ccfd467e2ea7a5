//! What is wrong with a configuration, told so that it can be put right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::exit::{Code, Fatal};

/// One thing that is wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line it stands in, counted from 1; 0 when it stands in none.
    pub line: usize,
    /// What is wrong, where, and what is allowed.
    pub text: String,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// The file that was named.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file was read, and is wrong.
    Wrong {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong, in the order of the lines; never empty.
        problems: Vec<Problem>,
    },
}

impl fmt::Display for ConfigError {
    /// One line, with the first problem and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Wrong { path, problems } => {
                write!(f, "{}: ", path.display())?;
                if let Some(first) = problems.first() {
                    f.write_str(&first.text)?;
                }
                match problems.len() {
                    ..=1 => Ok(()),
                    count => write!(f, " (and {} more; see check-config)", count - 1),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            Self::Wrong { .. } => None,
        }
    }
}

impl From<ConfigError> for Fatal {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Unreadable { path, error } => {
                Self::io("read", path, error, "name another with --config, or leave it out for the defaults")
            }
            ConfigError::Wrong { .. } => Self::new(Code::Config, error.to_string()),
        }
    }
}
