//! As much IMAP as it takes to look at a murder from outside.

use std::{
    collections::BTreeSet,
    fmt::Display,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use mupdate_tests::daemon::DEADLINE;

/// A connection of one user.
pub struct Imap {
    stream: BufReader<TcpStream>,
    commands: u32,
}

/// A tagged answer, and the lines before it. Literals stand in their lines as they came.
#[derive(Debug)]
pub struct Answer {
    /// Whether it was OK.
    pub ok: bool,
    /// The tagged line.
    pub text: String,
    /// The untagged lines.
    pub lines: Vec<String>,
}

impl Imap {
    /// Connects and logs in.
    ///
    /// # Panics
    /// That does not work.
    pub fn login(address: &str, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect((address, 143)).expect("imapd listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        let mut imap = Self { stream: BufReader::new(stream), commands: 0 };
        let greeting = imap.line();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        imap.ok(format!("LOGIN {user} {password}"));
        imap
    }

    /// Sends a command; its answer, whatever it is.
    pub fn command(&mut self, command: impl Display) -> Answer {
        self.commands += 1;
        let tag = format!("I{}", self.commands);
        self.stream.get_mut().write_all(format!("{tag} {command}\r\n").as_bytes()).expect("imapd reads");
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            match line.strip_prefix(&format!("{tag} ")) {
                Some(text) => return Answer { ok: text.starts_with("OK"), text: text.to_owned(), lines },
                None => lines.push(line),
            }
        }
    }

    /// Does this command work, on a connection that may end of it? The imapd of 3.12 dies where CREATE finds no MUPDATE
    /// server (`assertion failed: !open_mailboxes_exist()`).
    pub fn tries(mut self, command: &str) -> bool {
        self.stream.get_mut().write_all(format!("T1 {command}\r\n").as_bytes()).expect("imapd reads");
        let lines = self.stream.lines().map_while(Result::ok);
        lines.filter_map(|line| Some(line.strip_prefix("T1 ")?.starts_with("OK"))).next().unwrap_or(false)
    }

    /// Sends a command that has to work.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn ok(&mut self, command: impl Display) -> Vec<String> {
        let command = command.to_string();
        let answer = self.command(&command);
        assert!(answer.ok, "{command}: {}", answer.text);
        answer.lines
    }

    /// The mailboxes that LIST shows, as MUPDATE has them: dots between their parts, and `^` for dots.
    pub fn names(&mut self) -> BTreeSet<String> {
        let lines = self.ok("LIST \"\" \"*\"");
        let listed = lines.iter().filter_map(|line| line.strip_prefix("* LIST "));
        let there = listed.filter(|line| !line.contains("\\Noselect") && !line.contains("\\NonExistent"));
        there
            .map(|line| {
                let name = line.split_once(" \"/\" ").expect("the separator is a slash").1;
                name.trim_matches('"').replace('.', "^").replace('/', ".")
            })
            .collect()
    }

    /// One line, with its literals.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            let read = self.stream.read_until(b'\n', &mut line).expect("imapd answers");
            assert!(read > 0, "imapd closed the connection");
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let literal = text.strip_suffix('}').and_then(|text| text.rsplit_once('{'));
            match literal.and_then(|(_, length)| length.trim_end_matches('+').parse::<usize>().ok()) {
                None => return text.to_owned(),
                Some(length) => {
                    let mut octets = vec![0; length];
                    self.stream.read_exact(&mut octets).expect("imapd answers");
                    line.extend(octets);
                }
            }
        }
    }
}
