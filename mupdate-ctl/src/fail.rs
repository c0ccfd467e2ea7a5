//! How the tool ends when it does not end well: an exit code, and one line that says what to do.

use std::{fmt, io, path::Path, process::ExitCode};

use crate::show::text::one_line;

/// The exit codes, as `--help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The answer is no: not found, refused, findings.
    No = 1,
    /// Findings that cannot wait.
    Alarm = 3,
    /// The command line or the tool's own configuration is wrong.
    Usage = 2,
    /// A file that was named cannot be read.
    NoInput = 66,
    /// There is no connection.
    Unavailable = 69,
    /// The server says what cannot be understood, or ends too early.
    Protocol = 76,
    /// A file cannot be written.
    Io = 74,
    /// The login is refused.
    Login = 77,
}

/// Why the tool ends.
#[derive(Debug)]
pub enum Fail {
    /// With a line on standard error.
    Said(Code, String),
    /// With a measurement's own line and code.
    Bench(crate::bench::BenchError),
    /// With the line and code of what the daemons do too.
    Host(mupdate_host::exit::Fatal),
    /// All that there is to say has been said.
    Silent(Code),
    /// Whoever read our output has seen enough, `head` for one: no failure at all.
    Pipe,
}

impl Fail {
    /// With this line; what a server or a name put into it cannot harm a terminal.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self::Said(code, one_line(&text.into()))
    }

    /// The command line cannot be carried out.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Code::Usage, text)
    }

    /// A file cannot be read.
    pub fn read(path: &Path, error: &io::Error) -> Self {
        Self::new(Code::NoInput, format!("cannot read {}: {error}", path.display()))
    }

    /// A file cannot be written.
    pub fn write(path: &Path, error: &io::Error) -> Self {
        Self::new(Code::Io, format!("cannot write {}: {error}", path.display()))
    }

    /// Tell on standard error, if there is anything to tell.
    pub fn tell(&self) -> ExitCode {
        use io::Write;
        // Nothing can be done where even standard error is closed.
        let _ = match self {
            Self::Said(_, text) => writeln!(io::stderr(), "mupdatectl: {text}"),
            Self::Bench(error) => writeln!(io::stderr(), "mupdatectl: {error}"),
            Self::Host(fatal) => writeln!(io::stderr(), "mupdatectl: {fatal}"),
            Self::Silent(_) | Self::Pipe => Ok(()),
        };
        match self {
            Self::Said(code, _) | Self::Silent(code) => ExitCode::from(*code as u8),
            Self::Bench(error) => error.exit_code(),
            Self::Host(fatal) => fatal.code.into(),
            Self::Pipe => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(_, text) => f.write_str(text),
            Self::Bench(error) => error.fmt(f),
            Self::Host(fatal) => fatal.fmt(f),
            Self::Silent(_) | Self::Pipe => Ok(()),
        }
    }
}

impl From<crate::bench::BenchError> for Fail {
    fn from(error: crate::bench::BenchError) -> Self {
        Self::Bench(error)
    }
}

/// What is written goes to standard output.
impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::new(Code::Io, format!("cannot write to standard output: {error}")),
        }
    }
}
