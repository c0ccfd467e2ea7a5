//! The replica calls, and takes the server's place.

use std::net::IpAddr;

use bytes::BytesMut;

use super::{follower::Follower, network::Owner, run::Run};

impl Run<'_> {
    /// The replica comes, or asks.
    pub(super) fn follow(&mut self) {
        let Some(follower) = &mut self.follower else { return };
        match &follower.line {
            None => {
                let connection = self.world.connect(Some(IpAddr::from([203, 0, 113, 1])));
                self.network.open(connection, Owner::Follower);
                follower.call(connection);
            }
            Some(line) => {
                let (connection, mut out) = (line.connection, BytesMut::new());
                follower.noop(self.history.revision(), &mut out);
                self.say(connection, &out);
            }
        }
    }

    /// The server dies with all that is under way, and the replica serves what it has. Backends then tell it what they
    /// hold, before anything else is done.
    pub(super) fn promote(&mut self) -> Result<(), String> {
        let Some(follower) = self.follower.take_if(|follower| follower.has_everything()) else {
            return Ok(());
        };
        for (connection, owner) in self.network.clear() {
            self.lost(connection, owner);
        }
        follower.keeps_its_word(&self.history)?;
        let now = self.world.now();
        let Follower { world, history, .. } = follower;
        (self.world, self.history) = (world, history);
        self.world.advance_to(now);
        self.calls.clear();
        self.figures.promotions += 1;
        self.tell(|| "the replica is the master now".to_owned());
        // What one has given away and another has taken may be told by the one only when the other has let go.
        for _ in 0..2 {
            for number in 0..self.groups.len() {
                self.groups[number].clean = false;
                let leader = self.groups[number].leader;
                self.push(number, leader);
                self.settle()?;
            }
        }
        Ok(())
    }
}
