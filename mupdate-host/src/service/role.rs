//! Promotion and demotion: a replica becomes the master and a master a replica, while they serve.

use std::{
    sync::{Arc, mpsc},
    time::Instant,
};

use mupdate_proto::Role;
use tracing::{info, warn};

use super::{Service, Settings};
use crate::{
    authority::{Authority, Following, Local, Standing},
    config::AuthorityKind,
    upstream::Upstream,
    writer::{Done, Job, Remember},
};

impl Service {
    /// What this daemon is to its clients now.
    #[must_use]
    pub fn role(&self) -> Role {
        self.settings.load().session.role.clone()
    }

    /// The master that is followed, or that would be after a demotion.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_ref()
    }

    /// Become the master, at once and for all restarts to come, until the configuration's `authority` is changed or somebody
    /// demotes it. Open connections stay, and their changes are taken from now on.
    ///
    /// Without `force` it is refused where that could lose something or make two masters: this replica has never had
    /// everything, its master answers and takes changes, or it takes none but has some left that do not come.
    ///
    /// # Errors
    /// Why not, in one line; nothing has changed.
    pub fn promote(&self, force: bool) -> Result<(), String> {
        let _one_at_a_time = crate::sync::lock(&self.turning);
        let Some(upstream) = self.upstream.as_ref().filter(|_| self.role() != Role::Master) else {
            return Err("this is the master already".into());
        };
        if !force {
            upstream.may_be_replaced().map_err(|reason| format!("{reason} (or force the promotion)"))?;
        }
        // From here on nothing of the former master's comes in.
        upstream.stop();
        let outcome = self.turn_into(AuthorityKind::Local, Box::new(Local));
        match &outcome {
            Ok(()) => {
                self.show_role(&Role::Master);
                warn!(force, "promoted: this daemon is the master now");
            }
            Err(_) => follow(upstream),
        }
        outcome
    }

    /// Become a replica of the master in `[upstream]`, at once and for all restarts to come, until the configuration's
    /// `authority` is changed or somebody promotes it. When this returns, no change is acknowledged any more that its
    /// streams are not told of: whoever follows it can get all of them, and be promoted. Open connections stay; changes on
    /// them are refused.
    ///
    /// It follows that other one only once that says that it is the master.
    ///
    /// # Errors
    /// Why not, in one line; nothing has changed.
    pub fn demote(&self) -> Result<(), String> {
        let _one_at_a_time = crate::sync::lock(&self.turning);
        if self.role() != Role::Master {
            return Err("this is a replica already".into());
        }
        let Some(upstream) = &self.upstream else {
            return Err("there is no [upstream] to follow: name the new master there and restart".into());
        };
        let following = Following { url: upstream.url() };
        self.show_role(&following.role());
        let outcome = self.turn_into(AuthorityKind::Upstream, Box::new(following));
        match &outcome {
            Ok(()) => {
                warn!("demoted: this daemon takes no changes any more");
                upstream.was_the_master();
                follow(upstream);
            }
            Err(_) => self.show_role(&Role::Master),
        }
        outcome
    }

    /// Have the writer decide otherwise, durably.
    fn turn_into(&self, is: AuthorityKind, authority: Box<dyn Authority>) -> Result<(), String> {
        let standing = Standing { is, configured: self.configured };
        let (tell, told) = mpsc::channel();
        let done = Done::new(move |outcome| {
            // Nobody listens after a panic.
            let _ = tell.send(outcome);
        });
        let word = Some(standing.to_string());
        let remember = Remember { name: Standing::NAME, word, become_: Some(authority), done };
        self.writer.submit(Job::Remember(remember));
        told.recv().unwrap_or_else(|_| Err("the writer has ended".into()))
    }

    /// New connections are greeted so, and open ones answer so.
    fn show_role(&self, role: &Role) {
        self.settings.rcu(|settings| {
            let mut session = (*settings.session).clone();
            session.role = role.clone();
            Settings { session: Arc::new(session), ..Settings::clone(settings) }
        });
        let started = Instant::now();
        self.connections.change_role();
        info!(micros = started.elapsed().as_micros(), "open connections are told of the new role");
    }

    /// Follow the master, if this daemon is a replica; before it serves.
    pub(super) fn begin_to_follow(&self) {
        if let (Some(upstream), Role::Replica(_)) = (&self.upstream, self.role()) {
            follow(upstream);
        }
    }

    /// Follow nobody: the daemon ends.
    pub fn stop_following(&self) {
        if let Some(upstream) = &self.upstream {
            upstream.stop();
        }
    }
}

fn follow(upstream: &Upstream) {
    if let Err(error) = upstream.start() {
        warn!(%error, "there is no thread to follow the master: restart when there is");
    }
}
