//! The guard that stands where no rule watches `error_rate`.

use super::comparison::{JudgedRule, Judgement, Status};
use super::judge::{Care, Judged, ScenarioEvidence};
use super::rule::Action;
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
    let judgement = Judgement {
        scenario: evidence.name.to_owned(),
        metric,
        unit: metric.unit(),
        better: metric.better(),
        rule: JudgedRule {
            regression: None,
            max: Some(allowed),
            min: None,
            action: Action::Block,
            explain: false,
        },
        status: Status::Regressed,
        baseline: side(baseline),
        candidate: side(candidate),
        basis: None,
        change: None,
        stored_change: None,
        noise: None,
        smallest_detectable: None,
        ruled_out_above: None,
        reason: format!(
            "{} of the candidate's requests failed, and at most {} may; the latencies leave them out",
            percent(new),
            percent(allowed)
        ),
    };
    Some(Judged {
        judgement,
        evidence: None,
        care,
        by_budget: true,
        looks_worse: true,
    })
}
