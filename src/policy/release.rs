//! The last release as a second, fixed reference: small changes that each pass add up, and the baseline moves with them.

use super::judge::judge;
use super::judge_all::family;
use super::judged::{Hosts, LookTerms, ScenarioEvidence};
use super::look::GATE_LEVELS;
use super::rule::{Limits, Policy, Rule};
use super::sentence::{percent, signed_percent};
use crate::code::Code;
use crate::compare::same_fingerprint;
use crate::record::{Run, is_same_run};
use crate::report::comparison::{Status, Warning};

/// Rules whose limit is exceeded since the release, whatever the comparison with the baseline shows. They warn and never block:
/// each step since then was judged and accepted.
pub(super) fn since_release(
    policy: &Policy,
    release: &Run,
    baseline: &Run,
    candidate: &Run,
    ledger: &[&Run],
) -> Vec<Warning> {
    if is_same_run(&release.file, &baseline.file) {
        return Vec::new();
    }
    let promotion = release.file.promotion.as_ref();
    let name = promotion.and_then(|promotion| promotion.release.as_deref());
    let name = name.map_or_else(
        || "the last release".to_owned(),
        |name| format!("the release {name}"),
    );
    if !same_fingerprint(release, candidate) {
        let message = format!(
            "{name} was measured on other hardware or with another workload, so a gradual decline since then is not detected; measure it again and promote it with `perfgate baseline update RESULT --release TAG`"
        );
        return vec![Warning::new(Code::ReleaseNotComparable, message)];
    }
    let levels = GATE_LEVELS.shared_among(family(policy, candidate));
    // An implausible speed-up since an old release needs no reason.
    let terms = LookTerms::once(levels, true);
    let hosts = Hosts::of(release, candidate);
    let mut found = Vec::new();
    for scenario in &candidate.scenarios {
        let evidence = ScenarioEvidence {
            name: &scenario.name,
            stored: Some((release.scenario(&scenario.name), Some(scenario))),
            pairs: None,
            beside: None,
            ledger,
            hosts,
        };
        for rule in policy.rules_for(&scenario.name) {
            let Some(limit) = rule.limits.regression else {
                continue;
            };
            // Budgets do not depend on a release.
            let relative = Rule {
                limits: Limits {
                    regression: Some(limit),
                    ..Limits::default()
                },
                ..rule
            };
            let row = judge(&relative, &evidence, terms).judgement;
            let Some(change) = row.change.filter(|_| row.status == Status::Regressed) else {
                continue;
            };
            found.push(Warning::new(
                Code::SlowerThanRelease,
                format!(
                    "{} at {} is {} worse than in {name} (95 % interval {} to {}, limit {}): small changes that each passed add up",
                    row.metric.label(),
                    row.scenario,
                    signed_percent(change.value),
                    signed_percent(change.low),
                    signed_percent(change.high),
                    percent(limit)
                ),
            ));
        }
    }
    found
}
