//! HTTP/1.1 to the admin interface: one request a connection, answers of any length.

mod body;

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
    time::Duration,
};

use mupdate_host::{admin::api::Failure, scram::client::Identity};
use mupdate_proto::encode_base64;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    place::Place,
    stream::{PATIENCE, Stream},
    tls,
};
use crate::{
    fail::{Code, Fail},
    options::Secret,
};
use body::Body;

/// Octets of an answer's head.
const HEAD: usize = 64 << 10;

/// Lines of an answer's head.
const HEADERS: usize = 64;

/// Octets of a line of JSON. Names and ACLs are as long as backends made them.
const LINE: u64 = 64 << 20;

/// What an admin interface says of a question that it does not know.
const NO_RESOURCE: &str = "there is no such resource";

/// An admin interface.
pub struct Admin {
    /// As errors name it.
    name: String,
    place: Place,
    tls: Option<(tls::Connector, String)>,
    authorization: Option<Secret>,
}

/// What is sent along with a question.
struct Sent<'a> {
    kind: &'static str,
    length: u64,
    /// How long its answer may take.
    patience: Option<Duration>,
    write: &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
}

impl Sent<'_> {
    fn write(self, stream: &mut Stream) -> io::Result<()> {
        let mut buffer = BufWriter::with_capacity(64 << 10, &mut *stream);
        (self.write)(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        stream.patience(self.patience);
        Ok(())
    }
}

/// An answer's body.
pub type Answer = BufReader<Body>;

impl Admin {
    /// On this host: whoever may open the socket may do everything.
    pub fn local(socket: &Path) -> Self {
        let name = socket.display().to_string();
        Self { name, place: Place::Unix(socket.into()), tls: None, authorization: None }
    }

    /// On another: by HTTP's own login.
    pub(super) fn remote(
        url: &str,
        place: Place,
        tls: Option<tls::Connector>,
        tls_name: Option<String>,
        who: &Identity,
    ) -> Self {
        let host = match &place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(_) => String::new(),
        };
        let tls = tls.map(|connector| (connector, tls_name.unwrap_or(host)));
        let pair = Secret::new(format!("{}:{}", who.user, *who.password));
        let basic = Secret::new(format!("Basic {}", encode_base64(pair.as_bytes())));
        let authorization = Some(basic).filter(|_| !who.password.is_empty());
        Self { name: url.into(), place, tls, authorization }
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// There is no answer, or it is no.
    pub fn get<T: DeserializeOwned>(&self, target: &Target) -> Result<T, Fail> {
        let answer = self.send("GET", target, None)?;
        serde_json::from_reader(answer).map_err(|error| self.unreadable(&error))
    }

    /// Asks for one thing that need not be there.
    ///
    /// # Errors
    /// There is no answer, or one that is neither yes nor that there is none.
    pub fn get_if_any<T: DeserializeOwned>(&self, target: &Target) -> Result<Option<T>, Fail> {
        let (status, answer) = self.exchange("GET", target, None)?;
        match status {
            200..300 => serde_json::from_reader(answer).map(Some).map_err(|error| self.unreadable(&error)),
            404 => match self.refused(status, answer) {
                // Of what was asked for, and not of the question.
                Fail::Said(Code::No, text) if !text.contains(NO_RESOURCE) => Ok(None),
                fail => Err(fail),
            },
            _ => Err(self.refused(status, answer)),
        }
    }

    /// Is there such a resource? Nothing is asked of it that it could answer.
    ///
    /// # Errors
    /// There is no answer.
    pub fn knows(&self, target: &Target) -> Result<bool, Fail> {
        let (status, answer) = self.exchange("GET", target, None)?;
        Ok(!matches!(self.refused(status, answer), Fail::Said(Code::Protocol, _)))
    }

    /// Asks for a list, of one JSON document a line; `each` says whether it wants more.
    ///
    /// # Errors
    /// There is no answer, it is no, it ends too early, or what `each` says.
    pub fn lines<T: DeserializeOwned>(
        &self,
        target: &Target,
        mut each: impl FnMut(T) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        let mut answer = self.send("GET", target, None)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut answer).take(LINE).read_until(b'\n', &mut line);
            if length.map_err(|error| self.broken(&error))? == 0 {
                return Ok(());
            }
            if !line.trim_ascii().is_empty() {
                each(serde_json::from_slice(&line).map_err(|error| self.unreadable(&error))?)?;
            }
        }
    }

    /// Asks for a list that is not long: an array, or one JSON document a line.
    ///
    /// # Errors
    /// There is no answer, it is no, or it ends too early.
    pub fn items<T: DeserializeOwned>(&self, target: &Target) -> Result<Vec<T>, Fail> {
        let mut answer = self.send("GET", target, None)?;
        if answer.fill_buf().map_err(|error| self.broken(&error))?.trim_ascii_start().starts_with(b"[") {
            return serde_json::from_reader(answer).map_err(|error| self.unreadable(&error));
        }
        let items: Result<Vec<T>, _> = serde_json::Deserializer::from_reader(answer).into_iter().collect();
        items.map_err(|error| self.unreadable(&error))
    }

    /// Has something done.
    ///
    /// # Errors
    /// There is no answer, or it is no.
    pub fn post<T: DeserializeOwned>(&self, target: &Target, body: &impl Serialize) -> Result<T, Fail> {
        let answer = self.act(target, body)?;
        serde_json::from_reader(answer).map_err(|error| self.unreadable(&error))
    }

    /// The same, for what takes as long as it takes.
    ///
    /// # Errors
    /// There is no answer, or it is no.
    pub fn wait<T: DeserializeOwned>(&self, target: &Target, body: &impl Serialize) -> Result<T, Fail> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreadable(&error))?;
        let mut write = |to: &mut dyn Write| to.write_all(&body);
        let sent =
            Sent { kind: "application/json", length: body.len() as u64, patience: None, write: &mut write };
        let (status, answer) = self.exchange("POST", target, Some(sent))?;
        if !(200..300).contains(&status) {
            return Err(self.refused(status, answer));
        }
        serde_json::from_reader(answer).map_err(|error| self.unreadable(&error))
    }

    /// The same, for an answer of any form.
    ///
    /// # Errors
    /// There is no answer, or it is no.
    pub fn act(&self, target: &Target, body: &impl Serialize) -> Result<Answer, Fail> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreadable(&error))?;
        self.send("POST", target, Some(&body))
    }

    /// Sends JSON Lines, so many octets of them, as `write` writes them, and waits for as long as it takes.
    ///
    /// # Errors
    /// There is no answer, or it is no; `write` fails, or writes less or more.
    pub fn upload<T: DeserializeOwned>(
        &self,
        target: &Target,
        length: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<T, Fail> {
        let sent = Sent { kind: "application/jsonl", length, patience: None, write };
        let (status, answer) = self.exchange("POST", target, Some(sent))?;
        if !(200..300).contains(&status) {
            return Err(self.refused(status, answer));
        }
        serde_json::from_reader(answer).map_err(|error| self.unreadable(&error))
    }

    /// Octets of an answer that could not be read.
    pub fn broken(&self, error: &io::Error) -> Fail {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the answer ends too early: has the daemon ended?".into(),
            _ => error.to_string(),
        };
        Fail::new(Code::Unavailable, format!("{}: {text}", self.name))
    }

    fn unreadable(&self, error: &serde_json::Error) -> Fail {
        if error.is_io() || error.is_eof() {
            return self.broken(&io::ErrorKind::UnexpectedEof.into());
        }
        Fail::new(
            Code::Protocol,
            format!("{}: not what was asked for: {error}; is it of this version?", self.name),
        )
    }

    fn send(&self, method: &str, target: &Target, body: Option<&[u8]>) -> Result<Answer, Fail> {
        let octets = body.unwrap_or_default();
        let mut write = |to: &mut dyn Write| to.write_all(octets);
        let (kind, length, patience) = ("application/json", octets.len() as u64, Some(PATIENCE));
        let sent = body.map(|_| Sent { kind, length, patience, write: &mut write });
        let (status, answer) = self.exchange(method, target, sent)?;
        if (200..300).contains(&status) { Ok(answer) } else { Err(self.refused(status, answer)) }
    }

    fn exchange(&self, method: &str, target: &Target, body: Option<Sent<'_>>) -> Result<(u16, Answer), Fail> {
        let mut stream = Stream::dial(&self.place)?;
        if let Some((connector, name)) = &self.tls {
            stream = connector.connect(name, stream).map_err(|error| {
                Fail::new(Code::Unavailable, format!("{}: no TLS: {error}{}", self.name, tls::advice(&error)))
            })?;
        }
        let host = match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port, .. } => format!("{host}:{port}"),
        };
        let mut head = Secret::new(format!(
            "{method} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mupdatectl/{}\r\nConnection: close\r\n",
            target.0,
            env!("CARGO_PKG_VERSION")
        ));
        if let Some(authorization) = &self.authorization {
            let _ = write!(head, "Authorization: {}\r\n", **authorization);
        }
        if let Some(Sent { kind, length, .. }) = &body {
            let _ = write!(head, "Content-Type: {kind}\r\nContent-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        // A server that refuses may answer and close before it has read everything; then the answer counts.
        let written = stream
            .write_all(head.as_bytes())
            .and_then(|()| match body {
                Some(sent) => sent.write(&mut stream),
                None => Ok(()),
            })
            .and_then(|()| stream.flush());
        let answer = self.answer(stream);
        match (written, answer) {
            (Err(error), Err(_)) => Err(self.broken(&error)),
            (_, answer) => answer,
        }
    }

    fn answer(&self, stream: Stream) -> Result<(u16, Answer), Fail> {
        let mut reader = BufReader::with_capacity(64 << 10, stream);
        let mut head = Vec::new();
        let (status, body) = loop {
            let length = (&mut reader).take((HEAD - head.len()) as u64).read_until(b'\n', &mut head);
            if length.map_err(|error| self.broken(&error))? == 0 {
                return Err(self.broken(&io::ErrorKind::UnexpectedEof.into()));
            }
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            match response.parse(&head) {
                Ok(httparse::Status::Partial) => {}
                // 100 Continue and the like: the answer is still to come.
                Ok(httparse::Status::Complete(_)) if response.code.is_some_and(|code| code < 200) => {
                    head.clear()
                }
                Ok(httparse::Status::Complete(_)) => {
                    let framing = body::framing(response.headers).map_err(|error| self.broken(&error))?;
                    break (response.code.unwrap_or_default(), framing);
                }
                Err(error) => {
                    let text = format!("{}: this is no HTTP server: {error}", self.name);
                    return Err(Fail::new(Code::Protocol, text));
                }
            }
        };
        Ok((status, BufReader::new(Body::new(reader, body))))
    }

    fn refused(&self, status: u16, answer: Answer) -> Fail {
        let mut text = Vec::new();
        let _ = answer.take(HEAD as u64).read_to_end(&mut text);
        let Ok(Failure { error: said }) = serde_json::from_slice(&text) else {
            let text = format!("{}: no admin interface: it answered {status}", self.name);
            return Fail::new(Code::Protocol, text);
        };
        match status {
            404 if said.contains(NO_RESOURCE) => {
                Fail::new(Code::Protocol, format!("{}: the daemon is too old for this: {said}", self.name))
            }
            401 | 403 => {
                Fail::new(Code::Login, format!("{}: {said}; see --user and --password-file", self.name))
            }
            503 => Fail::new(Code::Unavailable, said),
            500.. => Fail::new(Code::Protocol, format!("{}: {said}", self.name)),
            _ => Fail::new(Code::No, said),
        }
    }
}

/// What is asked for: a path and a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// A path that needs no escaping.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// With one more parameter.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        for octet in value.as_ref() {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    self.0.push(char::from(*octet))
                }
                _ => drop(write!(self.0, "%{octet:02X}")),
            }
        }
        self
    }

    /// With one more, if there is a value.
    pub fn with_some(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_octet_by_octet() {
        let target = Target::new("/v1/mailbox").with("name", b"user.a&b \xff").with_some("x", None::<&str>);
        assert_eq!(target.with("y", "1").0, "/v1/mailbox?name=user.a%26b%20%FF&y=1");
    }
}
