//! The end of a run: everything arrives, replicas catch up, frontends come back, and all must agree.

use fastrand::Rng;

use super::run::Run;

/// Small steps after which something goes round in circles.
const STEPS: usize = 500_000;

/// Times that everybody is asked whether there is something left to do.
const ROUNDS: usize = 60;

/// More than any log has.
const ALL: usize = 10_000;

impl Run<'_> {
    /// Lets everything come to rest, then compares.
    pub(super) fn come_to_rest(&mut self) -> Result<(), String> {
        self.rng = Rng::with_seed(1);
        self.network.resume();
        self.work_off()?;
        self.groups_agree()?;
        self.frontends_agree()?;
        self.replica_agrees()
    }

    /// All that can happen now.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            if !self.step()? {
                return Ok(());
            }
        }
        Err("it never comes to rest".to_owned())
    }

    /// Backends do what they have begun, and replicas repeat it.
    fn work_off(&mut self) -> Result<(), String> {
        for round in 0..ROUNDS {
            self.settle()?;
            let mut busy = self.begin_tasks();
            for group in 0..self.groups.len() {
                // What was refused step by step can be what no longer is; in the end only what it comes to counts.
                busy |= self.echo(group, ALL, round > 1, false);
            }
            if !busy {
                return Ok(());
            }
            if round > ROUNDS / 2 {
                // Somebody else has the name, which is no affair of a pair's unless something went wrong.
                let stuck = self.groups.iter_mut().filter(|group| !group.is_clean());
                stuck.for_each(super::backend::Group::give_up_echoing);
            }
        }
        Err("replicas never catch up".to_owned())
    }

    /// The server has what the leaders hold.
    fn groups_agree(&mut self) -> Result<(), String> {
        for group in self.groups.iter().filter(|group| group.is_clean()) {
            group.equals(&self.history)?;
        }
        for group in 0..self.groups.len() {
            if !self.groups[group].is_clean() {
                self.tell(|| format!("be{group} pushes"));
                self.figures.pushed += 1;
                let leader = self.groups[group].leader;
                self.push(group, leader);
                self.settle()?;
            }
        }
        self.groups.iter().try_for_each(|group| group.equals(&self.history))
    }

    /// The frontends have what the server has.
    fn frontends_agree(&mut self) -> Result<(), String> {
        for number in 0..self.frontends.len() {
            if self.frontends[number].line.is_none() {
                self.visit(number);
            }
        }
        self.settle()?;
        self.let_time_pass()?;
        (0..self.frontends.len()).for_each(|number| self.visit(number));
        self.settle()?;
        self.frontends.iter().try_for_each(|frontend| frontend.agrees(&self.history))
    }

    /// The replica has what the server has.
    fn replica_agrees(&mut self) -> Result<(), String> {
        for _ in 0..2 {
            self.follow();
            self.settle()?;
            self.let_time_pass()?;
        }
        match &self.follower {
            Some(follower) => follower.equals(&self.world, &self.history),
            None => Ok(()),
        }
    }

    /// Until nobody waits for the clock but for the sake of giving up.
    fn let_time_pass(&mut self) -> Result<(), String> {
        let end = self.world.now() + std::time::Duration::from_secs(1);
        while let Some(at) = self.world.next_timeout().filter(|&at| at <= end) {
            self.world.advance_to(at);
            self.settle()?;
        }
        Ok(())
    }
}
