//! A daemon that follows the master, and can take its place: a whole server of its own, to which nobody comes before that.
//!
//! It does what `mupdate_host::upstream` does: each connection begins with the whole list, which is merged; then it does
//! what the stream says, and asks NOOP, whose answer proves that everything has come that was durable when it was asked.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

use bytes::BytesMut;
use mupdate_core::directory::{Edit, Merging, Revision};
use mupdate_proto::{Status, Verb};

use super::{
    caller::{Caller, Heard},
    history::{History, told},
};
use crate::world::{Connection, World};

/// A replica of the whole directory.
pub(super) struct Follower {
    user: String,
    /// What it will serve when it is the master.
    pub world: World,
    /// All that this ever had.
    pub history: History,
    pub line: Option<Line>,
    /// The master's revision up to which everything has come; none: it has never had everything.
    proven: Option<Revision>,
}

/// Its connection to the master.
pub(super) struct Line {
    pub connection: Connection,
    caller: Caller,
    stage: Stage,
}

enum Stage {
    Login,
    /// UPDATE was sent when the master's revision was this.
    Listing(Revision, Merging<Key>),
    /// So was a NOOP, if there is one.
    Streaming(Option<Revision>),
}

/// Hashes the same in each run.
struct Key(u8);

impl BuildHasher for Key {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(self.0);
        hasher
    }
}

impl Follower {
    /// It has nothing yet.
    pub fn new(user: String, world: World) -> Self {
        Self { user, world, history: History::default(), line: None, proven: None }
    }

    /// Calls the master.
    pub fn call(&mut self, connection: Connection) {
        self.line = Some(Line { connection, caller: Caller::new(&self.user), stage: Stage::Login });
    }

    /// Asks for everything that happened until now, unless it is asking already.
    pub fn noop(&mut self, now: Revision, out: &mut BytesMut) {
        if let Some(Line { caller, stage: Stage::Streaming(asked @ None), .. }) = &mut self.line {
            *asked = Some(now);
            caller.send(Verb::Noop, out);
        }
    }

    /// Octets came from the master. `there` is all that it ever had.
    pub fn hear(&mut self, octets: &[u8], there: &History, out: &mut BytesMut) -> Result<(), String> {
        if let Some(line) = &mut self.line {
            line.caller.hear(octets);
        }
        let mut edits = Vec::new();
        while let Some(line) = &mut self.line {
            let Some(heard) = line.caller.next(out) else { break };
            match (&mut line.stage, heard) {
                (Stage::Login, Heard::Ready) => {
                    line.caller.send(Verb::Update { servers: Vec::new() }, out);
                    line.stage = Stage::Listing(there.revision(), Merging::new([Key(1), Key(2)]));
                }
                (Stage::Listing(_, merging), Heard::Data(data)) => {
                    let (mailbox, record) = told(data)?;
                    if record.is_some() {
                        merging.has(&mailbox);
                    }
                    edits.push(Edit { mailbox, record });
                }
                (Stage::Listing(..), Heard::Answer(Status::Ok)) => {
                    let before = std::mem::replace(&mut line.stage, Stage::Streaming(None));
                    let Stage::Listing(asked, merging) = before else { continue };
                    self.carry_out(&mut edits)?;
                    let complete = merging.complete();
                    let names = self.world.directory().records().keys();
                    let gone = names.filter(|name| complete.lacks(name.as_bytes()));
                    edits = gone.map(|name| Edit { mailbox: name.clone(), record: None }).collect();
                    self.carry_out(&mut edits)?;
                    self.proved(asked, there)?;
                }
                (Stage::Streaming(_), Heard::Data(data)) => {
                    let (mailbox, record) = told(data)?;
                    edits.push(Edit { mailbox, record });
                }
                (Stage::Streaming(asked), Heard::Answer(Status::Ok)) => {
                    let asked = asked.take().ok_or("an answer that nobody asked for")?;
                    self.carry_out(&mut edits)?;
                    self.proved(asked, there)?;
                }
                (_, heard) => return Err(format!("a replica heard {heard:?}")),
            }
        }
        self.carry_out(&mut edits)
    }

    /// In one transaction.
    fn carry_out(&mut self, edits: &mut Vec<Edit>) -> Result<(), String> {
        self.world.edit(edits).iter().try_for_each(|event| self.history.add(event))?;
        edits.clear();
        Ok(())
    }

    fn proved(&mut self, asked: Revision, there: &History) -> Result<(), String> {
        self.proven = self.proven.max(Some(asked));
        self.keeps_its_word(there)
    }

    /// Has it ever had everything? Else it cannot become the master.
    pub fn has_everything(&self) -> bool {
        self.proven.is_some()
    }

    /// Each name is as it was at the master when the last proof was asked for, or at a moment after that.
    pub fn keeps_its_word(&self, there: &History) -> Result<(), String> {
        let Some(proven) = self.proven else { return Ok(()) };
        for mailbox in there.names().chain(self.history.names()) {
            let here = self.history.now(mailbox);
            if there.when(mailbox, proven, |record| record == here).is_none() {
                return Err(format!(
                    "the replica has {mailbox} as {here:?}, which it was not after {proven}"
                ));
            }
        }
        Ok(())
    }

    /// Does it follow, with all that the master has?
    pub fn equals(&self, master: &World, there: &History) -> Result<(), String> {
        self.keeps_its_word(there)?;
        if self.proven != Some(there.revision()) {
            return Err(format!("a replica has its last proof of {:?}", self.proven));
        }
        if self.world.directory().records() != master.directory().records() {
            return Err("the replica is no copy of its master".to_owned());
        }
        Ok(())
    }
}
