//! `POST /v1/undo`: bring names back to what they were: a plan at first, which is then carried out.

use std::{
    io::{self, Write},
    sync::{Mutex, TryLockError},
};

use mupdate_proto::{MailboxName, Role};

use super::{Answer, Call, Out, reservations::origin};
use crate::{
    admin::{
        api::{Text, UndoRequest},
        http::Refused,
    },
    history::{self, Plan, PlanError, what},
    writer::REPLICA,
};

/// One plan is made at a time: it is kept in memory as a whole.
static PLANNING: Mutex<()> = Mutex::new(());

/// The form of [`api::Undo`](crate::admin::api::Undo), written by and by.
pub(super) fn undo(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let request: UndoRequest = call.body.json()?;
    // Nobody is to read a long plan here first.
    if matches!(call.service().settings().session.role, Role::Replica(_)) {
        return Err(Refused::new(409, REPLICA));
    }
    let _planning = match PLANNING.try_lock() {
        Ok(planning) => planning,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(Refused::new(503, "something else is being undone; try again when that is over"));
        }
    };
    let mut plan = history::plan(&call.service().store, &request).map_err(|error| match error {
        PlanError::Refused(reason) => Refused::new(409, reason),
        PlanError::Store(error) => error.into(),
    })?;
    let done = request.planned_at.is_some();
    if done && !plan.changes.is_empty() {
        history::carry_out(&call.service().writer, &mut plan, &origin(call))
            .map_err(|reason| Refused::new(409, reason))?;
    }
    Ok(Answer::stream("application/json", None, move |out| write(plan, done, out)))
}

fn write(plan: Plan, done: bool, out: &mut Out<'_>) -> io::Result<()> {
    let text = |name: &MailboxName| Text::from(name.as_bytes());
    write!(out, "{{\"planned_at\":{},\"done\":{done},\"changes\":[", plan.planned_at)?;
    let mut between = "";
    for (mailbox, now, then) in plan.changes {
        out.write_all(between.as_bytes())?;
        between = ",";
        serde_json::to_writer(&mut *out, &(text(&mailbox), what(now.as_ref()), what(then.as_ref())))?;
    }
    out.write_all(b"]")?;
    let mut between = ",\"left\":[";
    for (mailbox, why) in &plan.left {
        out.write_all(between.as_bytes())?;
        between = ",";
        serde_json::to_writer(&mut *out, &(text(mailbox), why))?;
    }
    out.write_all(if plan.left.is_empty() { b"}\n" } else { b"]}\n" })
}
