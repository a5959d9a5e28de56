//! The guard of the error rate, which applies in addition to all rules.

use super::judge::without_numbers;
use super::judged::{Judged, LookTerms, ScenarioEvidence};
use super::rule::{Action, Limits, Rule};
use super::sentence::percent;
use crate::compare::{self, SideValues};
use crate::metric::Metric;
use crate::record::ScenarioRun;
use crate::report::comparison::Status;
use crate::stats::{self, number};

/// Means leave failed requests out, and failed requests do no work, so a server that refuses requests under load would look fast.
/// An error rate above the baseline's by more than this share of all requests blocks, whatever the other rules decide. A rule on
/// `error_rate` applies in addition and never replaces it.
const ERROR_RATE_ROOM: f64 = 0.01;

/// `None` while the error rate is within its limit.
pub(super) fn too_many_errors(evidence: &ScenarioEvidence<'_>, terms: LookTerms) -> Option<Judged> {
    let (baseline, candidate) = evidence.shown();
    let metric = Metric::ERROR_RATE;
    let rate = |scenario: &ScenarioRun| {
        let (failed, all) = compare::failed_and_all(scenario);
        if all > 0 {
            return Some(number(failed) / number(all));
        }
        // A result of another tool may contain the rate only.
        stats::mean(&scenario.values(metric))
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
        "{} of the candidate's requests failed, limit {}; means and rates leave failed requests out",
        percent(new),
        percent(allowed)
    );
    let sides = [side(baseline), side(candidate)];
    let status = Status::Regressed;
    let judgement = without_numbers(&rule, evidence.name, sides, status, reason);
    Some(Judged {
        judgement,
        estimates: None,
        terms,
        by_budget: true,
    })
}
