//! Plays a [`Script`] on a [`Stage`] and writes down both directions.

use std::collections::{BTreeMap, BTreeSet};

use mupdate_host::config::Config;
use mupdate_proto::encode_base64;

use crate::{
    deflate::Deflate,
    script::{Action, Script, Step},
    wire,
};

/// The user that every stage knows, and the password of all.
pub const LOGIN: (&str, &str) = ("murder", "secret");

/// PLAIN's response for a user with the password of [`LOGIN`].
pub fn login_base64(user: &str) -> String {
    encode_base64(format!("\0{user}\0{}", LOGIN.1).as_bytes())
}

/// Who can log in where these settings are in force, all of them with the password of [`LOGIN`].
pub fn users(settings: &Config) -> BTreeSet<String> {
    let named = settings.roles.named().map(|(user, _)| user.to_owned());
    named.chain([LOGIN.0.to_owned()]).collect()
}

/// Somewhere a server runs: the bare core, or a daemon.
pub trait Stage {
    /// Opens a connection.
    ///
    /// # Errors
    /// Says why it could not be opened; so do the others.
    fn connect(&mut self, client: &str) -> Result<(), String>;
    /// Sends octets.
    fn send(&mut self, client: &str, octets: &[u8]) -> Result<(), String>;
    /// Waits for the next octets from the server; an empty answer is the end of the stream.
    fn receive(&mut self, client: &str) -> Result<Vec<u8>, String>;
    /// Shakes hands with a server that has said OK to STARTTLS: all octets from here on are encrypted on their way.
    fn encrypt(&mut self, client: &str) -> Result<(), String>;
    /// Closes the client's sending side.
    fn finish_sending(&mut self, client: &str) -> Result<(), String>;
    /// Closes a connection.
    fn drop_connection(&mut self, client: &str) -> Result<(), String>;
    /// Tells the server to end in good order.
    fn stop(&mut self) -> Result<(), String>;
}

/// Plays a script; the answer is the transcript of both directions.
///
/// # Errors
/// Says which step could not be played, and shows what was seen until then.
pub fn play(script: &Script, stage: &mut dyn Stage) -> Result<String, String> {
    let mut player = Player { stage, clients: BTreeMap::new(), seen: format!("# {}\n", script.sentence) };
    for step in &script.steps {
        if let Err(wrong) = player.step(step) {
            return Err(format!("{wrong}\nat {step:?}, after\n{}", player.seen));
        }
    }
    for (name, client) in &player.clients {
        if !client.received.is_empty() {
            return Err(format!(
                "{name} never read {}\nafter\n{}",
                wire::visible(&client.received),
                player.seen
            ));
        }
    }
    Ok(player.seen)
}

struct Player<'a> {
    stage: &'a mut dyn Stage,
    clients: BTreeMap<String, Client>,
    seen: String,
}

#[derive(Default)]
struct Client {
    received: Vec<u8>,
    ended: bool,
    deflate: Option<Deflate>,
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Remark(text) => self.seen.push_str(&format!("# {text}\n")),
            Step::StopServer => {
                self.seen.push_str("(server stop)\n");
                self.stage.stop()?;
            }
            Step::Client { name, action } => {
                match (self.clients.contains_key(name), action) {
                    (false, Action::Connect) => self.connect(name)?,
                    (false, Action::Drop) => return Err("not connected".into()),
                    (false, _) => {
                        let mark = self.seen.len();
                        self.connect(name)?;
                        self.expected(name, mark, "* OK MUPDATE", "(connected)")?;
                    }
                    (true, _) => {}
                }
                self.act(name, action)?;
            }
        }
        Ok(())
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        self.stage.connect(name)?;
        self.clients.insert(name.into(), Client::default());
        self.read_banner(name)
    }

    fn read_banner(&mut self, name: &str) -> Result<(), String> {
        self.read_until(name, |unit| unit.starts_with(b"* OK MUPDATE") || unit.starts_with(b"* BYE"))
    }

    /// What every transcript begins with is shown in a word: the last line since `mark` has to be the usual one.
    fn expected(&mut self, name: &str, mark: usize, usual: &str, word: &str) -> Result<(), String> {
        let last = self.seen[mark..].lines().next_back().unwrap_or_default();
        if !last.starts_with(&format!("{name}< {usual}")) {
            return Err(format!("expected {usual}"));
        }
        self.seen.truncate(mark);
        self.note(name, '-', word);
        Ok(())
    }

    fn act(&mut self, name: &str, action: &Action) -> Result<(), String> {
        match action {
            Action::Connect => Ok(()),
            Action::Login(user) => {
                let mark = self.seen.len();
                let response = login_base64(user.as_deref().unwrap_or(LOGIN.0));
                self.ask(name, &format!("L0 AUTHENTICATE \"PLAIN\" \"{response}\""))?;
                let word =
                    user.as_ref().map_or("(logged in)".to_owned(), |user| format!("(logged in as {user})"));
                self.expected(name, mark, "L0 OK \"Authenticated\"", &word)
            }
            Action::Ask(line) => self.ask(name, line),
            Action::Send(octets) => self.send(name, octets),
            Action::Read(units) => (0..*units).try_for_each(|_| self.read(name).map(drop)),
            Action::Wait(tag) => self.read_until(name, |unit| is_answer_to(unit, tag)),
            Action::Closed => self.closed(name),
            Action::Eof => {
                self.note(name, '>', "(eof)");
                self.stage.finish_sending(name)
            }
            Action::Drop => {
                self.note(name, '>', "(drop)");
                self.clients.insert(name.into(), Client { ended: true, ..Client::default() });
                self.stage.drop_connection(name)
            }
            Action::Tls => {
                self.note(name, '-', "(tls)");
                if !self.client(name).received.is_empty() {
                    return Err("octets behind the answer to STARTTLS".into());
                }
                self.stage.encrypt(name)?;
                self.read_banner(name)
            }
            Action::Deflate => {
                self.note(name, '-', "(deflate)");
                let client = self.client(name);
                if !client.received.is_empty() {
                    return Err("octets behind the answer to COMPRESS".into());
                }
                client.deflate = Some(Deflate::default());
                Ok(())
            }
        }
    }

    fn ask(&mut self, name: &str, line: &str) -> Result<(), String> {
        self.send(name, format!("{line}\r\n").as_bytes())?;
        let tag = line.split(' ').next().unwrap_or_default();
        self.read_until(name, |unit| {
            is_answer_to(unit, tag) || unit.starts_with(b"* BAD") || unit.starts_with(b"* BYE")
        })
    }

    fn send(&mut self, name: &str, octets: &[u8]) -> Result<(), String> {
        wire::show(&mut self.seen, &format!("{name}>"), octets);
        let octets = match &mut self.client(name).deflate {
            Some(deflate) => deflate.pack(octets),
            None => octets.to_vec(),
        };
        self.stage.send(name, &octets)
    }

    fn read_until(&mut self, name: &str, last: impl Fn(&[u8]) -> bool) -> Result<(), String> {
        while !last(&self.read(name)?) {}
        Ok(())
    }

    /// Reads and shows one unit.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, String> {
        loop {
            let client = self.client(name);
            if let Some(length) = wire::unit_length(&client.received) {
                let unit = client.received.drain(..length).collect::<Vec<_>>();
                wire::show(&mut self.seen, &format!("{name}<"), &unit);
                return Ok(unit);
            }
            if client.ended {
                return Err(format!("{name}'s connection is closed"));
            }
            self.fill(name)?;
        }
    }

    /// Waits for octets from the server.
    fn fill(&mut self, name: &str) -> Result<(), String> {
        let octets = self.stage.receive(name)?;
        let client = self.client(name);
        client.ended = octets.is_empty();
        let plain = match &mut client.deflate {
            Some(deflate) => deflate.unpack(&octets)?,
            None => octets,
        };
        client.received.extend_from_slice(&plain);
        Ok(())
    }

    fn closed(&mut self, name: &str) -> Result<(), String> {
        while !self.client(name).ended {
            self.fill(name)?;
        }
        let rest = std::mem::take(&mut self.client(name).received);
        wire::show(&mut self.seen, &format!("{name}<"), &rest);
        self.note(name, '<', "(closed)");
        Ok(())
    }

    fn note(&mut self, name: &str, direction: char, what: &str) {
        self.seen.push_str(&format!("{name}{direction} {what}\n"));
    }

    fn client(&mut self, name: &str) -> &mut Client {
        self.clients.get_mut(name).expect("every step connects its client first")
    }
}

fn is_answer_to(unit: &[u8], tag: &str) -> bool {
    wire::answer(unit).is_some_and(|(answered, _)| answered == tag.as_bytes())
}
