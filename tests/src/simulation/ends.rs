//! What follows for backends when a call has ended.

use super::{
    backend::{End, Errand, Purpose, Task},
    run::Run,
};

impl Run<'_> {
    /// An errand has ended, in one way or another.
    pub(super) fn ended(&mut self, number: usize, member: usize, errand: Errand, end: End) {
        self.tell(|| format!("    be{number}/{member} ends {end:?}: {:?}", errand.purpose));
        let group = &mut self.groups[number];
        let leads = member == group.leader;
        let begun = errand.has_done_something();
        let elsewhere = errand.elsewhere().to_vec();
        let (purpose, told, open) = errand.into_told();
        match (purpose, end) {
            (Purpose::Lead { after, leaving: None }, End::Done) => group.advance(told, after),
            (Purpose::Lead { leaving: Some((mailbox, to)), .. }, End::Done) => {
                if let Some(acl) = group.held().get(&mailbox).map(|held| held.acl.clone()) {
                    group.leaving.insert(mailbox.clone());
                    self.groups[to].tasks.push_back(Task::Arrive { mailbox, acl, from: number });
                } else {
                    self.groups[to].coming.remove(&mailbox);
                }
            }
            // A name that is taken elsewhere: nothing has happened, unless something else was said before.
            (Purpose::Lead { leaving, .. }, End::Refused) => {
                group.clean &= !begun;
                if let Some((mailbox, to)) = leaving {
                    self.groups[to].coming.remove(&mailbox);
                }
            }
            (Purpose::Lead { leaving, .. }, End::Lost) => {
                group.clean = false;
                // Nobody knows whether it was announced there.
                if let Some((mailbox, to)) = leaving {
                    self.groups[to].clean = false;
                    self.groups[to].coming.remove(&mailbox);
                }
            }
            (Purpose::Push, End::Lost) => group.clean &= !leads,
            (Purpose::Task(Task::Arrive { mailbox, acl, from }), End::Done) => {
                group.coming.remove(&mailbox);
                group.admit(mailbox.clone(), acl);
                self.groups[from].release(&mailbox);
                self.groups[from].leaving.remove(&mailbox);
            }
            (Purpose::Task(Task::Arrive { mailbox, from, .. }), End::Lost | End::Refused) => {
                group.clean = false;
                group.coming.remove(&mailbox);
                self.groups[from].clean = false;
                self.groups[from].tasks.push_back(Task::TakeBack { mailbox });
            }
            (Purpose::Task(Task::TakeBack { mailbox }), end) => {
                group.leaving.remove(&mailbox);
                group.clean &= end == End::Done;
            }
            (Purpose::Echo { until }, End::Done) => {
                self.figures.echoes += 1;
                group.echoed(until, &told);
            }
            (Purpose::Echo { .. }, End::Refused | End::Lost) => group.echo_failed(&told, open.as_ref()),
            (Purpose::Push, End::Done | End::Refused) => group.pushed(member, &elsewhere),
        }
    }
}
