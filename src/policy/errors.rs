//! The guard that stands where no rule watches `error_rate`.

use super::comparison::Status;
use super::judge::{Care, Judged, ScenarioEvidence, without_numbers};
use super::rule::{Action, Limits, Rule};
use super::sentence::percent;
use crate::compare::{self, SideValues};
use crate::metric::Metric;
use crate::record::ScenarioRun;
use crate::stats::number;

/// Failed requests are in no latency, so a server that refuses under load would look fast. This many more of them, as
/// a share of all requests, block whatever the latencies say. A rule on `error_rate` replaces it.
const ERROR_RATE_ROOM: f64 = 0.01;

/// Silent while it holds.
pub(super) fn too_many_errors(evidence: &ScenarioEvidence<'_>, care: Care) -> Option<Judged> {
    let (baseline, candidate) = evidence.shown();
    let metric = Metric::parse("error_rate").ok()?;
    let rate = |scenario: &ScenarioRun| {
        let (failed, all) = compare::failed_and_all(scenario);
        (all > 0).then(|| number(failed) / number(all))
    };
    let new = rate(candidate?)?;
    let allowed = baseline.and_then(rate).unwrap_or(0.0) + ERROR_RATE_ROOM;
    if new <= allowed {
        return None;
    }
    let side =
        |scenario: Option<&ScenarioRun>| SideValues::of(metric, scenario).shown(metric, None);
    let rule = Rule {
        metric,
        limits: Limits {
            max: Some(allowed),
            ..Limits::default()
        },
        action: Action::Block,
        explain: false,
        place: None,
    };
    let reason = format!(
        "{} of the candidate's requests failed, and at most {} may; the latencies leave them out",
        percent(new),
        percent(allowed)
    );
    let sides = [side(baseline), side(candidate)];
    let judgement = without_numbers(&rule, evidence.name, sides, Status::Regressed, reason);
    Some(Judged {
        judgement,
        grounds: None,
        care,
        by_budget: true,
    })
}
