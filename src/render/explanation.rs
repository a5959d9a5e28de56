//! How a comparison was decided and the next steps, in words.

use super::view::Fact;
use super::{number, short_commit};
use crate::policy::rule::{Action, OnInconclusive};
use crate::report::comparison::{Comparison, LookTaken, NextAction, Status, Verdict};
use crate::stats::{HIGH_EDGE, LOW_EDGE, Noise};
use crate::text::count::{count, plural};
use crate::text::sanitize;

pub(super) fn next(comparison: &Comparison) -> Vec<String> {
    let mut steps = Vec::new();
    let amount = comparison.next.amount;
    let pairs = |amount| count(amount, "alternating pair");
    match comparison.next.action {
        NextAction::None => {}
        NextAction::MoreRepeats => steps.push(format!(
            "measure {amount} more {} of the candidate: they decide if the estimate stays the same",
            plural(amount, "repeat")
        )),
        NextAction::Ab if comparison.decision.pairs > 0 => steps.push(format!(
            "measure {amount} more alternating {}: run the gate again on this commit; it keeps the evidence so far",
            plural(amount, "pair")
        )),
        NextAction::Ab => steps.push(format!(
            "more repeats of the candidate alone cannot decide: measure baseline and candidate alternately on one machine ({}), {} at first",
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
        Verdict::Report => {
            steps.push(
                "explain what grew, why, and why it is worth it, under the heading “perfgate analysis” in the pull request's text, or in a file (`--analysis FILE`; `perfgate report comparison.json --analysis FILE` does not measure again)"
                    .to_owned(),
            );
        }
        Verdict::Incomparable if !comparison.mismatches.is_empty() => {
            steps.push(
                "compare two runs of the same hardware and workload: measure a new baseline, or undo the differences"
                    .to_owned(),
            );
        }
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

pub(super) fn looks(comparison: &Comparison) -> Vec<String> {
    comparison.decision.looks.iter().map(look).collect()
}

fn look(taken: &LookTaken) -> String {
    let LookTaken {
        repeats,
        pairs,
        alpha,
        beta,
        verdict,
    } = taken;
    let evidence = match (repeats, pairs) {
        (repeats, 0) => format!("{} against the stored baseline", count(*repeats, "repeat")),
        (0, pairs) => count(*pairs, "alternating pair"),
        (repeats, pairs) => format!(
            "{} and {} against the stored baseline",
            count(*pairs, "alternating pair"),
            count(*repeats, "repeat")
        ),
    };
    let verdict = super::view::sign_of_verdict(*verdict).word.to_lowercase();
    let spent = if *alpha > 0.0 {
        format!(
            "{} of the false-block and {} of the false-pass",
            number::percent(*alpha),
            number::percent(*beta)
        )
    } else if *beta > 0.0 {
        format!(
            "no false-block and {} of the false-pass",
            number::percent(*beta)
        )
    } else {
        "none of the".to_owned()
    };
    format!("{evidence}: {verdict} (spends {spent} probability)")
}

pub(super) fn decision(comparison: &Comparison) -> Vec<Fact> {
    let decision = &comparison.decision;
    let fact = |name, value: String| Fact { name, value };
    let noise = if decision.ledger_sessions == 0 {
        let Noise { repeat, host, .. } = Noise::ASSUMED;
        format!(
            "assumed: {} between repeats, {} between hosts, unless the repeats are noisier",
            number::percent(repeat),
            number::percent(host)
        )
    } else {
        format!(
            "learnt from {}",
            count(decision.ledger_sessions, "accepted session")
        )
    };
    let undecided = match decision.on_inconclusive {
        OnInconclusive::Auto => {
            "passes with a warning if the estimate is below the limit, else fails"
        }
        OnInconclusive::Pass => "passes with a warning",
        OnInconclusive::Fail => "fails",
    };
    let of_ref = decision.baseline_ref.as_ref().map(|name| {
        fact(
            "judged by",
            format!(
                "baseline, ledger and thresholds of {name}: a pull request cannot change the limits it is judged by"
            ),
        )
    });
    let mut facts: Vec<Fact> = of_ref.into_iter().collect();
    facts.extend([
        fact(
            "unit of evidence",
            "the repeat: one measurement on one server start; requests of one repeat are not replicates"
                .to_owned(),
        ),
        fact(
            "blocks",
            format!(
                "if the estimate is at the limit or beyond, and a change of {} of the limit or less is ruled out",
                number::percent(LOW_EDGE)
            ),
        ),
        fact(
            "passes",
            format!(
                "if the estimate is below the limit, and a change of {} of the limit or more is ruled out",
                number::percent(HIGH_EDGE)
            ),
        ),
        fact(
            "false block",
            format!(
                "at most {} over {} that may block",
                number::percent(decision.alpha),
                count(decision.family, "rule")
            ),
        ),
        fact(
            "false pass",
            format!("at most {} per rule", number::percent(decision.beta)),
        ),
        fact("noise", noise),
        fact("an undecided rule", undecided.to_owned()),
    ]);
    if decision.pairs > 0 {
        facts.push(fact(
            "alternating pairs",
            format!(
                "{} of baseline and candidate on one machine; a block must hold on the pairs alone, a pass may also use the stored baseline",
                decision.pairs
            ),
        ));
    }
    facts
}

/// The command that repeats this comparison. Files of a commit are read from that commit.
pub(super) fn reproduce(comparison: &Comparison) -> String {
    let mut command = "perfgate compare".to_owned();
    let decision = &comparison.decision;
    if let Some(commit) = &decision.baseline_commit {
        command.push_str(&format!(" --baseline-ref {}", sanitize::shell(commit)));
    }
    let of_commit = decision
        .baseline_ref
        .as_ref()
        .map(|name| format!(" of {name}"));
    let mut add = |flag: &str, file: &str| {
        let label = of_commit.as_deref().unwrap_or_default();
        let path = file.strip_suffix(label).unwrap_or(file);
        command.push_str(&format!(" {flag} {}", sanitize::shell(path)));
    };
    let pairs = comparison
        .ab_baseline
        .as_ref()
        .zip(comparison.ab_candidate.as_ref());
    let stored_too = pairs.is_none_or(|(base, _)| base.file != comparison.baseline.file);
    if stored_too {
        add("--baseline", &comparison.baseline.file);
        add("--candidate", &comparison.candidate.file);
    }
    if let Some((base, candidate)) = pairs {
        add("--ab-baseline", &base.file);
        add("--ab-candidate", &candidate.file);
    }
    if let Some(ledger) = &comparison.decision.ledger {
        add("--ledger", ledger);
    }
    command
}
