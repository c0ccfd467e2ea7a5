//! Octets as JSON.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use mupdate_proto::{decode_base64, encode_base64};

/// Octets of the wire: a mailbox name, a location, an ACL. In JSON a string if they are UTF-8, which they nearly always are, and
/// else `{"base64": "..."}`, so that nothing is lost.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For people: what is not UTF-8 is replaced.
    #[must_use]
    pub fn to_display(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&[u8]> for Text {
    fn from(octets: &[u8]) -> Self {
        Self(octets.to_vec())
    }
}

impl From<Vec<u8>> for Text {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<'a> {
    Utf8(#[serde(borrow)] Cow<'a, str>),
    Other { base64: Cow<'a, str> },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match str::from_utf8(&self.0) {
            Ok(text) => Form::Utf8(text.into()),
            Err(_) => Form::Other { base64: encode_base64(&self.0).into() },
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Utf8(text) => Ok(Self(text.into_owned().into_bytes())),
            Form::Other { base64 } => decode_base64(base64.as_bytes()).map(Self).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_back_as_they_were() {
        for (octets, json) in [
            (&b"user.alice"[..], r#""user.alice""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\xff\x00", r#"{"base64":"/wA="}"#),
        ] {
            let text = Text::from(octets);
            assert_eq!(serde_json::to_string(&text).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<Text>(json).expect("text"), text);
        }
        assert!(serde_json::from_str::<Text>(r#"{"base64":"?"}"#).is_err());
    }
}
