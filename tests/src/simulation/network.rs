//! Connections between clients and the world, with octets under way in both directions.
//!
//! On one connection octets keep their sequence; between connections there is none. Any part of what is under way can
//! arrive at any time.

use std::collections::BTreeMap;

use bytes::BytesMut;
use fastrand::Rng;

use crate::world::{Connection, World};

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A member of a group.
    Member { group: usize, member: usize },
    /// A frontend.
    Frontend(usize),
    /// The replica.
    Follower,
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    pub owner: Owner,
    /// On its way to the server.
    pub up: BytesMut,
    /// On its way to the client.
    down: BytesMut,
    /// The client has closed its end: what is under way to the server arrives, then the connection ends.
    pub left: bool,
    stalled: bool,
}

/// All connections.
#[derive(Debug, Default)]
pub struct Network {
    wires: BTreeMap<Connection, Wire>,
}

/// Something that can happen on a wire.
#[derive(Debug, Clone, Copy)]
pub enum Move {
    /// Octets get to the server, or the end does.
    Up(Connection),
    /// Octets get to the client, or the end does.
    Down(Connection),
}

/// What a client notices.
#[derive(Debug)]
pub enum Arrival {
    /// Octets, in one read.
    Octets(BytesMut),
    /// The end of the connection.
    End,
}

impl Network {
    /// A connection was opened.
    pub fn open(&mut self, connection: Connection, owner: Owner) {
        let (up, down) = (BytesMut::new(), BytesMut::new());
        self.wires.insert(connection, Wire { owner, up, down, left: false, stalled: false });
    }

    /// The wire of a connection that is not gone.
    pub fn wire(&mut self, connection: Connection) -> Option<&mut Wire> {
        self.wires.get_mut(&connection)
    }

    /// Connections whose client has not left, by number.
    pub fn pick(&self, number: u16) -> Option<Connection> {
        let open: Vec<_> = self.wires.iter().filter(|(_, wire)| !wire.left).map(|(at, _)| *at).collect();
        open.get(usize::from(number) % open.len().max(1)).copied()
    }

    /// All connections end at once.
    pub fn clear(&mut self) -> Vec<(Connection, Owner)> {
        let wires = std::mem::take(&mut self.wires).into_iter().filter(|(_, wire)| !wire.left);
        wires.map(|(connection, wire)| (connection, wire.owner)).collect()
    }

    /// Nothing moves on this connection.
    pub fn stall(&mut self, connection: Connection) {
        if let Some(wire) = self.wires.get_mut(&connection) {
            wire.stalled = true;
        }
    }

    /// Everything moves.
    pub fn resume(&mut self) {
        for wire in self.wires.values_mut() {
            wire.stalled = false;
        }
    }

    /// The connection breaks. If what was under way is lost, the server learns of it at once.
    pub fn cut(&mut self, connection: Connection, lost: bool, world: &mut World) {
        if lost {
            self.wires.remove(&connection);
            world.disconnect(connection);
        } else if let Some(wire) = self.wires.get_mut(&connection) {
            wire.left = true;
            wire.stalled = true;
        }
    }

    /// All that can move now.
    pub fn moves(&mut self, world: &mut World) -> Vec<Move> {
        let mut moves = Vec::new();
        for (&connection, wire) in &mut self.wires {
            wire.down.extend_from_slice(&world.take_output(connection));
            if wire.stalled {
                continue;
            }
            if !wire.up.is_empty() || wire.left {
                moves.push(Move::Up(connection));
            }
            if !wire.left && (!wire.down.is_empty() || world.closed(connection).is_some()) {
                moves.push(Move::Down(connection));
            }
        }
        moves
    }

    /// Some of what is under way to the server gets there.
    pub fn up(&mut self, connection: Connection, world: &mut World, rng: &mut Rng) {
        let Some(wire) = self.wires.get_mut(&connection) else { return };
        if wire.up.is_empty() {
            self.wires.remove(&connection);
            world.disconnect(connection);
            return;
        }
        let some = part(wire.up.len(), rng);
        world.send(connection, &wire.up.split_to(some));
    }

    /// Some of what is under way to the client gets there.
    pub fn down(
        &mut self,
        connection: Connection,
        world: &mut World,
        rng: &mut Rng,
    ) -> Option<(Owner, Arrival)> {
        let wire = self.wires.get_mut(&connection)?;
        let owner = wire.owner;
        if wire.down.is_empty() {
            self.wires.remove(&connection);
            world.disconnect(connection);
            return Some((owner, Arrival::End));
        }
        let some = part(wire.down.len(), rng);
        Some((owner, Arrival::Octets(wire.down.split_to(some))))
    }
}

/// All of it, mostly.
fn part(length: usize, rng: &mut Rng) -> usize {
    if rng.u8(..4) == 0 { rng.usize(1..=length) } else { length }
}
