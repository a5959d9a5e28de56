//! Whether a plan can be what it says: a load that is never reached would be measured under its name.

use crate::config::{LoadPoint, Plan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::terminal::progress::note;

/// A load that grows must be one that can.
pub(crate) fn check_ramp(plan: &Plan) -> Result<(), Failure> {
    let what = |load: &LoadPoint| match load {
        LoadPoint::Rate { per_second, .. } if per_second.is_infinite() => {
            Some("`request_rate: inf` sends all requests at once")
        }
        LoadPoint::Trace { .. } => Some("a trace is sent at its own times"),
        LoadPoint::Rate { .. } | LoadPoint::Concurrency(_) => None,
    };
    match plan.loads.iter().find_map(what) {
        Some(what) if !plan.ramp_up.is_zero() => Err(Failure::message(
            ExitStatus::Usage,
            format!("`ramp_up` lets a load grow, and {what}"),
        )
        .hint("take out `ramp_up`, or give a `concurrency` or a `request_rate` in its place")),
        Some(_) | None => Ok(()),
    }
}

/// A closed loop must have a request for each of its slots. Where the load is the usual one nobody asked for it, and
/// turns of a conversation may be few on purpose: that is said.
pub(crate) fn check_requests(plan: &Plan) -> Result<(), Failure> {
    let most = plan.loads.iter().filter_map(|load| match load {
        LoadPoint::Concurrency(slots) => Some(*slots),
        LoadPoint::Rate { .. } | LoadPoint::Trace { .. } => None,
    });
    let Some(slots) = most.max() else {
        return Ok(());
    };
    let requests = plan.num_requests;
    if slots > requests && !plan.loads_are_usual {
        let message = format!("`concurrency` {slots} is never reached with {requests} requests");
        return Err(Failure::message(ExitStatus::Usage, message).hint(format!(
            "raise `num_requests` (`--num-prompts`) to {slots} or more, or lower `concurrency`"
        )));
    }
    if let Some(few) = too_few(plan, slots) {
        note(&format!(
            "note: `concurrency` {slots} is never reached: {few}"
        ));
    }
    Ok(())
}

/// What there is where that is less than the slots.
fn too_few(plan: &Plan, slots: usize) -> Option<String> {
    let requests = plan.num_requests;
    let turns = plan
        .conversation
        .map_or(1, |conversation| conversation.turns);
    let conversations = requests.div_ceil(turns.max(1));
    (conversations < slots).then(|| match turns {
        1 => format!("there are only {requests} requests"),
        _ => format!(
            "{requests} requests are {conversations} conversations of {turns} turns, and turns follow each other"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_plan;

    fn plan(source: &str) -> Plan {
        read_plan("perfgate.yaml", &format!("model: m\n{source}")).unwrap()
    }

    fn said(checked: Result<(), Failure>) -> String {
        checked.map_or_else(|failure| failure.error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn a_load_with_fewer_requests_than_slots_is_refused_where_it_was_asked_for() {
        let checked = |source| said(check_requests(&plan(source)));
        insta::assert_snapshot!(checked("concurrency: 64\nnum_requests: 10"), @"`concurrency` 64 is never reached with 10 requests");
        insta::assert_snapshot!(checked("concurrency: [1, 64]\nnum_requests: 10"), @"`concurrency` 64 is never reached with 10 requests");
        assert_eq!(checked("concurrency: 10\nnum_requests: 10"), "fine");
        assert_eq!(checked("num_requests: 10"), "fine");
        assert_eq!(checked("request_rate: inf\nnum_requests: 1"), "fine");
    }

    #[test]
    fn conversations_that_are_fewer_than_the_slots_are_counted() {
        let few = |source| too_few(&plan(source), 16);
        insta::assert_snapshot!(few("num_requests: 24\nconversation: {turns: 12}").unwrap(), @"24 requests are 2 conversations of 12 turns, and turns follow each other");
        insta::assert_snapshot!(few("num_requests: 10").unwrap(), @"there are only 10 requests");
        assert_eq!(few("num_requests: 192\nconversation: {turns: 12}"), None);
    }

    #[test]
    fn a_ramp_of_a_load_that_cannot_grow_is_refused() {
        let checked = |source: &str| said(check_ramp(&plan(&format!("{source}\nramp_up: 2s"))));
        insta::assert_snapshot!(checked("request_rate: inf"), @"`ramp_up` lets a load grow, and `request_rate: inf` sends all requests at once");
        assert_eq!(checked("request_rate: 5"), "fine");
        assert_eq!(checked("concurrency: 5"), "fine");
        let trace = Plan {
            loads: vec![LoadPoint::Trace { speedup: 1.0 }],
            ..plan("ramp_up: 2s")
        };
        insta::assert_snapshot!(said(check_ramp(&trace)), @"`ramp_up` lets a load grow, and a trace is sent at its own times");
    }
}
