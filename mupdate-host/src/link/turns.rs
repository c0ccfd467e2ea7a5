//! Long work in turns, so that short work need not wait for it.
//!
//! A command or a few of a backend take microseconds. A list of everything, a pipeline without end or a deflate bomb take
//! as long as one lets them, and there may be hundreds of such peers at once. Each for itself gives way after a while; but
//! a processor that is given to one after the other of hundreds is not free for a backend's command until all of them had
//! it. So work that turned out to be long goes on only in a [`Turn`], of which there are as many at a time as processors.
//! Whoever has used his up waits behind all others who want one, asleep: neither an executor nor the system's scheduler
//! sees more busy connections than that.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    inbox::Inbox,
    sync::{Mutex, MutexGuard, lock},
};

/// All turns of a daemon.
#[derive(Debug)]
pub struct Turns(Mutex<State>);

/// If anybody waits, none is free.
#[derive(Debug)]
struct State {
    free: usize,
    waiting: VecDeque<Arc<Inbox>>,
}

impl Turns {
    /// So many at a time.
    pub fn new(at_a_time: usize) -> Self {
        Self(Mutex::new(State { free: at_a_time.max(1), waiting: VecDeque::new() }))
    }

    /// How many wait for one.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Every change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Take a turn if there is one; else it comes through the inbox.
    fn enter(&self, inbox: &Arc<Inbox>) -> bool {
        let mut state = self.lock();
        let free = state.free > 0;
        if free {
            state.free -= 1;
        } else {
            state.waiting.push_back(Arc::clone(inbox));
        }
        free
    }

    /// Give a turn to whoever has waited longest.
    fn leave(&self) {
        let mut state = self.lock();
        match state.waiting.pop_front() {
            Some(next) => {
                drop(state);
                next.turn();
            }
            None => state.free += 1,
        }
    }

    /// Wait no longer. False: the turn is in the inbox already.
    fn forget(&self, inbox: &Arc<Inbox>) -> bool {
        let mut state = self.lock();
        let at = state.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, inbox));
        at.is_some_and(|at| state.waiting.remove(at).is_some())
    }
}

/// One connection's part in the [`Turns`]; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    inbox: Arc<Inbox>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// None is wanted.
    Out,
    /// In the queue, or on its way through the inbox.
    Waiting,
    In,
}

impl Turn {
    pub fn new(turns: &Arc<Turns>, inbox: &Arc<Inbox>) -> Self {
        Self { turns: Arc::clone(turns), inbox: Arc::clone(inbox), stage: Stage::Out }
    }

    /// It is this connection's turn.
    pub fn is_in(&self) -> bool {
        self.stage == Stage::In
    }

    /// It is not yet, and the inbox will tell.
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// Have a turn, or wait for one; true if there is one.
    pub fn enter(&mut self) -> bool {
        if self.stage == Stage::Out {
            self.stage = if self.turns.enter(&self.inbox) { Stage::In } else { Stage::Waiting };
        }
        self.is_in()
    }

    /// The inbox had a turn in it.
    pub fn arrived(&mut self) {
        debug_assert_eq!(self.stage, Stage::Waiting, "turns come to those who wait");
        self.stage = Stage::In;
    }

    /// Let others have it, if this connection has one.
    pub fn leave(&mut self) {
        if self.is_in() {
            self.stage = Stage::Out;
            self.turns.leave();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_waiting() && !self.turns.forget(&self.inbox) {
            self.stage = Stage::In;
        }
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Queue(Arc<Turns>);

    impl Queue {
        fn join(&self) -> (Turn, Arc<Inbox>) {
            let inbox = Inbox::new(Box::new(|| {}));
            (Turn::new(&self.0, &inbox), inbox)
        }
    }

    #[test]
    fn turns_go_round() {
        let queue = Queue(Arc::new(Turns::new(1)));
        let ((mut first, first_inbox), (mut second, second_inbox)) = (queue.join(), queue.join());
        assert!(first.enter() && first.enter());
        assert!(!second.enter() && second.is_waiting());
        assert_eq!(queue.0.waiting(), 1);
        first.leave();
        assert!(!first.enter(), "the other one is first");
        assert!(second_inbox.take().turn);
        second.arrived();
        second.leave();
        assert!(first_inbox.take().turn);
    }

    #[test]
    fn whoever_goes_leaves_no_gap() {
        let queue = Queue(Arc::new(Turns::new(1)));
        let ((mut first, _), (mut second, _), (mut third, third_inbox)) =
            (queue.join(), queue.join(), queue.join());
        assert!(first.enter() && !second.enter() && !third.enter());
        // The turn is with the second, who does not know yet.
        first.leave();
        assert!(!third_inbox.take().turn);
        drop(second);
        assert!(third_inbox.take().turn);
        third.arrived();
        // One who only waits is passed over.
        let (mut fourth, _) = queue.join();
        assert!(!fourth.enter());
        drop(fourth);
        drop(third);
        assert!(queue.join().0.enter());
    }
}
