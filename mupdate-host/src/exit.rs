//! How a program of this workspace ends: an exit code of sysexits(3) and one line that says what to do.

use std::fmt;
use std::io;
use std::path::Path;

/// The exit codes of sysexits(3) that the daemons use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The command line is wrong.
    Usage = 64,
    /// Data given to the program is wrong: a password, a line of the users file, a database.
    Data = 65,
    /// A file that was named is missing or cannot be read.
    NoInput = 66,
    /// Something needed is in use or not there: a port, a data directory that another daemon holds.
    Unavailable = 69,
    /// A fault of this program.
    Software = 70,
    /// The operating system refused a thread, a signal handler, random octets.
    OsErr = 71,
    /// A file or directory cannot be created.
    CantCreat = 73,
    /// Reading or writing failed.
    IoErr = 74,
    /// The permissions do not allow it.
    NoPerm = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl Code {
    /// The number given to the operating system.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// An error that ends the program. Its text is one line: what happened; what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// What the program exits with.
    pub code: Code,
    /// What happened, and after a semicolon what to do. Without the program's name.
    pub message: String,
}

impl Fatal {
    /// An error with this code; line ends and other control characters in `message` become spaces.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = message.trim().chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        Self { code, message }
    }

    /// The operating system refused something done to `path`: `doing` says what ("write", "create"), `advice` what
    /// the operator can do when the reason is none of the usual ones. The code follows from the error.
    pub fn io(doing: &str, path: &Path, error: &io::Error, advice: &str) -> Self {
        let (code, advice) = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                (Code::NoPerm, "run as the user who owns it, or change its permissions")
            }
            io::ErrorKind::ReadOnlyFilesystem => (Code::NoPerm, "choose a place that can be written"),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if doing == "create" => {
                (Code::CantCreat, advice)
            }
            io::ErrorKind::NotFound => (Code::NoInput, advice),
            io::ErrorKind::InvalidData => (Code::Data, "it has to be UTF-8 text; restore or remove it"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (Code::IoErr, "make room on the disk")
            }
            _ if doing == "create" => (Code::CantCreat, advice),
            _ => (Code::IoErr, advice),
        };
        Self::new(code, format!("cannot {doing} {}: {error}; {advice}", path.display()))
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fatal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let fatal = Fatal::new(Code::Data, " one\ntwo\r\nthree\n");
        assert_eq!(fatal.to_string(), "one two  three");
        assert_eq!(fatal.code.number(), 65);
    }

    #[test]
    fn the_code_follows_from_the_error() {
        let path = Path::new("/x/y");
        let fatal = |doing, kind| Fatal::io(doing, path, &io::Error::from(kind), "do this");
        assert_eq!(fatal("read", io::ErrorKind::PermissionDenied).code, Code::NoPerm);
        assert_eq!(fatal("read", io::ErrorKind::NotFound).code, Code::NoInput);
        assert_eq!(fatal("create", io::ErrorKind::NotFound).code, Code::CantCreat);
        assert_eq!(fatal("write", io::ErrorKind::StorageFull).code, Code::IoErr);
        let text = fatal("read", io::ErrorKind::NotFound).message;
        assert!(text.starts_with("cannot read /x/y: ") && text.ends_with("; do this"), "{text}");
    }
}
