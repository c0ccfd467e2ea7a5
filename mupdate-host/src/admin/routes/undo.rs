//! `POST /v1/undo`: bring names back to what they were: a plan at first, which is then carried out.

use super::{Answer, Call, reservations::operate};
use crate::{
    admin::{
        api::{Text, Undo, UndoRequest},
        http::Refused,
    },
    history::{self, PlanError, what},
    writer::Operation,
};

pub(super) fn undo(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let request: UndoRequest = call.body.json()?;
    let plan = history::plan(&call.service().store, &request).map_err(|error| match error {
        PlanError::Refused(reason) => Refused::new(409, reason),
        PlanError::Store(error) => error.into(),
    })?;
    let done = request.planned_at.is_some();
    if done && !plan.changes.is_empty() {
        let records = plan.changes.iter().map(|(mailbox, _, then)| (mailbox.clone(), then.clone()));
        operate(call, Operation::Restore { planned_at: plan.planned_at, records: records.collect() })?;
    }
    let text = |name: &mupdate_proto::MailboxName| Text::from(name.as_bytes());
    Ok(Answer::json(&Undo {
        planned_at: plan.planned_at,
        done,
        changes: plan
            .changes
            .iter()
            .map(|(mailbox, now, then)| (text(mailbox), what(now.as_ref()), what(then.as_ref())))
            .collect(),
        left: plan.left.iter().map(|(mailbox, why)| (text(mailbox), why.clone())).collect(),
    }))
}
