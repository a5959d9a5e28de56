//! How a comparison was decided and the next steps, in words.

use super::number::percent;
use super::short_commit;
use super::view::Fact;
use crate::compare::is_same_measurement;
use crate::policy::only_a_reason_is_missing;
use crate::policy::rule::{Action, OnInconclusive};
use crate::report::comparison::{Comparison, LookTaken, NextAction, Status, Verdict};
use crate::stats::{HIGH_EDGE, LOW_EDGE, Noise};
use crate::text::count::{count, plural};
use crate::text::sanitize;

pub(super) fn next(comparison: &Comparison) -> Vec<String> {
    let mut steps = Vec::new();
    let amount = comparison.next.amount;
    let pairs = |amount| count(amount, "alternating pair");
    if let Some(end) = &comparison.budget {
        let expected = end.expected.unwrap_or(end.next);
        steps.push(format!(
            "raise the budget by about {expected} (`--budget`, `noise.budget` in thresholds.yaml) and run the gate again on this commit: it keeps the evidence so far"
        ));
        steps.extend(explain(comparison));
        return steps;
    }
    match comparison.next.action {
        NextAction::None if only_a_reason_is_missing(comparison) => {}
        NextAction::None if is_spent(comparison) => {
            steps.push("all interim looks at this commit are spent: commit and run the gate again".to_owned());
        }
        NextAction::None if comparison.verdict == Verdict::Inconclusive => steps.push(
            "all repeats that thresholds.yaml allows are measured: raise `noise.max_pairs` (or `noise.max_repeats`) and run the gate again, send more requests, or reduce the noise of the machine (`perfgate doctor`)"
                .to_owned(),
        ),
        NextAction::None => {}
        NextAction::MoreRepeats => steps.push(format!(
            "measure {amount} more {} of the candidate: they decide if the estimate stays the same",
            plural(amount, "repeat")
        )),
        NextAction::Ab if is_spent(comparison) => steps.push(format!(
            "all interim looks at this commit are spent: run the gate with the base version ({}), or commit and run the gate again",
            base_version(comparison)
        )),
        NextAction::Ab if comparison.decision.pairs > 0 => steps.push(format!(
            "measure {amount} more alternating {}: run the gate again on this commit; it keeps the evidence so far",
            plural(amount, "pair")
        )),
        NextAction::Ab => steps.push(format!(
            "more repeats of the candidate alone cannot decide: measure baseline and candidate alternately on one machine ({}); {} can decide",
            base_version(comparison),
            pairs(amount)
        )),
    }
    match comparison.verdict {
        Verdict::Block => steps.push(match ends(comparison) {
            Some((good, bad)) => format!(
                "find the commit that made it slower (`perfgate bisect start {good} {bad}`), or justify the regression"
            ),
            None => "find the change that made it slower, or justify the regression".to_owned(),
        }),
        Verdict::Report => steps.push(
            "explain what grew, why, and why it is worth it, under the heading “perfgate analysis” in the pull request's text, or in a file (`--analysis FILE`; `perfgate report comparison.json --analysis FILE` does not measure again)"
                .to_owned(),
        ),
        Verdict::Incomparable if comparison.mismatches.iter().any(is_same_measurement) => {
            steps.push("give two different result files".to_owned());
        }
        Verdict::Incomparable if !comparison.mismatches.is_empty() => steps.push(
            "compare two runs of the same hardware and workload: measure a new baseline, or undo the differences"
                .to_owned(),
        ),
        Verdict::Incomparable => {
            let worse: Vec<&str> = comparison
                .judgements
                .iter()
                .filter(|row| row.status == Status::Regressed && row.rule.action == Action::Block)
                .map(|row| row.metric.label())
                .collect();
            if !worse.is_empty() {
                steps.push(format!(
                    "find what made {} worse than its limit, which alone blocks the merge",
                    worse.join(", ")
                ));
            }
            steps.push(
                "measure the missing metric, or remove its rule from thresholds.yaml".to_owned(),
            );
        }
        Verdict::Pass | Verdict::Warn | Verdict::Inconclusive => {}
    }
    steps.extend(explain(comparison));
    steps
}

/// Whether the comparison is undecided and its look had no error probability left.
fn is_spent(comparison: &Comparison) -> bool {
    let last = comparison.decision.looks.last();
    comparison.verdict == Verdict::Inconclusive
        && last.is_some_and(|look| look.alpha <= 0.0 && look.beta <= 0.0)
}

/// The setting that gives the base version to the gate: an image only for a container.
fn base_version(comparison: &Comparison) -> &'static str {
    match comparison.candidate.server_kind() {
        Some("docker") => "`perfgate gate --base-image`",
        Some("process" | "simulator" | "url") => "`server.base` in perfgate.yaml",
        _ => "`perfgate gate --base-image` for a container, else `server.base` in perfgate.yaml",
    }
}

/// The two ends of a search, if both commits are known, clean and not adjacent.
fn ends(comparison: &Comparison) -> Option<(String, String)> {
    let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
    let is_hash = |commit: &&str| {
        (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let good = baseline.commit.as_deref().filter(is_hash)?;
    // The commit measured for a pull request is a merge commit that is on no branch.
    let head = comparison.head.as_deref();
    let bad = head.or(candidate.commit.as_deref()).filter(is_hash)?;
    let clean = baseline.dirty != Some(true) && candidate.dirty != Some(true);
    let between = baseline.commits_since.is_none_or(|count| count > 1);
    (clean && between && good != bad).then(|| (short_commit(good), short_commit(bad)))
}

/// The request for an explanation, until the author gives one.
fn explain(comparison: &Comparison) -> Option<String> {
    let mut labels: Vec<&str> = Vec::new();
    for row in &comparison.judgements {
        let label = row.metric.label();
        if row.status == Status::Regressed && row.rule.explain && !labels.contains(&label) {
            labels.push(label);
        }
    }
    if labels.is_empty() || comparison.explanation.is_some() {
        return None;
    }
    Some(format!(
        "explain why {} became worse, under the heading “perfgate explanation” in the pull request's text, or in a file (`--explanation FILE`; `perfgate report comparison.json --explanation FILE` does not measure again)",
        labels.join(" and ")
    ))
}

/// The interim looks, in their order.
pub(super) fn looks(comparison: &Comparison) -> Vec<String> {
    comparison.decision.looks.iter().map(look).collect()
}

fn look(taken: &LookTaken) -> String {
    let pairs = count(taken.pairs, "alternating pair");
    let repeats = format!(
        "{} against the stored baseline",
        count(taken.repeats, "repeat")
    );
    let evidence = match (taken.repeats, taken.pairs) {
        (_, 0) => repeats,
        (_, _) => pairs,
    };
    let [alpha, beta] = [taken.alpha, taken.beta].map(percent);
    let spent = match (taken.alpha > 0.0, taken.beta > 0.0) {
        (true, _) if alpha == beta => format!("{alpha} of both error probabilities"),
        (true, _) => format!("{alpha} of false block, {beta} of false pass"),
        (false, true) => format!("{beta} of false pass"),
        (false, false) => "nothing".to_owned(),
    };
    let verdict = taken.verdict.word().to_lowercase();
    format!("{evidence}: {verdict} (spends {spent})")
}

/// How it was decided.
pub(super) fn decision(comparison: &Comparison) -> Vec<Fact> {
    let decision = &comparison.decision;
    let mut facts = Vec::new();
    let mut fact = |name, value: String| facts.push(Fact { name, value });
    if let Some(name) = &decision.baseline_ref {
        fact(
            "judged by",
            format!(
                "baseline, ledger and thresholds of {name}: a pull request cannot change the limits it is judged by"
            ),
        );
    }
    fact(
        "unit of evidence",
        "the repeat: one measurement on one server start; requests of one repeat are not replicates"
            .to_owned(),
    );
    let edge = percent(LOW_EDGE);
    fact(
        "blocks",
        format!(
            "if the estimate is at the limit or beyond, and a change of {edge} of the limit or less is ruled out"
        ),
    );
    let edge = percent(HIGH_EDGE);
    fact(
        "passes",
        format!(
            "if the estimate is below the limit, and a change of {edge} of the limit or more is ruled out"
        ),
    );
    let (alpha, rules) = (percent(decision.alpha), count(decision.family, "rule"));
    fact(
        "false block",
        format!("at most {alpha} over {rules} that may block"),
    );
    let beta = percent(decision.beta);
    fact("false pass", format!("at most {beta} per rule"));
    fact("noise", noise(decision.ledger_sessions));
    let undecided = match decision.on_inconclusive {
        OnInconclusive::Auto => {
            "passes with a warning if the estimate is below the limit, else fails"
        }
        OnInconclusive::Pass => "passes with a warning",
        OnInconclusive::Fail => "fails",
    };
    fact("an undecided rule", undecided.to_owned());
    if decision.pairs > 0 {
        fact(
            "alternating pairs",
            format!(
                "{} of baseline and candidate on one machine; a block must hold on the pairs alone, a pass may also use the stored baseline",
                decision.pairs
            ),
        );
    }
    if let Some(end) = &comparison.budget {
        fact(
            "budget",
            format!(
                "{}, which ended before the evidence decided: the gate fails",
                end.budget
            ),
        );
    }
    facts
}

fn noise(ledger_sessions: u32) -> String {
    if ledger_sessions > 0 {
        return format!("learnt from {}", count(ledger_sessions, "accepted session"));
    }
    let Noise { repeat, host, .. } = Noise::ASSUMED;
    format!(
        "assumed: {} between repeats, {} between hosts, unless the repeats are noisier",
        percent(repeat),
        percent(host)
    )
}

/// The command that repeats this comparison. Files of a commit are read from that commit.
pub(super) fn reproduce(comparison: &Comparison) -> String {
    let mut command = "perfgate compare".to_owned();
    let decision = &comparison.decision;
    let of_commit = decision
        .baseline_ref
        .as_ref()
        .map(|name| format!(" of {name}"));
    let label = of_commit.as_deref().unwrap_or_default();
    let mut add = |flag: &str, value: &str| {
        let value = value.strip_suffix(label).unwrap_or(value);
        command.push_str(&format!(" {flag} {}", sanitize::shell(value)));
    };
    if let Some(commit) = &decision.baseline_commit {
        add("--baseline-ref", commit);
    }
    let (base, candidate) = (&comparison.ab_baseline, &comparison.ab_candidate);
    let pairs = base.as_ref().zip(candidate.as_ref());
    if pairs.is_none_or(|(base, _)| base.file != comparison.baseline.file) {
        add("--baseline", &comparison.baseline.file);
        add("--candidate", &comparison.candidate.file);
    }
    if let Some((base, candidate)) = pairs {
        add("--ab-baseline", &base.file);
        add("--ab-candidate", &candidate.file);
    }
    if let Some(ledger) = &decision.ledger {
        add("--ledger", ledger);
    }
    command
}
