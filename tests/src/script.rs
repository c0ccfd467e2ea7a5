//! The language of `tests/transcripts/*.txt`: what clients do, one behaviour a file.
//!
//! A file holds inputs only; what comes back is the snapshot. Its lines are:
//!
//! ```text
//! # A sentence that says which behaviour.    the first line, always
//! # anything                                  a remark, repeated in the output
//! @config policy = "strict"                   a line of TOML for the server, before any step
//! @drain be1                                  the server be1 is being drained, before any step
//! c1 connect                                  open a connection and show the banner
//! c1 login                                    AUTHENTICATE "PLAIN" as murder, password secret; must succeed
//! c1 login be1                                the same as be1, who has to have a role in the settings
//! c1: A1 FIND "user.a"                        send the line and CRLF, read until A1's answer, a `* BAD` or a `* BYE`
//! c1 send: A1 FIND {6+}\r\nuser.a\r\n         send these octets, wait for nothing
//! c1 read 2                                   read exactly two units, a unit being a line with its literals
//! c1 wait A1                                  read until A1's answer
//! c1 closed                                   read what is left; the server must close
//! c1 eof                                      close our sending side, go on reading
//! c1 drop                                     close without a word
//! c1 deflate                                  from here on raw deflate, both ways
//! c1 tls                                      from here on TLS, beginning with the banner; the bare core is only told so
//! server stop                                 end the server in good order, as SIGTERM does
//! ```
//!
//! Whoever has a role of their own in the settings can log in too, with the same password.
//!
//! The settings may have a `[tls]` with `certificate.pem` and `key.pem`, and `clients.pem` as its CA.
//!
//! A connection is opened by the first step that names it; without `connect` its banner is read but not shown.
//! `send:` knows the escapes `\r \n \t \\ \xHH` and `\(TEXT*COUNT)`, TEXT having escapes of its own; the other steps send what is
//! written. Steps happen strictly in order and wait for events only: nothing in this language
//! knows how long anything takes.

/// One parsed transcript.
#[derive(Debug)]
pub struct Script {
    /// The behaviour, without the `# `.
    pub sentence: String,
    /// The server's settings, as TOML.
    pub config: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line of a transcript.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Repeated in the output.
    Remark(String),
    /// One client does something.
    Client {
        /// Which connection; made at its first step.
        name: String,
        /// What it does.
        action: Action,
    },
    /// The server ends in good order.
    StopServer,
}

/// What a client does.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Open the connection, read the banner.
    Connect,
    /// Log in as this user, or as `murder`.
    Login(Option<String>),
    /// Send one line, read until its answer.
    Ask(String),
    /// Send octets.
    Send(Vec<u8>),
    /// Read so many units.
    Read(usize),
    /// Read until the answer with this tag.
    Wait(String),
    /// Read until the server closes.
    Closed,
    /// Close the sending side.
    Eof,
    /// Close both sides.
    Drop,
    /// Compress from here on.
    Deflate,
    /// Encrypt from here on.
    Tls,
}

impl Script {
    /// Parses a transcript.
    ///
    /// # Errors
    /// Says which line is wrong.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut lines = text.lines();
        let sentence = lines
            .next()
            .and_then(|line| line.strip_prefix("# "))
            .filter(|line| line.ends_with('.'))
            .ok_or("the first line must be `# A sentence.`")?;
        let mut script = Script { sentence: sentence.into(), config: String::new(), steps: Vec::new() };
        for (number, line) in lines.enumerate() {
            script.line(line).map_err(|wrong| format!("line {}: {wrong}: {line}", number + 2))?;
        }
        Ok(script)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let drained = line.strip_prefix("@drain ").map(|server| format!("{DRAINED}{server}"));
        if let Some(setting) = drained.as_deref().or(line.strip_prefix("@config ")) {
            if !self.steps.iter().all(|step| matches!(step, Step::Remark(_))) {
                return Err("settings come before the first step".into());
            }
            self.config.push_str(setting);
            self.config.push('\n');
            return Ok(());
        }
        self.steps.push(match line.strip_prefix('#') {
            Some(remark) => Step::Remark(remark.trim().into()),
            None if line == "server stop" => Step::StopServer,
            None => client_step(line)?,
        });
        Ok(())
    }
}

/// What a server that is drained stands behind in the settings, which have no word for it: a remark.
const DRAINED: &str = "# draining: ";

/// The servers that these settings remark to be drained.
pub fn drained(config: &str) -> impl Iterator<Item = &str> {
    config.lines().filter_map(|line| line.strip_prefix(DRAINED))
}

fn client_step(line: &str) -> Result<Step, String> {
    let end = line.find([' ', ':']).ok_or("no such step")?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("a client's name is letters and digits".into());
    }
    let action = match rest.strip_prefix(':') {
        Some("") => Action::Ask(String::new()),
        Some(text) => Action::Ask(text.strip_prefix(' ').ok_or("a space must follow the colon")?.into()),
        None => action(rest.trim_start())?,
    };
    Ok(Step::Client { name: name.into(), action })
}

fn action(text: &str) -> Result<Action, String> {
    if let Some(octets) = text.strip_prefix("send: ") {
        return Ok(Action::Send(unescape(octets)?));
    }
    let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
    match (verb, argument) {
        ("connect", "") => Ok(Action::Connect),
        ("login", "") => Ok(Action::Login(None)),
        ("login", user) => Ok(Action::Login(Some(user.into()))),
        ("closed", "") => Ok(Action::Closed),
        ("eof", "") => Ok(Action::Eof),
        ("drop", "") => Ok(Action::Drop),
        ("deflate", "") => Ok(Action::Deflate),
        ("tls", "") => Ok(Action::Tls),
        ("read", count) => count.parse().map(Action::Read).map_err(|_| "how many units?".into()),
        ("wait", tag) if !tag.is_empty() => Ok(Action::Wait(tag.into())),
        _ => Err("no such step".into()),
    }
}

/// Undoes the escapes of `send:`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (octet, length) = match escape.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b'n') => (b'\n', 1),
            Some(b't') => (b'\t', 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => {
                let digits = escape.get(1..3).ok_or("\\x needs two digits")?;
                (u8::from_str_radix(digits, 16).map_err(|_| "\\x needs two digits")?, 3)
            }
            Some(b'(') => {
                let end = escape.find(')').ok_or("\\( without )")?;
                let (what, count) = escape[1..end].rsplit_once('*').ok_or("\\(TEXT*COUNT)")?;
                let count = count.parse().map_err(|_| "\\(TEXT*COUNT)")?;
                octets.extend_from_slice(&unescape(what)?.repeat(count));
                rest = &escape[end + 1..];
                continue;
            }
            _ => return Err(format!("no such escape: \\{escape}")),
        };
        octets.push(octet);
        rest = &escape[length..];
    }
    octets.extend_from_slice(rest.as_bytes());
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line() {
        let script = Script::parse(
            "# One thing happens.\n# a remark\n@config policy = \"strict\"\n\nc1: A1 NOOP\nc2 send: \\x41\\(bc*2)\\r\\n\n\
             c1 read 2\nc1 wait A1\nserver stop\n",
        )
        .unwrap();
        let client = |name: &str, action| Step::Client { name: name.into(), action };
        assert_eq!(script.sentence, "One thing happens.");
        assert_eq!(script.config, "policy = \"strict\"\n");
        assert_eq!(
            script.steps,
            [
                Step::Remark("a remark".into()),
                client("c1", Action::Ask("A1 NOOP".into())),
                client("c2", Action::Send(b"Abcbc\r\n".to_vec())),
                client("c1", Action::Read(2)),
                client("c1", Action::Wait("A1".into())),
                Step::StopServer,
            ]
        );
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for wrong in [
            "",
            "no sentence",
            "# no full stop",
            "# A.\nc1 dance",
            "# A.\nc1 read many",
            "# A.\nc1 send: \\q",
        ] {
            assert!(Script::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
