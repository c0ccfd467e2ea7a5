//! What happens in one run: who is there, and one deed after another, as plain data.
//!
//! A plan is drawn from a seed, and can be written down, shortened and read back: whoever plays it gets the same run,
//! octet by octet.

use fastrand::Rng;
use mupdate_core::directory::Order;
use serde::{Deserialize, Serialize};

use super::principals::Principals;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Server names, and who presents them.
    pub groups: Vec<GroupPlan>,
    /// Who follows. Those that share an address have all been there at once before anything else happens.
    pub frontends: Vec<FrontendPlan>,
    /// Who logs in as whom.
    #[serde(default)]
    pub principals: Principals,
    /// There is a replica of the server.
    #[serde(default)]
    pub replica: bool,
    /// Octets of output beyond which a session waits for its peer to read.
    pub buffer: usize,
    /// What happens.
    pub deeds: Vec<Deed>,
}

/// Who presents one server name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// A replicated pair; else one backend.
    pub paired: bool,
    /// How they keep their mailboxes.
    #[serde(with = "order")]
    pub order: Order,
}

/// A frontend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendPlan {
    /// How it keeps its mailboxes.
    #[serde(with = "order")]
    pub order: Order,
    /// The last octet of its address; none on the server's own machine.
    pub address: Option<u8>,
    /// The groups that it follows; all, if there are none here.
    pub follows: Vec<usize>,
}

/// One thing that happens. What cannot be done when its time comes is passed over; numbers that are too large count
/// round again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// The leader of a group does something to a mailbox.
    Lead {
        /// The group.
        group: usize,
        /// What.
        what: What,
        /// To which mailbox: of those that fit.
        name: u8,
        /// The other name or group that it takes.
        other: u8,
    },
    /// The replica of a pair repeats what its leader did.
    Echo {
        /// The pair.
        group: usize,
        /// How much of it.
        entries: u8,
        /// What it comes to, instead of each step.
        collapsed: bool,
        /// Each command twice.
        repeated: bool,
    },
    /// The leader of a pair dies, and its replica leads from now on.
    Failover {
        /// The pair.
        group: usize,
    },
    /// `ctl_mboxlist -m`, as at the start of a backend.
    Push {
        /// The group.
        group: usize,
        /// By the replica.
        replica: bool,
    },
    /// A frontend that is away comes back; one that is there says NOOP.
    Visit {
        /// The frontend.
        frontend: usize,
    },
    /// A frontend goes away.
    Leave {
        /// The frontend.
        frontend: usize,
    },
    /// The replica, if it is away, connects; if it is there, it says NOOP.
    Follow,
    /// The server dies for ever, and its replica, if it has ever had everything, takes its place.
    Promote,
    /// A connection breaks.
    Cut {
        /// Which.
        pick: u16,
        /// What was under way to the server is lost, and the server learns of it; else it arrives some time, and the
        /// server takes the connection for open until then.
        lost: bool,
    },
    /// Nothing moves on a connection.
    Stall {
        /// Which.
        pick: u16,
    },
    /// All connections move again.
    Resume,
    /// The server dies, and is started again.
    Crash {
        /// So many of the changes that waited had just become durable.
        survivors: u8,
    },
    /// Time passes.
    Tick {
        /// Milliseconds.
        millis: u16,
    },
    /// So many small steps, drawn with this seed: a session's, the writer's, octets on their way.
    Run {
        /// How many.
        steps: u8,
        /// In which sequence.
        seed: u32,
    },
}

/// What a leader can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// CREATE.
    Create,
    /// SETACL.
    SetAcl,
    /// RENAME.
    Rename,
    /// RENAME of a user: the partition is told in the end.
    RenameUser,
    /// DELETE, at once.
    Delete,
    /// XFER to another group.
    Transfer,
}

impl What {
    const ALL: [What; 6] =
        [What::Create, What::SetAcl, What::Rename, What::RenameUser, What::Delete, What::Transfer];
}

/// Kinds of deeds, for drawing them.
#[derive(Clone, Copy)]
enum Kind {
    Lead,
    Echo,
    Failover,
    Push,
    Visit,
    Leave,
    Cut,
    Stall,
    Resume,
    Crash,
    Tick,
    Run,
}

/// How often each kind is drawn, beside the others.
const KINDS: [(Kind, u32); 12] = [
    (Kind::Lead, 30),
    (Kind::Echo, 16),
    (Kind::Failover, 2),
    (Kind::Push, 2),
    (Kind::Visit, 10),
    (Kind::Leave, 5),
    (Kind::Cut, 4),
    (Kind::Stall, 3),
    (Kind::Resume, 3),
    (Kind::Crash, 1),
    (Kind::Tick, 4),
    (Kind::Run, 50),
];

/// Mailbox names that a run knows at most.
pub const NAMES: u8 = 12;

impl Plan {
    /// The plan of a seed. Each leaves some kinds of deeds out, so that what they hide is seen as well.
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let groups: Vec<_> =
            (0..rng.usize(1..=3)).map(|_| GroupPlan { paired: rng.u8(..4) > 0, order: order(rng) }).collect();
        let shared = rng.u8(..4) == 0;
        let frontends: Vec<_> =
            (0..rng.usize(0..=3)).map(|number| frontend(rng, number, groups.len(), shared)).collect();
        let kinds: Vec<_> = KINDS
            .into_iter()
            .filter(|(kind, _)| matches!(kind, Kind::Lead | Kind::Run | Kind::Visit) || rng.u8(..4) > 0)
            .collect();
        let names = rng.u8(2..=NAMES);
        let whats: Vec<_> = What::ALL
            .into_iter()
            .filter(|what| matches!(what, What::Create | What::Delete) || rng.bool())
            .collect();
        let buffer = [1, 200, 64 << 10][rng.usize(..3)];
        let mut deeds: Vec<_> =
            (0..rng.usize(10..=160)).map(|_| deed(rng, &kinds, &whats, groups.len(), names)).collect();
        let principals = [Principals::Alike, Principals::Alike, Principals::ByServer, Principals::ByMember]
            [rng.usize(..4)];
        let replica = rng.u8(..3) == 0;
        if replica {
            let times = deeds.len() / 8;
            (0..times).for_each(|_| deeds.insert(rng.usize(..=deeds.len()), Deed::Follow));
            if rng.bool() {
                deeds.insert(rng.usize(..=deeds.len()), Deed::Promote);
            }
        }
        Self { groups, frontends, principals, replica, buffer, deeds }
    }
}

fn order(rng: &mut Rng) -> Order {
    Order::ALL[rng.usize(..Order::ALL.len())]
}

fn frontend(rng: &mut Rng, number: usize, groups: usize, shared: bool) -> FrontendPlan {
    // Frontends of one address cannot be told apart: what a NAT does, or a machine with two of them.
    let own = if shared { 1 } else { u8::try_from(number).unwrap_or(u8::MAX) };
    let address = [Some(own), Some(own), None][rng.usize(..3)];
    let follows = if rng.u8(..4) == 0 { (0..groups).filter(|_| rng.bool()).collect() } else { Vec::new() };
    FrontendPlan { order: order(rng), address, follows }
}

fn deed(rng: &mut Rng, kinds: &[(Kind, u32)], whats: &[What], groups: usize, names: u8) -> Deed {
    let all: u32 = kinds.iter().map(|(_, weight)| weight).sum();
    let mut ticket = rng.u32(..all);
    let drawn = kinds.iter().find(|(_, weight)| {
        let found = ticket < *weight;
        ticket = ticket.saturating_sub(*weight);
        found
    });
    let group = rng.usize(..groups);
    match drawn.map_or(Kind::Run, |(kind, _)| *kind) {
        Kind::Lead => {
            let what = whats[rng.usize(..whats.len())];
            Deed::Lead { group, what, name: rng.u8(..names), other: rng.u8(..names) }
        }
        Kind::Echo => {
            Deed::Echo { group, entries: rng.u8(1..=4), collapsed: rng.bool(), repeated: rng.u8(..4) == 0 }
        }
        Kind::Failover => Deed::Failover { group },
        Kind::Push => Deed::Push { group, replica: rng.bool() },
        Kind::Visit => Deed::Visit { frontend: rng.usize(..4) },
        Kind::Leave => Deed::Leave { frontend: rng.usize(..4) },
        Kind::Cut => Deed::Cut { pick: rng.u16(..), lost: rng.bool() },
        Kind::Stall => Deed::Stall { pick: rng.u16(..) },
        Kind::Resume => Deed::Resume,
        Kind::Crash => Deed::Crash { survivors: rng.u8(..3) },
        Kind::Tick => Deed::Tick { millis: [1, 50, 300, 1000][rng.usize(..4)] },
        Kind::Run => Deed::Run { steps: rng.u8(1..=40), seed: rng.u32(..) },
    }
}

/// Orders by their names.
mod order {
    use mupdate_core::directory::Order;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(order: &Order, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(order)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Order, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("octet, dot or v36"))
    }
}
