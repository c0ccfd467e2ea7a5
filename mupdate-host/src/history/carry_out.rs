//! Carries a plan out: in steps, between which the changes of others go on.

use std::collections::BTreeSet;

use super::Plan;
use crate::writer::{Operated, Operation, Origin, Writer};

/// Bring the names of a plan back, some at a time. Each step is durable as a whole, and leaves alone whatever is not what the
/// plan has seen any more. Afterwards the plan says what was done: such names are among those that are left.
///
/// # Errors
/// In words: why it ended early, and how far it had come. What was done by then stays.
pub fn carry_out(writer: &Writer, plan: &mut Plan, origin: &Origin) -> Result<(), String> {
    let (mut done, mut changed) = (0, BTreeSet::new());
    for step in plan.changes.chunks(Operation::STEP) {
        match writer.operate(Operation::Restore(step.to_vec()), origin.clone()) {
            Ok(Operated::Restored(number, left)) => {
                done += number;
                changed.extend(left);
            }
            Ok(other) => unreachable!("names that are brought back are answered with {other:?}"),
            Err(reason) if done == 0 => return Err(reason),
            Err(reason) => {
                let all = plan.changes.len();
                return Err(format!(
                    "{done} of {all} names were brought back, the others were not: {reason}"
                ));
            }
        }
    }
    plan.changes.retain(|(mailbox, ..)| !changed.contains(mailbox));
    let reason = "it has been changed since the plan was made";
    plan.left.extend(changed.into_iter().map(|mailbox| (mailbox, reason.to_owned())));
    let Origin { principal, peer } = origin;
    tracing::warn!(
        operator = %principal, %peer, changes = done, left = plan.left.len(), planned_at = plan.planned_at,
        "an operator has undone changes"
    );
    Ok(())
}
