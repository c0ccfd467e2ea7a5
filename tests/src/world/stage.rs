//! Transcripts played on a world, at several paces: what a transcript shows may not depend on who is fast.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Connection, Settings, Work, World};
use crate::{player::Stage, script::drained};

/// How long a hasty world dawdles before each step: longer than changes are held back behind an UPDATE by default.
const DAWDLING: Duration = Duration::from_millis(400);

/// When things happen that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    Eager,
    /// As late as possible: sessions that nobody waits for stand still.
    Lazy,
    /// At once, and time passes before each step.
    Dawdling,
}

/// A world, and the names that a transcript has for its connections.
pub struct WorldStage {
    world: World,
    pace: Pace,
    clients: BTreeMap<String, Connection>,
}

impl WorldStage {
    /// A world with these settings, as TOML.
    ///
    /// # Errors
    /// Says what is wrong with the settings.
    pub fn new(toml: &str, pace: Pace) -> Result<Self, String> {
        let mut world = World::new(Settings::parse(toml)?, Instant::now());
        drained(toml).for_each(|server| world.drain(server));
        Ok(Self { world, pace, clients: BTreeMap::new() })
    }

    /// Lets happen what happens between two steps of a transcript.
    fn between_steps(&mut self) {
        if self.pace == Pace::Lazy {
            return;
        }
        self.world.settle();
        let until = self.world.now() + DAWDLING;
        while let Some(at) =
            self.world.next_timeout().filter(|&at| self.pace == Pace::Dawdling && at <= until)
        {
            self.world.advance_to(at);
            self.world.settle();
        }
    }

    /// What to do next for a client that waits.
    fn next_work(&self, connection: Connection) -> Option<Work> {
        let work = self.world.work();
        let wanted = |work: &&Work| {
            self.pace != Pace::Lazy
                || matches!(work, Work::Commit | Work::Publish)
                || **work == Work::Step(connection)
        };
        work.iter().find(wanted).or(work.first()).copied()
    }

    fn connection(&self, client: &str) -> Result<Connection, String> {
        self.clients.get(client).copied().ok_or_else(|| format!("{client} is not connected"))
    }
}

impl Stage for WorldStage {
    fn connect(&mut self, client: &str) -> Result<(), String> {
        let connection = self.world.connect(None);
        self.clients.insert(client.into(), connection);
        Ok(())
    }

    fn send(&mut self, client: &str, octets: &[u8]) -> Result<(), String> {
        let connection = self.connection(client)?;
        self.between_steps();
        self.world.send(connection, octets);
        self.between_steps();
        Ok(())
    }

    /// Time passes only when nothing else can bring octets.
    fn receive(&mut self, client: &str) -> Result<Vec<u8>, String> {
        let connection = self.connection(client)?;
        self.between_steps();
        loop {
            let octets = self.world.take_output(connection);
            if !octets.is_empty() || self.world.closed(connection).is_some() {
                return Ok(octets);
            }
            if let Some(work) = self.next_work(connection) {
                self.world.perform(work);
            } else if let Some(at) = self.world.next_timeout() {
                self.world.advance_to(at);
            } else {
                return Err(format!("nothing will ever come for {client}"));
            }
        }
    }

    fn encrypt(&mut self, client: &str) -> Result<(), String> {
        let connection = self.connection(client)?;
        self.between_steps();
        self.world.encrypt(connection);
        Ok(())
    }

    fn finish_sending(&mut self, client: &str) -> Result<(), String> {
        let connection = self.connection(client)?;
        self.world.finish_sending(connection);
        Ok(())
    }

    fn drop_connection(&mut self, client: &str) -> Result<(), String> {
        let connection = self.connection(client)?;
        self.world.settle();
        self.world.disconnect(connection);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), String> {
        self.world.shutdown("server is shutting down");
        Ok(())
    }
}
