//! Playing a plan.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use fastrand::Rng;
use mupdate_core::directory::FuseLimits;
use mupdate_proto::{ServerName, Verb};

use super::{
    backend::{End, Errand, Group, Purpose, Task},
    figures::Figures,
    follower::Follower,
    frontend::{Frontend, Merged},
    history::History,
    mailboxes::{change, location, subject},
    network::{Arrival, Move, Network, Owner},
    plan::{Deed, FrontendPlan, Plan, What},
    principals::Principals,
};
use crate::world::{Connection, Settings, Work, World};

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub what: String,
    /// After how many deeds of the plan; all of them, if it was seen when everything had come to rest.
    pub deeds: usize,
}

/// Plays a plan to its end.
///
/// # Errors
/// Something was that must never be.
pub fn simulate(plan: &Plan) -> Result<Figures, Violation> {
    Run::new(plan, None).play(plan).map(|run| run.figures)
}

/// Plays a plan, and tells what happens: each deed, each change that becomes durable, each end of a call.
///
/// # Errors
/// As [`simulate`].
pub fn narrate(plan: &Plan, tell: &mut dyn FnMut(&str)) -> Result<Figures, Violation> {
    Run::new(plan, Some(tell)).play(plan).map(|run| run.figures)
}

/// A run under way.
pub(super) struct Run<'t> {
    pub world: World,
    pub network: Network,
    pub groups: Vec<Group>,
    pub frontends: Vec<Frontend>,
    /// The replica, until it is promoted.
    pub follower: Option<Follower>,
    pub principals: Principals,
    pub history: History,
    pub figures: Figures,
    /// Who called on which connection, also when it is no more.
    pub calls: BTreeMap<Connection, Call>,
    /// For whatever no deed decides.
    pub rng: Rng,
    tell: Option<&'t mut dyn FnMut(&str)>,
}

/// A backend's call.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub group: usize,
    pub member: usize,
    pub kind: Kind,
}

/// Why a backend calls, as far as it matters to others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Own,
    Echo,
    Push,
}

impl<'t> Run<'t> {
    fn play(mut self, plan: &Plan) -> Result<Self, Violation> {
        self.introduce().map_err(|what| Violation { what, deeds: 0 })?;
        for (at, deed) in plan.deeds.iter().enumerate() {
            self.tell(|| format!("{deed:?}"));
            self.perform(deed).map_err(|what| Violation { what, deeds: at + 1 })?;
        }
        self.tell(|| "everything comes to rest".to_owned());
        self.come_to_rest().map_err(|what| Violation { what, deeds: plan.deeds.len() })?;
        Ok(self)
    }

    /// Lets all frontends that cannot be told apart be there at once. If they never were, nobody could know, and one
    /// would be taken for the other.
    fn introduce(&mut self) -> Result<(), String> {
        for number in 0..self.frontends.len() {
            let FrontendPlan { address, .. } = self.frontends[number].plan;
            let same = self.frontends.iter().filter(|frontend| frontend.plan.address == address).count();
            if address.is_some() && same > 1 {
                self.visit(number);
            }
        }
        self.settle()
    }

    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(tell) = &mut self.tell {
            tell(&what());
        }
    }

    fn new(plan: &Plan, tell: Option<&'t mut dyn FnMut(&str)>) -> Self {
        let (principals, server) = (plan.principals, |number: usize| format!("be{number}"));
        let names: Vec<_> = (0..plan.groups.len()).map(server).collect();
        let start = Instant::now();
        let world = || {
            let mut settings = Settings::parse("").expect("the defaults are right");
            settings.session.high_water = plan.buffer;
            settings.fuse = FuseLimits::OFF;
            settings.roles = principals.roles(names.iter().map(String::as_str));
            settings.users.extend(settings.roles.named().map(|(user, _)| user.to_owned()));
            World::new(settings, start)
        };
        let groups = plan.groups.iter().enumerate();
        let frontends = plan.frontends.iter().map(|frontend| {
            let servers =
                frontend.follows.iter().map(|&number| ServerName::new(server(number)).expect("a legal name"));
            Frontend::new(frontend.clone(), principals.frontend(), servers.collect())
        });
        Self {
            world: world(),
            follower: plan.replica.then(|| Follower::new(principals.frontend(), world())),
            network: Network::default(),
            groups: groups
                .map(|(number, group)| {
                    Group::new(server(number), group.order, group.paired, principals.fenced())
                })
                .collect(),
            frontends: frontends.collect(),
            principals,
            history: History::default(),
            figures: Figures::default(),
            calls: BTreeMap::new(),
            rng: Rng::with_seed(0),
            tell,
        }
    }

    fn perform(&mut self, deed: &Deed) -> Result<(), String> {
        match *deed {
            Deed::Lead { group, what, name, other } => {
                self.lead(group % self.groups.len(), what, name, other);
            }
            Deed::Echo { group, entries, collapsed, repeated } => {
                let group = group % self.groups.len();
                self.echo(group, usize::from(entries), collapsed, repeated);
            }
            Deed::Failover { group } => self.fail_over(group % self.groups.len()),
            Deed::Push { group, replica } => {
                let group = group % self.groups.len();
                let leader = self.groups[group].leader;
                let member = if replica { self.groups[group].replica() } else { Some(leader) };
                if let Some(member) = member {
                    self.push(group, member);
                }
            }
            Deed::Visit { frontend } => self.visit(frontend),
            Deed::Leave { frontend } => {
                let line = self.frontends.get_mut(frontend).and_then(|frontend| frontend.line.take());
                if let Some(line) = line {
                    self.network.cut(line.connection, true, &mut self.world);
                }
            }
            Deed::Follow => self.follow(),
            Deed::Promote => self.promote()?,
            Deed::Cut { pick, lost } => {
                if let Some(connection) = self.network.pick(pick) {
                    self.cut(connection, lost);
                }
            }
            Deed::Stall { pick } => {
                if let Some(connection) = self.network.pick(pick) {
                    self.network.stall(connection);
                }
            }
            Deed::Resume => self.network.resume(),
            Deed::Crash { survivors } => self.crash(usize::from(survivors))?,
            Deed::Tick { millis } => {
                let now = self.world.now() + Duration::from_millis(millis.into());
                self.world.advance_to(now);
            }
            Deed::Run { steps, seed } => {
                self.rng = Rng::with_seed(seed.into());
                for _ in 0..steps {
                    self.begin_tasks();
                    if !self.step()? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// A leader does something, if it has time and the mailboxes are not on the move.
    fn lead(&mut self, number: usize, what: What, name: u8, other: u8) {
        let to = (number + 1 + usize::from(other)) % self.groups.len();
        let target = (to != number).then(|| self.groups[to].server.clone());
        let group = &self.groups[number];
        let Some(change) = change(what, group.held(), &group.server, name, other, target.as_deref()) else {
            return;
        };
        let moves = |mailbox| group.leaving.contains(mailbox) || group.coming.contains(mailbox);
        if change.told.iter().filter_map(subject).any(moves) {
            return;
        }
        let leaving = change.leaving.map(|mailbox| (mailbox, to));
        if leaving.as_ref().is_some_and(|(mailbox, _)| {
            self.groups[to].holds(mailbox) || !self.groups[to].coming.insert(mailbox.clone())
        }) {
            return;
        }
        let purpose = Purpose::Lead { after: change.after, leaving: leaving.clone() };
        if !self.begin(number, self.groups[number].leader, purpose, change.told)
            && let Some((mailbox, to)) = leaving
        {
            self.groups[to].coming.remove(&mailbox);
        }
    }

    /// Lets one of the things happen that can. False: there is none.
    pub fn step(&mut self) -> Result<bool, String> {
        let mut moves = self.network.moves(&mut self.world);
        let work = self.world.work();
        let number = moves.len() + work.len();
        if number == 0 {
            return Ok(false);
        }
        self.figures.steps += 1;
        let chosen = self.rng.usize(..number);
        match work.get(chosen) {
            Some(&work) => {
                self.world.perform(work);
                if work == Work::Commit {
                    self.note_commit()?;
                }
            }
            None => match moves.swap_remove(chosen - work.len()) {
                Move::Up(connection) => self.network.up(connection, &mut self.world, &mut self.rng),
                Move::Down(connection) => {
                    if let Some((owner, arrival)) =
                        self.network.down(connection, &mut self.world, &mut self.rng)
                    {
                        self.arrive(connection, owner, arrival)?;
                    }
                }
            },
        }
        Ok(true)
    }

    /// A client notices something.
    fn arrive(&mut self, connection: Connection, owner: Owner, arrival: Arrival) -> Result<(), String> {
        let mut out = BytesMut::new();
        match (owner, arrival) {
            (owner, Arrival::End) => self.lost(connection, owner),
            (Owner::Frontend(number), Arrival::Octets(octets)) => {
                let mut merged = Merged::default();
                self.frontends[number].hear(&octets, &self.history, &mut out, &mut merged)?;
                self.figures.merges += merged.lists;
                self.figures.told_again += merged.lost;
                self.say(connection, &out);
            }
            (Owner::Follower, Arrival::Octets(octets)) => {
                let Some(follower) = &mut self.follower else { return Ok(()) };
                follower.hear(&octets, &self.history, &mut out)?;
                self.say(connection, &out);
            }
            (Owner::Member { group, member }, Arrival::Octets(octets)) => {
                let Some(mut errand) = self.groups[group].members[member].errand.take() else {
                    return Ok(());
                };
                let backend = (&self.groups[group], &self.groups[group].members[member].held);
                let end = errand.hear(&octets, backend, &self.history, &mut out)?;
                self.say(connection, &out);
                match end {
                    None => self.groups[group].members[member].errand = Some(errand),
                    Some(end) => {
                        self.hang_up(connection);
                        self.ended(group, member, errand, end);
                    }
                }
            }
        }
        Ok(())
    }

    pub fn say(&mut self, connection: Connection, octets: &[u8]) {
        if let Some(wire) = self.network.wire(connection) {
            wire.up.extend_from_slice(octets);
        }
    }

    /// The client closes without waiting for anything.
    fn hang_up(&mut self, connection: Connection) {
        if let Some(wire) = self.network.wire(connection) {
            wire.left = true;
        }
    }

    /// A backend calls, if it has nobody on the line.
    pub fn begin(&mut self, group: usize, member: usize, purpose: Purpose, told: Vec<Verb>) -> bool {
        if self.groups[group].members[member].errand.is_some() {
            return false;
        }
        let number = u8::try_from(2 * group + member).unwrap_or(u8::MAX);
        let connection = self.world.connect(Some(IpAddr::from([192, 0, 2, number])));
        self.network.open(connection, Owner::Member { group, member });
        let kind = match purpose {
            Purpose::Echo { .. } => Kind::Echo,
            Purpose::Push => Kind::Push,
            Purpose::Lead { .. } | Purpose::Task(_) => Kind::Own,
        };
        self.calls.insert(connection, Call { group, member, kind });
        let user = self.principals.member(&self.groups[group].server, member);
        self.groups[group].members[member].errand = Some(Errand::new(connection, &user, purpose, told));
        true
    }

    /// Leaders that have time do what waits for them.
    pub fn begin_tasks(&mut self) -> bool {
        let mut any = false;
        for number in 0..self.groups.len() {
            let group = &mut self.groups[number];
            if group.members[group.leader].errand.is_some() {
                continue;
            }
            let Some(task) = group.tasks.pop_front() else { continue };
            let told = match &task {
                Task::Arrive { mailbox, acl, .. } => {
                    let (mailbox, acl) = (mailbox.clone(), acl.clone());
                    Verb::Activate { mailbox, location: location(&group.server, "p"), acl }
                }
                Task::TakeBack { mailbox } => {
                    let Some(held) = group.held().get(mailbox) else {
                        group.leaving.remove(mailbox);
                        continue;
                    };
                    let (mailbox, acl) = (mailbox.clone(), held.acl.clone());
                    Verb::Activate { mailbox, location: location(&group.server, held.partition), acl }
                }
            };
            let leader = group.leader;
            any |= self.begin(number, leader, Purpose::Task(task), vec![told]);
        }
        any
    }

    /// A replica repeats; false if it has nothing to say, or no time.
    pub fn echo(&mut self, group: usize, entries: usize, collapsed: bool, repeated: bool) -> bool {
        let Some(replica) = self.groups[group].replica() else { return false };
        let Some((purpose, told)) = self.groups[group].echo(entries, collapsed) else { return false };
        let times = if repeated { 2 } else { 1 };
        let told = told.into_iter().flat_map(|verb| std::iter::repeat_n(verb, times)).collect();
        self.begin(group, replica, purpose, told)
    }

    /// `ctl_mboxlist -m`.
    pub fn push(&mut self, group: usize, member: usize) -> bool {
        if member != self.groups[group].leader && self.groups[group].replica_missed_a_transfer() {
            self.groups[group].clean = false;
        }
        let prefix = format!("{}!", self.groups[group].server);
        self.begin(group, member, Purpose::Push, vec![Verb::List { prefix: Some(prefix.into()) }])
    }

    /// A frontend comes, or asks.
    pub fn visit(&mut self, number: usize) {
        let Some(frontend) = self.frontends.get_mut(number) else { return };
        match &frontend.line {
            None => {
                let address = frontend.plan.address.map(|last| IpAddr::from([198, 51, 100, last]));
                let connection = self.world.connect(address);
                self.network.open(connection, Owner::Frontend(number));
                frontend.call(connection);
            }
            Some(line) => {
                let (connection, mut out) = (line.connection, BytesMut::new());
                frontend.noop(self.history.revision(), &mut out);
                self.say(connection, &out);
            }
        }
    }

    fn cut(&mut self, connection: Connection, lost: bool) {
        let Some(owner) = self.network.wire(connection).map(|wire| wire.owner) else { return };
        self.figures.cuts += 1;
        self.network.cut(connection, lost, &mut self.world);
        self.lost(connection, owner);
    }

    /// A client has lost its connection.
    pub fn lost(&mut self, connection: Connection, owner: Owner) {
        match owner {
            Owner::Frontend(number) => {
                let frontend = &mut self.frontends[number];
                frontend.line = frontend.line.take().filter(|line| line.connection != connection);
            }
            Owner::Follower => {
                if let Some(follower) = &mut self.follower {
                    follower.line = follower.line.take().filter(|line| line.connection != connection);
                }
            }
            Owner::Member { group, member } => {
                let errand = &mut self.groups[group].members[member].errand;
                if let Some(errand) = errand.take_if(|errand| errand.connection == connection) {
                    self.ended(group, member, errand, End::Lost);
                }
            }
        }
    }

    fn crash(&mut self, survivors: usize) -> Result<(), String> {
        self.figures.crashes += 1;
        self.world.lose_waiting(survivors);
        if self.world.work().contains(&Work::Commit) {
            self.world.perform(Work::Commit);
            self.note_commit()?;
        }
        self.world.crash();
        for (connection, owner) in self.network.clear() {
            self.lost(connection, owner);
        }
        Ok(())
    }

    fn fail_over(&mut self, group: usize) {
        if self.groups[group].replica().is_none() {
            return;
        }
        let leader = self.groups[group].leader;
        let idle = self.groups[group].members[leader].errand.is_none();
        for member in 0..2 {
            let errand = &self.groups[group].members[member].errand;
            if let Some(connection) = errand.as_ref().map(|errand| errand.connection) {
                let lost = self.rng.bool();
                self.cut(connection, lost);
            }
        }
        let intact = self.groups[group].fail_over() && idle;
        self.figures.failovers.0 += u64::from(intact);
        self.figures.failovers.1 += u64::from(!intact);
    }
}
