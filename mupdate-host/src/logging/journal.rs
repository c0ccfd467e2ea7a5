//! Logs for journald, in its own protocol: each field of an event is a field there, to be searched for.
//!
//! `MESSAGE` is the line that would stand on standard error, fields and all, as `journalctl` shows nothing else by itself;
//! that is why this is no crate's: they leave the fields out of it. A field `peer` is `MUPDATE_PEER` beside it.
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>

use std::{
    fmt::{Debug, Write as _},
    io::{self, Write as _},
    os::unix::net::{SocketAddr, UnixDatagram},
    path::Path,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FormatFields,
        format::{DefaultFields, Writer},
    },
    layer::{Context, Layer},
};

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The variable that says of which device and inode a stream to journald is.
const STREAM: &str = "JOURNAL_STREAM";

/// What stands before the names of fields, so that they are nobody else's.
const PREFIX: &str = "MUPDATE_";

/// The longest name that journald takes.
const LONGEST: usize = 64;

/// Is standard error a stream to journald?
pub(super) fn is_at_standard_error() -> bool {
    let Some(stream) = std::env::var_os(STREAM) else { return false };
    let is = rustix::fs::fstat(io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    is.is_ok_and(|is| stream.to_str() == Some(&is))
}

/// Sends events to journald.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    to: SocketAddr,
    program: String,
}

impl Journal {
    /// Send them here, as what this program says.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn at(path: &Path, program: &str) -> io::Result<Self> {
        let (socket, to) = (UnixDatagram::unbound()?, SocketAddr::from_pathname(path)?);
        // An entry without fields is none.
        socket.send_to_addr(&[], &to)?;
        Ok(Self { socket, to, program: program.to_owned() })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let (priority, mut line) = (priority(*metadata.level()), String::new());
        let _ = DefaultFields::new().format_fields(Writer::new(&mut line), event);
        let mut entry = Entry::default();
        entry.put("MESSAGE", &line);
        entry.put("PRIORITY", priority);
        entry.put("SYSLOG_IDENTIFIER", &self.program);
        entry.put("MUPDATE_TARGET", metadata.target());
        if let (Some(file), Some(number)) = (metadata.file(), metadata.line()) {
            entry.put("CODE_FILE", file);
            entry.put("CODE_LINE", &number.to_string());
        }
        event.record(&mut entry);
        if self.socket.send_to_addr(&entry.0, &self.to).is_err() {
            // It is too long for a datagram, or journald is started anew just now: its stream waits.
            let _ = writeln!(io::stderr(), "<{priority}>{line}");
        }
    }
}

/// As syslog(3) has it.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// One entry as it is sent.
#[derive(Debug, Default)]
struct Entry(Vec<u8>);

impl Entry {
    fn put(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // Octets, preceded by how many there are.
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }

    fn put_field(&mut self, field: &Field, value: &str) {
        // It stands at the head of the message already.
        if field.name() == "message" {
            return;
        }
        let legal = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
        let name: String = PREFIX.chars().chain(field.name().chars().map(legal)).take(LONGEST).collect();
        self.put(&name, value);
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_field(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.put_field(field, &text);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The fields of an entry.
    fn parse(mut octets: &[u8]) -> BTreeMap<String, String> {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("text");
        let mut fields = BTreeMap::new();
        while !octets.is_empty() {
            let end = octets.iter().position(|octet| b"=\n".contains(octet)).expect("a name ends");
            let (name, rest) = (text(&octets[..end]), &octets[end + 1..]);
            let (value, rest) = if octets[end] == b'=' {
                let end = rest.iter().position(|octet| *octet == b'\n').expect("a value ends");
                (&rest[..end], &rest[end + 1..])
            } else {
                let length = u64::from_le_bytes(rest[..8].try_into().expect("eight"));
                let end = 8 + usize::try_from(length).expect("short");
                (&rest[8..end], &rest[end + 1..])
            };
            fields.insert(name, text(value));
            octets = rest;
        }
        fields
    }

    #[test]
    fn fields_are_fields_and_stand_in_the_message_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal");
        let journald = UnixDatagram::bind(&path).expect("the folder is ours");
        let subscriber =
            tracing_subscriber::registry().with(Journal::at(&path, "mupdated").expect("it listens"));
        let mut octets = [0; 10_000];
        assert_eq!(journald.recv(&mut octets).expect("nothing, to see whether it listens"), 0);
        tracing::subscriber::with_default(subscriber, || {
            let mailbox = "user.a\nPRIORITY=0";
            tracing::warn!(%mailbox, peer = %"192.0.2.1:3", names = 7, user = "be1", "taken over");
            tracing::debug!("x");
        });
        let length = journald.recv(&mut octets).expect("an entry");
        let fields = parse(&octets[..length]);
        let field = |name: &str| fields.get(name).map(String::as_str);
        assert_eq!(field("PRIORITY"), Some("4"), "{fields:?}");
        assert_eq!(field("SYSLOG_IDENTIFIER"), Some("mupdated"));
        assert_eq!(field("MUPDATE_MAILBOX"), Some("user.a\nPRIORITY=0"));
        assert_eq!(field("MUPDATE_PEER"), Some("192.0.2.1:3"));
        assert_eq!(field("MUPDATE_NAMES"), Some("7"));
        assert_eq!(field("MUPDATE_USER"), Some("be1"));
        assert_eq!(field("MUPDATE_TARGET"), Some(module_path!()));
        assert_eq!(field("MUPDATE_MESSAGE"), None);
        let message = field("MESSAGE").expect("there is one");
        assert!(message.starts_with("taken over mailbox=user.a"), "{message}");
        assert!(message.contains("peer=192.0.2.1:3") && message.contains("user=\"be1\""), "{message}");
        let length = journald.recv(&mut octets).expect("an entry");
        assert_eq!(parse(&octets[..length])["PRIORITY"], "7");
    }

    #[test]
    fn nobody_listens() {
        Journal::at(Path::new("/nowhere/socket"), "mupdated").expect_err("nobody does");
    }
}
