//! The head of a request: its line, and those of its fields that matter here.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::{Query, Refused};

/// Fields of a head.
const FIELDS: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// To be told.
    Get,
    /// To be told what GET would say, but for its body.
    Head,
    /// Something.
    Post,
    /// What no resource here knows.
    Other(String),
}

/// A request's head.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// With what: a path that begins with a slash, as it was sent, without what stands behind the `?`.
    pub path: String,
    /// What stands there.
    pub query: Query,
    /// HTTP/1.1, and not 1.0.
    pub modern: bool,
    /// The field `Host`; empty if there is none, or it is no text.
    pub host: String,
    /// Another request may follow on this connection.
    pub keep_alive: bool,
    /// The sender wants to be asked for the body.
    pub expects: bool,
    /// Octets of the body.
    pub length: u64,
    /// The field `Authorization`.
    pub authorization: Option<Zeroizing<String>>,
    /// The field `Accept`, the last one that is text: it only says which form is liked best.
    pub accept: Option<String>,
    /// A browser sends it for a page of another site.
    pub has_origin: bool,
}

impl std::fmt::Debug for Request {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, path, query, length, .. } = self;
        f.debug_struct("Request")
            .field("method", method)
            .field("path", path)
            .field("query", query)
            .field("length", length)
            .finish_non_exhaustive()
    }
}

impl Method {
    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Other(name) => name,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Request {
    /// The host that is asked for is meant to be this one: `own` is its name. Others are addresses, and names without a
    /// dot, which nobody in the internet can have point here.
    pub fn names_this_host(&self, own: &str) -> bool {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => host,
            _ => &self.host,
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        !host.contains('.') || bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case(own)
    }

    /// Read a whole head, its empty line included.
    ///
    /// # Errors
    /// It is none, or says what is not to be had: then nothing that follows it can be trusted either.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Refused> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(Refused::bad("this is no HTTP request")),
            Err(httparse::Error::TooManyHeaders) => return Err(Refused::new(431, "too many header fields")),
            Err(httparse::Error::Version) => return Err(Refused::new(505, "HTTP/1.1 is spoken here")),
            Err(error) => return Err(Refused::bad(format!("this is no HTTP request: {error}"))),
        }
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Refused::bad("this is no HTTP request"));
        };
        let (path, query) = split(target)?;
        let mut request = Self {
            method: Method::named(method),
            path: path.to_owned(),
            query: Query::default(),
            modern: version == 1,
            host: String::new(),
            keep_alive: version == 1,
            expects: false,
            length: 0,
            authorization: None,
            accept: None,
            has_origin: false,
        };
        let (mut hosts, mut lengths) = (0, 0);
        for field in &*parsed.headers {
            let value = str::from_utf8(field.value).map(str::trim);
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("host") {
                hosts += 1;
                request.host = value.unwrap_or_default().to_owned();
            } else if is("content-length") {
                lengths += 1;
                request.length =
                    value.ok().and_then(digits).ok_or_else(|| Refused::bad("Content-Length is no number"))?;
            } else if is("transfer-encoding") {
                return Err(Refused::new(411, "send the body with its Content-Length"));
            } else if is("connection") {
                let mut words = value.unwrap_or_default().split(',').map(str::trim);
                request.keep_alive &= !words.any(|word| word.eq_ignore_ascii_case("close"));
            } else if is("expect") {
                if !value.is_ok_and(|value| value.eq_ignore_ascii_case("100-continue")) {
                    return Err(Refused::new(417, "only 100-continue can be expected here"));
                }
                request.expects = request.modern;
            } else if is("authorization") {
                let once = request.authorization.is_none();
                let value = value.ok().filter(|_| once);
                let value = value.ok_or_else(|| Refused::bad("Authorization is no text, or there twice"))?;
                request.authorization = Some(Zeroizing::new(value.to_owned()));
            } else if is("accept") {
                request.accept = value.ok().map(str::to_owned);
            } else if is("origin") {
                request.has_origin = true;
            }
        }
        if lengths > 1 {
            return Err(Refused::bad("Content-Length is there twice"));
        }
        // RFC 9112 section 3.2.
        if hosts > 1 || (hosts == 0 && request.modern) {
            return Err(Refused::bad("the field Host has to be there, once"));
        }
        request.query = Query::parse(query)?;
        Ok(request)
    }
}

/// Path and query of a target, which a client that takes us for a proxy sends with scheme and host.
fn split(target: &str) -> Result<(&str, &str), Refused> {
    let target = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    if !target.starts_with('/') || target.contains('#') {
        return Err(Refused::bad("the target has to be a path"));
    }
    Ok(target.split_once('?').unwrap_or((target, "")))
}

/// A number of nothing but digits, where `parse` would take a sign.
fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
