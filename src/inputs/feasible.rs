//! Checks that a plan is feasible: a load that is never reached would be measured under a wrong name.

use crate::config::{Dataset, LoadPoint, Plan};
use crate::event::{Events, InputEvent};
use crate::failure::Failure;

/// `ramp_up` requires a load that can grow.
pub(crate) fn check_ramp(plan: &Plan) -> Result<(), Failure> {
    let what = |load: &LoadPoint| match load {
        LoadPoint::Rate { per_second, .. } if per_second.is_infinite() => {
            Some("`request_rate: inf` sends all requests at once")
        }
        LoadPoint::Trace { .. } => Some("a trace is sent at its own times"),
        LoadPoint::Rate { .. } | LoadPoint::Concurrency(_) => None,
    };
    match plan.loads.iter().find_map(what) {
        Some(what) if !plan.ramp_up.is_zero() => {
            Err(Failure::usage(format!("`ramp_up` has no effect: {what}"))
                .hint("remove `ramp_up`, or set a `concurrency` or a `request_rate` instead"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A repeated warm-up must have requests, and the prefix cache must not answer them.
pub(crate) fn check_warm_up(plan: &Plan) -> Result<(), Failure> {
    if plan.warmup_until_stable.is_none() {
        return Ok(());
    }
    let refused = |message: &str, hint: &str| Err(Failure::usage(message).hint(hint));
    match &plan.dataset {
        _ if plan.warmup_requests == 0 => refused(
            "`warmup_until_stable` repeats the warm-up, but `warmup_requests` is 0",
            "raise `warmup_requests`, or remove one of them",
        ),
        Dataset::File(file) if !file.salt => refused(
            "`warmup_until_stable` sends the same entries again, but with `salt: false` the prefix cache answers them",
            "remove one of them",
        ),
        Dataset::File(_) | Dataset::Synthetic | Dataset::Chosen(_) => Ok(()),
    }
}

/// A closed loop needs a request for each slot. For the default load and for conversations with few turns this is only a
/// note.
pub(crate) fn check_requests(plan: &Plan, events: &Events) -> Result<(), Failure> {
    let most = plan.loads.iter().filter_map(|load| match load {
        LoadPoint::Concurrency(slots) => Some(*slots),
        LoadPoint::Rate { .. } | LoadPoint::Trace { .. } => None,
    });
    let Some(slots) = most.max() else {
        return Ok(());
    };
    let requests = plan.num_requests;
    if slots > requests && !plan.loads_are_default {
        let message = format!("`concurrency` {slots} is never reached with {requests} requests");
        return Err(Failure::usage(message).hint(format!(
            "raise `num_requests` (`--num-prompts`) to {slots} or more, or lower `concurrency`"
        )));
    }
    let turns = plan
        .conversation
        .map_or(1, |conversation| conversation.turns.max(1));
    if requests.div_ceil(turns) < slots {
        events.emit(InputEvent::ConcurrencyNotReached {
            slots,
            requests,
            turns,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::read_plan;
    use crate::event::Event;

    fn plan(source: &str) -> Plan {
        read_plan("perfgate.yaml", &format!("model: m\n{source}")).unwrap()
    }

    fn message(checked: Result<(), Failure>) -> String {
        checked.map_or_else(|failure| failure.error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn a_requested_load_with_fewer_requests_than_slots_is_refused() {
        let checked = |source| message(check_requests(&plan(source), &Events::ignored()));
        insta::assert_snapshot!(checked("concurrency: 64\nnum_requests: 10"), @"`concurrency` 64 is never reached with 10 requests");
        insta::assert_snapshot!(checked("concurrency: [1, 64]\nnum_requests: 10"), @"`concurrency` 64 is never reached with 10 requests");
        assert_eq!(checked("concurrency: 10\nnum_requests: 10"), "fine");
        assert_eq!(checked("num_requests: 10"), "fine");
        assert_eq!(checked("request_rate: inf\nnum_requests: 1"), "fine");
    }

    #[test]
    fn a_default_load_with_fewer_requests_or_conversations_than_slots_is_a_note() {
        let notes = |source| {
            let (recorded, events) = recorded();
            check_requests(&plan(source), &events).unwrap();
            recorded.lock().unwrap().len()
        };
        assert_eq!(notes("num_requests: 24\nconversation: {turns: 12}"), 1);
        assert_eq!(notes("num_requests: 10"), 1);
        assert_eq!(notes("num_requests: 192\nconversation: {turns: 12}"), 0);
    }

    fn recorded() -> (Arc<Mutex<Vec<Event>>>, Events) {
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&recorded);
        let events = Events::to(move |event| kept.lock().unwrap().push(event));
        (recorded, events)
    }

    #[test]
    fn a_ramp_of_a_load_that_cannot_grow_is_refused() {
        let checked = |source: &str| message(check_ramp(&plan(&format!("{source}\nramp_up: 2s"))));
        insta::assert_snapshot!(checked("request_rate: inf"), @"`ramp_up` has no effect: `request_rate: inf` sends all requests at once");
        assert_eq!(checked("request_rate: 5"), "fine");
        assert_eq!(checked("concurrency: 5"), "fine");
        let trace = Plan {
            loads: vec![LoadPoint::Trace { speedup: 1.0 }],
            ..plan("ramp_up: 2s")
        };
        insta::assert_snapshot!(message(check_ramp(&trace)), @"`ramp_up` has no effect: a trace is sent at its own times");
    }
}
