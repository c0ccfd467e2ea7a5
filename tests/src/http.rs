//! An HTTP/1.1 client that shows what was said, for the admin interface.

use std::{
    io::{Read, Write},
    str,
};

use mupdate_proto::encode_base64;
use serde_json::Value;

/// A connection.
pub struct Http<S> {
    stream: S,
    /// What has come and was not read.
    come: Vec<u8>,
    login: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, as it came.
    pub head: String,
    /// Its body, put together.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as lines of JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn lines(&self) -> Vec<Value> {
        let json = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(json).collect()
    }

    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl<S: Read + Write> Http<S> {
    /// On this connection.
    pub fn new(stream: S) -> Self {
        Self { stream, come: Vec::new(), login: None }
    }

    /// Log in with every request.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some(encode_base64(format!("{user}:{password}").as_bytes()));
        self
    }

    /// GET.
    ///
    /// # Panics
    /// There is no answer.
    pub fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target);
        self.answer()
    }

    /// POST of this body.
    ///
    /// # Panics
    /// There is no answer.
    pub fn post(&mut self, target: &str, body: &str) -> Answer {
        let login = self.login_field();
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\n{login}Content-Length: {}\r\n\r\n", body.len());
        self.send(&format!("{head}{body}"));
        self.answer()
    }

    /// A request without a body; its answer is read by [`answer`](Self::answer).
    ///
    /// # Panics
    /// The connection is broken.
    pub fn ask(&mut self, method: &str, target: &str) {
        let login = self.login_field();
        self.send(&format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{login}\r\n"));
    }

    fn login_field(&self) -> String {
        self.login.as_ref().map_or(String::new(), |login| format!("Authorization: Basic {login}\r\n"))
    }

    /// Any octets.
    ///
    /// # Panics
    /// The connection is broken.
    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("it is read");
        self.stream.flush().expect("it is read");
    }

    /// The next answer.
    ///
    /// # Panics
    /// There is none.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.field("Transfer-Encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = answer.field("Content-Length") {
            let length = length.parse().expect("a number");
            answer.body = self.take(length);
        } else {
            self.stream.read_to_end(&mut self.come).expect("it ends");
            answer.body = std::mem::take(&mut self.come);
        }
        answer
    }

    /// The next answer's head; of the body nothing is read.
    ///
    /// # Panics
    /// There is none.
    pub fn head(&mut self) -> Answer {
        let end = self.until(b"\r\n\r\n");
        let head = String::from_utf8(self.take(end)).expect("text");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        Answer { status, head, body: Vec::new() }
    }

    /// The next chunk of the answer; `None` is its end.
    ///
    /// # Panics
    /// The answer is cut off.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = self.until(b"\r\n");
        let line = self.take(end);
        let digits = str::from_utf8(&line).expect("digits").trim();
        let length = usize::from_str_radix(digits, 16).expect("a length");
        let mut chunk = self.take(length + 2);
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// The first chunk of the next answer, head and all.
    ///
    /// # Panics
    /// There is none.
    pub fn chunk_of_answer(&mut self) -> Option<Vec<u8>> {
        self.head();
        self.chunk()
    }

    /// All that comes until the connection ends.
    pub fn rest(&mut self) -> Vec<u8> {
        let _ = self.stream.read_to_end(&mut self.come);
        std::mem::take(&mut self.come)
    }

    fn until(&mut self, end: &[u8]) -> usize {
        loop {
            if let Some(at) = self.come.windows(end.len()).position(|octets| octets == end) {
                return at + end.len();
            }
            self.more();
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.come.len() < length {
            self.more();
        }
        let rest = self.come.split_off(length);
        std::mem::replace(&mut self.come, rest)
    }

    fn more(&mut self) {
        let mut piece = [0; 4096];
        let length = self.stream.read(&mut piece).expect("an answer");
        assert_ne!(length, 0, "it ends in the midst: {}", self.come.escape_ascii());
        self.come.extend_from_slice(&piece[..length]);
    }
}
