//! The one JSON object of Cyrus 3.6 and later: its members are mailboxes, by name.
//!
//! - `mbtype` is letters, among them `r` where the mailbox is at another server and `z` where it is reserved.
//! - `acl` is an object too, and the sequence of its members is that of the ACL.
//! - Mailboxes are told apart by `uniqueid`: two with the same one, or with none, are one to `ctl_mboxlist -u`. A MUPDATE
//!   server knows no such ids, so one is made of the name.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead, Read},
};

use mupdate_core::directory::State;
use mupdate_proto::ServerName;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Each, Fault, Row, invalid, location, row};

/// A whole list.
pub(super) fn read(from: impl BufRead, at: Option<&ServerName>, each: Each<'_>) -> io::Result<()> {
    let (mut stopped, line) = (None, Cell::new(1));
    let list = List { at, each, line: &line, stopped: &mut stopped };
    let mut json = serde_json::Deserializer::from_reader(Counting { from, line: &line });
    let read = json.deserialize_map(list).and_then(|()| json.end());
    match stopped {
        Some(error) => Err(error),
        None => read.map_err(|error| match error.is_io() {
            true => error.into(),
            false => invalid(format!("is no list of Cyrus 3.6 or later: {error}")),
        }),
    }
}

/// Knows in which line the reading is.
struct Counting<'a, R> {
    from: R,
    line: &'a Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(octets)?;
        // It is read octet by octet: no further than to where the parser is.
        let ends = octets[..read].iter().filter(|octet| **octet == b'\n').count();
        self.line.set(self.line.get() + ends as u64);
        Ok(read)
    }
}

struct List<'a> {
    at: Option<&'a ServerName>,
    each: Each<'a>,
    line: &'a Cell<u64>,
    /// What the reader of the rows said.
    stopped: &'a mut Option<io::Error>,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mailboxes by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let at = self.line.get();
            let member: Member = map.next_value()?;
            let row = member.row(&name, self.at).map_err(|text| Fault { at, text });
            if let Err(error) = (self.each)(at, row) {
                *self.stopped = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// What is said of a mailbox, as far as it matters here. Whatever kind of value stands there, the rest of the list is read.
#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    mbtype: Value,
    #[serde(default)]
    partition: Value,
    #[serde(default)]
    server: Value,
    #[serde(default)]
    acl: Rights,
}

impl Member {
    fn row(&self, key: &str, at: Option<&ServerName>) -> Result<Row, String> {
        let shown = key.escape_debug();
        let name = self.name.as_str().unwrap_or(key);
        let kind = match &self.mbtype {
            Value::String(kind) => kind.as_str(),
            Value::Null => "",
            _ => return Err(format!("{shown} has an mbtype that is no text")),
        };
        let text = |value: &Value, what| match value {
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Null => Ok(None),
            _ => Err(format!("{shown} has a {what} that is no text")),
        };
        let (server, partition) = (text(&self.server, "server")?, text(&self.partition, "partition")?);
        let partition = partition.unwrap_or_default();
        let place = if partition.contains('!') && server.is_none() {
            partition.into_bytes()
        } else {
            let place = location(server.as_deref().map(str::as_bytes), partition.as_bytes(), at);
            place.map_err(|text| format!("{shown} {text}"))?
        };
        let acl = match &self.acl {
            Rights::Of(acl) => acl,
            Rights::Wrong => return Err(format!("{shown} has an acl that is none")),
        };
        row(name.as_bytes(), &place, (!kind.contains('z')).then_some(acl.as_bytes()))
    }
}

/// An ACL: members in their sequence, as `user TAB rights TAB`.
enum Rights {
    Of(String),
    Wrong,
}

impl Default for Rights {
    fn default() -> Self {
        Self::Of(String::new())
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Acls)
    }
}

struct Acls;

impl<'de> Visitor<'de> for Acls {
    type Value = Rights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rights by user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rights, A::Error> {
        let mut rights = Some(String::new());
        while let Some((user, value)) = map.next_entry::<String, Value>()? {
            rights = rights.zip(value.as_str()).map(|(acl, value)| format!("{acl}{user}\t{value}\t"));
        }
        Ok(rights.map_or(Rights::Wrong, Rights::Of))
    }

    fn visit_unit<E: Error>(self) -> Result<Rights, E> {
        Ok(Rights::default())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rights, E> {
        Ok(Rights::Of(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Rights, E> {
        Ok(Rights::Wrong)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Rights, E> {
        Ok(Rights::Wrong)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Rights, E> {
        Ok(Rights::Wrong)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Rights, E> {
        Ok(Rights::Wrong)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Rights, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Rights::Wrong)
    }
}

/// A member, without the comma or brace around it.
pub(super) fn write(Row { mailbox, record }: &Row) -> io::Result<Vec<u8>> {
    let text = |octets: &[u8]| {
        let text = str::from_utf8(octets).map(str::to_owned);
        text.map_err(|_| invalid(format!("{mailbox} is no UTF-8, which this form has no way to write")))
    };
    let (kind, acl) = match &record.state {
        State::Active(acl) => ("r", text(acl.as_bytes())?),
        State::Reserved => ("rz", String::new()),
    };
    let name = text(mailbox.as_bytes())?;
    let (server, partition) = {
        let place = text(record.location.as_bytes())?;
        let (server, partition) = place.split_once('!').unwrap_or((&place, ""));
        if server.is_empty() {
            return Err(invalid(format!("{mailbox} is at no server")));
        }
        (server.to_owned(), partition.to_owned())
    };
    let id: String =
        Sha256::digest(name.as_bytes()).iter().take(12).map(|octet| format!("{octet:02x}")).collect();
    let key = Value::from(name.as_str());
    let rights =
        members(&acl).ok_or_else(|| invalid(format!("the ACL of {mailbox} is not of users and rights")))?;
    let (server, partition) = (Value::from(server), Value::from(partition));
    let zeros = "\"mtime\": \"0\", \"uidvalidity\": \"0\", \"createdmodseq\": \"0\", \"foldermodseq\": \"0\"";
    let (kind, id) = (json!(kind), json!(id));
    Ok(format!(
        "{key}: {{\"name\": {key}, {zeros}, \"mbtype\": {kind}, \"partition\": {partition}, \"server\": {server}, \
         \"acl\": {{{rights}}}, \"uniqueid\": {id}}}"
    )
    .into_bytes())
}

/// The members of an ACL's object; `None` for what would not be read to the same.
fn members(acl: &str) -> Option<String> {
    if acl.is_empty() {
        return Some(String::new());
    }
    let parts: Vec<&str> = acl.strip_suffix('\t')?.split('\t').collect();
    let pairs = parts.chunks(2).map(|pair| match pair {
        [user, rights] => Some(format!("{}: {}", Value::from(*user), Value::from(*rights))),
        _ => None,
    });
    Some(pairs.collect::<Option<Vec<_>>>()?.join(", "))
}
