//! What stands behind the `?`: names and values. Values are octets, since names of mailboxes are.

use std::str::FromStr;

use super::Refused;

/// Parameters at most. No resource has half as many.
const MOST: usize = 32;

/// The parameters of a request. A `+` is a `+`: names of mailboxes have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    /// Read what stands behind the `?`.
    ///
    /// # Errors
    /// An escape is none, a name comes twice, or there are too many.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = String::from_utf8(decoded(name)?)
                .map_err(|_| Refused::bad("a parameter's name is no text"))?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(Refused::bad(format!("the parameter {} is there twice", name.escape_debug())));
            }
            if parameters.len() == MOST {
                return Err(Refused::bad("too many parameters"));
            }
            parameters.push((name, decoded(value)?));
        }
        Ok(Self(parameters))
    }

    /// There are no parameters but these.
    ///
    /// # Errors
    /// There is another: a misspelt one must not go unnoticed.
    pub fn only(&self, known: &[&str]) -> Result<(), Refused> {
        let Some((name, _)) = self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        Err(Refused::bad(format!("unknown parameter {}; known here: {known}", name.escape_debug())))
    }

    /// A parameter's octets.
    pub fn octets(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// A parameter that is text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refused> {
        self.octets(name)
            .map(str::from_utf8)
            .transpose()
            .map_err(|_| Refused::bad(format!("{name} is no text")))
    }

    /// A parameter that something can be made of: a number, say.
    ///
    /// # Errors
    /// It cannot.
    pub fn parsed<T: FromStr>(&self, name: &str, allowed: &str) -> Result<Option<T>, Refused> {
        let wrong = || Refused::bad(format!("{name}: {allowed} is allowed"));
        self.text(name)?.map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    /// A parameter that is `true` or `false`; one that is not there is false.
    ///
    /// # Errors
    /// It is neither.
    pub fn flag(&self, name: &str) -> Result<bool, Refused> {
        Ok(self.parsed(name, "true or false")?.unwrap_or(false))
    }
}

/// Undoes percent encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<Vec<u8>, Refused> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || rest.next().and_then(|octet| char::from(octet).to_digit(16));
        let value = digit().and_then(|high| Some(high * 16 + digit()?));
        let value = value.and_then(|value| u8::try_from(value).ok());
        octets
            .push(value.ok_or_else(|| Refused::bad("a % without two hexadecimal digits; write it as %25"))?);
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_octets() {
        let query = Query::parse("name=user.a%2fb+c%FF&limit=7&&flag=true&empty").expect("good");
        assert_eq!(query.octets("name"), Some(&b"user.a/b+c\xff"[..]));
        assert_eq!(query.parsed("limit", "a number"), Ok(Some(7_u64)));
        assert_eq!((query.flag("flag"), query.flag("none")), (Ok(true), Ok(false)));
        assert_eq!(query.octets("empty"), Some(&b""[..]));
        assert_eq!(query.octets("nothing"), None);
        assert!(query.text("name").is_err() && query.flag("limit").is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for wrong in ["a=%", "a=%4", "a=%4x", "a=%+1", "%ff=1", "a=1&a=2"] {
            assert!(Query::parse(wrong).is_err_and(|refused| refused.status == 400), "{wrong}");
        }
        assert!(Query::parse(&(0..40).map(|n| format!("{n}&")).collect::<String>()).is_err());
        let query = Query::parse("sever=x").expect("good");
        let refused = query.only(&["server", "limit"]).expect_err("misspelt");
        assert_eq!(refused.error, "unknown parameter sever; known here: server, limit");
        assert_eq!(Query::default().only(&[]), Ok(()));
    }
}
