//! Making a plan that fails as short as it can be, while it still fails.

use super::plan::{Deed, Plan};

/// Leaves out whatever `fails` does not need: deeds, frontends, small steps.
pub fn shrink(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut plan = plan.clone();
    loop {
        let before = plan.clone();
        leave_out(&mut plan, |plan| &mut plan.deeds, &fails);
        leave_out(&mut plan, |plan| &mut plan.frontends, &fails);
        shorten(&mut plan, &fails);
        if plan == before {
            return plan;
        }
    }
}

/// Leaves out runs of elements, long ones first.
fn leave_out<T: Clone>(plan: &mut Plan, of: fn(&mut Plan) -> &mut Vec<T>, fails: &impl Fn(&Plan) -> bool) {
    let mut length = of(plan).len().next_power_of_two();
    while length > 0 {
        let mut at = 0;
        while at < of(plan).len() {
            let mut shorter = plan.clone();
            let elements = of(&mut shorter);
            let end = elements.len().min(at + length);
            elements.drain(at..end);
            if fails(&shorter) {
                *plan = shorter;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
}

/// Makes each sequence of small steps as short as it can be.
fn shorten(plan: &mut Plan, fails: &impl Fn(&Plan) -> bool) {
    for at in 0..plan.deeds.len() {
        while let Deed::Run { steps, seed } = plan.deeds[at]
            && steps > 1
        {
            let mut shorter = plan.clone();
            shorter.deeds[at] = Deed::Run { steps: steps / 2, seed };
            let mut slightly = plan.clone();
            slightly.deeds[at] = Deed::Run { steps: steps - 1, seed };
            let Some(better) = [shorter, slightly].into_iter().find(fails) else { break };
            *plan = better;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_goes() {
        let visits =
            |plan: &Plan| plan.deeds.iter().filter(|deed| matches!(deed, Deed::Visit { .. })).count();
        let steps = |deed: &Deed| matches!(deed, Deed::Run { steps, .. } if *steps >= 3);
        let fails = |plan: &Plan| visits(plan) >= 2 && plan.deeds.iter().any(steps);
        let plan = (1..).map(Plan::draw).find(fails).expect("most do");
        let short = shrink(&plan, fails);
        assert_eq!((short.deeds.len(), visits(&short), short.frontends.len()), (3, 2, 0));
        assert!(short.deeds.iter().any(|deed| matches!(deed, Deed::Run { steps: 3, .. })));
    }
}
