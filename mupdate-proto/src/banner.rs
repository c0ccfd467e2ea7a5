//! What a server says first: RFC 3656, section 3, with Cyrus's extensions.

use crate::scan::{Cursor, put_text};
use crate::{Malformed, MalformedReason};
use bytes::{BufMut, Bytes, BytesMut};

/// What a server is and what it offers. Sent on connect and again after STARTTLS.
///
/// [`encode`](Self::encode) writes only printable 7-bit octets; it puts `?` for any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The SASL mechanisms that work now.
    pub mechanisms: Vec<String>,
    /// Whether STARTTLS works now.
    pub starttls: bool,
    /// How COMPRESS is offered.
    pub compress: CompressLines,
    /// Whether UPDATE takes the names of servers.
    pub partial_update: bool,
    /// The server's host name.
    pub host: String,
    /// What the server's software is called.
    pub software: String,
    /// The version of that software.
    pub version: String,
    /// Whether the server takes changes.
    pub role: Role,
}

/// How COMPRESS is offered: Cyrus 2.4 sees only the quoted line, 2.5 and later only the bare one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressLines {
    /// Not at all.
    None,
    /// `* COMPRESS "DEFLATE"`, as Cyrus offers it.
    #[default]
    Quoted,
    /// `* COMPRESS DEFLATE`
    Bare,
    /// Both, the quoted one first.
    Both,
}

/// Whether a server takes changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It does.
    Master,
    /// It does not; who does is this URL, `mupdate://` and a host.
    Replica(String),
}

/// What a master says in the place of a replica's URL.
const MASTER: &str = "(master)";

impl Banner {
    /// Writes the banner's lines. Their order matters: Cyrus's clients read up to the one that begins
    /// `* OK MUPDATE`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(b"* AUTH");
        for mechanism in &self.mechanisms {
            out.put_u8(b' ');
            put_text(mechanism.as_bytes(), out);
        }
        out.put_slice(b"\r\n");
        if self.starttls {
            out.put_slice(b"* STARTTLS\r\n");
        }
        if matches!(self.compress, CompressLines::Quoted | CompressLines::Both) {
            out.put_slice(b"* COMPRESS \"DEFLATE\"\r\n");
        }
        if matches!(self.compress, CompressLines::Bare | CompressLines::Both) {
            out.put_slice(b"* COMPRESS DEFLATE\r\n");
        }
        if self.partial_update {
            out.put_slice(b"* PARTIAL-UPDATE\r\n");
        }
        out.put_slice(b"* OK MUPDATE");
        let role = match &self.role {
            Role::Master => MASTER,
            Role::Replica(url) => url,
        };
        for string in [&self.host, &self.software, &self.version, role] {
            out.put_u8(b' ');
            put_text(string.as_bytes(), out);
        }
        out.put_slice(b"\r\n");
    }
}

/// Collects the lines of a banner.
///
/// Lines it does not know are passed over. A server that refuses with `* BYE` sends no banner: see to that before.
#[derive(Debug)]
pub struct BannerReader {
    lines: usize,
    mechanisms: Vec<String>,
    starttls: bool,
    quoted: bool,
    bare: bool,
    partial_update: bool,
}

impl BannerReader {
    /// How many lines a banner may have.
    pub const MAX_LINES: usize = 64;

    /// A reader that has read nothing.
    pub fn new() -> BannerReader {
        BannerReader {
            lines: 0,
            mechanisms: Vec::new(),
            starttls: false,
            quoted: false,
            bare: false,
            partial_update: false,
        }
    }

    /// Takes the next line; gives the banner after its last, and is then ready for another.
    ///
    /// # Errors
    /// [`MalformedReason::NotABanner`] when a line does not begin with `*`, when there are more than
    /// [`MAX_LINES`](Self::MAX_LINES), or when the server greets with anything but `OK MUPDATE`; or what is wrong
    /// with a string in it.
    pub fn push(&mut self, message: Bytes) -> Result<Option<Banner>, Malformed> {
        self.line(message).map_err(|reason| Malformed { tag: None, reason })
    }

    fn line(&mut self, message: Bytes) -> Result<Option<Banner>, MalformedReason> {
        self.lines += 1;
        let mut cursor = Cursor::new(&message);
        if self.lines > Self::MAX_LINES || cursor.atom() != b"*" {
            return Err(MalformedReason::NotABanner);
        }
        cursor.spaces();
        let word = cursor.atom();
        let is = |expected: &str| word.eq_ignore_ascii_case(expected.as_bytes());
        if is("AUTH") {
            // The last line counts, so that what is kept is bounded.
            self.mechanisms.clear();
            while let Some(mechanism) = cursor.argument()? {
                self.mechanisms.push(lossy(&mechanism));
            }
        } else if is("STARTTLS") {
            self.starttls = true;
        } else if is("PARTIAL-UPDATE") {
            self.partial_update = true;
        } else if is("COMPRESS") {
            cursor.spaces();
            self.quoted |= cursor.rest().eq_ignore_ascii_case(b"\"DEFLATE\"");
            self.bare |= cursor.rest().eq_ignore_ascii_case(b"DEFLATE");
        } else if is("OK") {
            return self.greeting(&mut cursor).map(Some);
        } else if is("NO") || is("BAD") || is("BYE") {
            return Err(MalformedReason::NotABanner);
        }
        Ok(None)
    }

    /// The last line, after its `* OK`.
    fn greeting(&mut self, cursor: &mut Cursor<'_>) -> Result<Banner, MalformedReason> {
        cursor.spaces();
        if !cursor.atom().eq_ignore_ascii_case(b"MUPDATE") {
            return Err(MalformedReason::NotABanner);
        }
        let [host, software, version, role] = cursor.arguments()?;
        let role = if role == MASTER { Role::Master } else { Role::Replica(lossy(&role)) };
        let read = std::mem::take(self);
        Ok(Banner {
            mechanisms: read.mechanisms,
            starttls: read.starttls,
            compress: match (read.quoted, read.bare) {
                (false, false) => CompressLines::None,
                (true, false) => CompressLines::Quoted,
                (false, true) => CompressLines::Bare,
                (true, true) => CompressLines::Both,
            },
            partial_update: read.partial_update,
            host: lossy(&host),
            software: lossy(&software),
            version: lossy(&version),
            role,
        })
    }
}

impl Default for BannerReader {
    fn default() -> Self {
        BannerReader::new()
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYRUS: &str = "* AUTH \"PLAIN\" \"SCRAM-SHA-256\"\r\n\
                         * STARTTLS\r\n\
                         * COMPRESS \"DEFLATE\"\r\n\
                         * PARTIAL-UPDATE\r\n\
                         * OK MUPDATE \"host.name\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";

    fn cyrus() -> Banner {
        Banner {
            mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-256".into()],
            starttls: true,
            compress: CompressLines::Quoted,
            partial_update: true,
            host: "host.name".into(),
            software: "Cyrus IMAP".into(),
            version: "3.6.1".into(),
            role: Role::Master,
        }
    }

    fn encoded(banner: &Banner) -> BytesMut {
        let mut out = BytesMut::new();
        banner.encode(&mut out);
        out
    }

    fn read(lines: &str) -> Result<Option<Banner>, MalformedReason> {
        let mut reader = BannerReader::new();
        for line in lines.lines() {
            match reader.push(Bytes::copy_from_slice(line.as_bytes())) {
                Ok(None) => {}
                Ok(Some(banner)) => return Ok(Some(banner)),
                Err(malformed) => return Err(malformed.reason),
            }
        }
        Ok(None)
    }

    #[test]
    fn octet_for_octet_as_cyrus_writes_it() {
        assert_eq!(encoded(&cyrus()), CYRUS);
        assert_eq!(read(CYRUS), Ok(Some(cyrus())));
    }

    #[test]
    fn a_replica_that_offers_nothing() {
        let banner = Banner {
            mechanisms: vec![],
            starttls: false,
            compress: CompressLines::None,
            partial_update: false,
            role: Role::Replica("mupdate://master.test".into()),
            ..cyrus()
        };
        let expected =
            "* AUTH\r\n* OK MUPDATE \"host.name\" \"Cyrus IMAP\" \"3.6.1\" \"mupdate://master.test\"\r\n";
        assert_eq!(encoded(&banner), expected);
        assert_eq!(read(expected), Ok(Some(banner)));
    }

    #[test]
    fn compression_is_offered_in_two_ways() {
        for (compress, lines) in [
            (CompressLines::Bare, "* COMPRESS DEFLATE\r\n"),
            (CompressLines::Both, "* COMPRESS \"DEFLATE\"\r\n* COMPRESS DEFLATE\r\n"),
        ] {
            let banner = Banner { compress, ..cyrus() };
            let expected = CYRUS.replace("* COMPRESS \"DEFLATE\"\r\n", lines);
            assert_eq!(encoded(&banner), expected.as_str());
            assert_eq!(read(&expected), Ok(Some(banner)));
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let banner = Banner { host: "a\"\r\n* BYE".into(), ..cyrus() };
        assert!(encoded(&banner).ends_with(b"\"a\\\"??* BYE\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n"));
    }

    #[test]
    fn lines_from_the_future_are_passed_over() {
        let lines = CYRUS.replace("* STARTTLS\r\n", "* STARTTLS\r\n* FROBNICATE x \"y\r\n");
        assert_eq!(read(&lines), Ok(Some(cyrus())));
    }

    #[test]
    fn after_starttls_nothing_is_left_of_the_first_banner() {
        let mut reader = BannerReader::new();
        for line in CYRUS.lines() {
            reader.push(Bytes::from(line)).expect("a banner");
        }
        let again = reader.push(Bytes::from_static(b"* OK MUPDATE \"h\" \"s\" \"v\" \"(master)\""));
        let Ok(Some(banner)) = again else { panic!("no banner: {again:?}") };
        assert!(banner.mechanisms.is_empty() && !banner.starttls && !banner.partial_update);
    }

    #[test]
    fn other_servers_are_not_waited_for() {
        let not = Err(MalformedReason::NotABanner);
        assert_eq!(read("220 mail.example SMTP"), not);
        assert_eq!(read("* OK IMAP4rev1"), not);
        for status in ["NO", "BAD", "BYE"] {
            assert_eq!(read(&format!("* {status} \"too many\"")), not);
        }
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(&"* AUTH \"X\"\r\n".repeat(BannerReader::MAX_LINES)), Ok(None));
        assert_eq!(read(&"* AUTH \"X\"\r\n".repeat(BannerReader::MAX_LINES + 1)), not);
        assert_eq!(read("* OK MUPDATE \"host\""), Err(MalformedReason::MissingArguments));
    }
}
