//! When a session has waited long enough.

use std::time::{Duration, Instant};

use super::{Reason, ServerSession, Task, state::Phase, stream::Stream};

impl ServerSession {
    /// When [`handle_timeout`](Self::handle_timeout) has to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // Once the session is to end it waits for what is in flight, and for no time: a deadline that has passed would
        // have the runtime come back at once, again and again.
        if self.farewell.is_some() || matches!(self.task, Task::Closed(_)) {
            return None;
        }
        let login = (self.phase == Phase::Login).then_some(self.login_by);
        let idle = self.idle_since.zip(self.idle_limit()).map(|(since, limit)| since + limit);
        let hold = self.stream.as_ref().and_then(Stream::deadline);
        let penalty = match &self.task {
            Task::Penalty(penalty) => penalty.until,
            _ => None,
        };
        [self.speak_by, login, idle, hold, penalty].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Login && self.login_by <= now {
            self.farewell.get_or_insert(Reason::TimedOut("no login within the time allowed"));
        }
        if self.speak_by.is_some_and(|by| by <= now) {
            self.farewell.get_or_insert(Reason::TimedOut("no command within the time allowed"));
        }
        if self.idle_since.zip(self.idle_limit()).is_some_and(|(since, limit)| since + limit <= now) {
            self.farewell.get_or_insert(Reason::TimedOut("idle for too long"));
        }
        if let Some(stream) = &mut self.stream {
            stream.handle_timeout(now);
        }
    }

    fn idle_limit(&self) -> Option<Duration> {
        if self.phase == Phase::Ready { self.config.idle } else { None }
    }
}
