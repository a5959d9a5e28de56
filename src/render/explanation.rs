//! How it was decided and what to do next, in words.

use super::view::Fact;
use super::{number, short_commit};
use crate::policy::rule::{Action, OnInconclusive};
use crate::report::comparison::{Comparison, LookTaken, NextAction, Status, Verdict};
use crate::stats::{HIGH_EDGE, LOW_EDGE, Noise};
use crate::text::sanitize;

pub(super) fn next(comparison: &Comparison) -> Vec<String> {
    let mut steps = Vec::new();
    let amount = comparison.next.amount;
    match comparison.next.action {
        NextAction::None => {}
        NextAction::MoreRepeats => steps.push(format!("measure {amount} more repeats of the candidate: they would settle it if the estimate stays")),
        NextAction::Ab if comparison.decision.pairs > 0 => steps.push(format!("measure {amount} more alternating pairs; a gate that is run again on this commit does so and keeps the evidence so far")),
        NextAction::Ab => steps.push(format!("more repeats of the candidate alone cannot settle it: measure baseline and candidate alternately on one machine ({}), {amount} pairs at first", base_version(comparison))),
    }
    match comparison.verdict {
        Verdict::Block => steps.push(match ends(comparison) {
            Some((good, bad)) => format!(
                "find the commit that made it slower (`perfgate bisect start {good} {bad}`), or show that it is worth it"
            ),
            None => "find the change that made it slower, or show that it is worth it".to_owned(),
        }),
        Verdict::Report => {
            steps.push(
                "say what grew, why, and why it is worth it: under the heading “perfgate analysis” in the pull request's text, or in a file (`--analysis FILE`; `perfgate report comparison.json --analysis FILE` measures nothing again)"
                    .to_owned(),
            );
        }
        Verdict::Incomparable if !comparison.mismatches.is_empty() => {
            steps.push(
                "compare two runs of the same hardware and workload: measure a baseline there, or restore what differs"
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
                    "find what made {} worse than its limit; that alone stops the merge",
                    worse.join(", ")
                ));
            }
            steps.push(
                "measure what is missing, or take the rule on it out of thresholds.yaml".to_owned(),
            );
        }
        Verdict::Pass | Verdict::Warn | Verdict::Inconclusive => {}
    }
    steps.extend(explain(comparison));
    steps
}

/// How the gate is given the base version: an image only where the server is a container.
fn base_version(comparison: &Comparison) -> &'static str {
    match comparison.candidate.server_kind() {
        Some("docker") => "`perfgate gate --base-image`",
        Some("process" | "simulator" | "url") => "`server.base` in perfgate.yaml",
        _ => "`perfgate gate --base-image` for a container, else `server.base` in perfgate.yaml",
    }
}

/// The two commits between which a search would look, where both are known, clean and not each other's neighbours.
fn ends(comparison: &Comparison) -> Option<(String, String)> {
    let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
    let is_hash = |commit: &&str| {
        (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let good = baseline.commit.as_deref().filter(is_hash)?;
    // What was checked out for a pull request is a merge that no branch has.
    let head = comparison.head.as_deref();
    let bad = head.or(candidate.commit.as_deref()).filter(is_hash)?;
    let clean = baseline.dirty != Some(true) && candidate.dirty != Some(true);
    let between = baseline.commits_since.is_none_or(|count| count > 1);
    (clean && between && good != bad).then(|| (short_commit(good), short_commit(bad)))
}

/// The request to the author, until it is answered.
fn explain(comparison: &Comparison) -> Option<String> {
    let mut asked: Vec<&str> = Vec::new();
    for row in &comparison.judgements {
        let label = row.metric.label();
        if row.status == Status::Regressed && row.rule.explain && !asked.contains(&label) {
            asked.push(label);
        }
    }
    if asked.is_empty() || comparison.explanation.is_some() {
        return None;
    }
    Some(format!(
        "explain why {} became worse: under the heading “perfgate explanation” in the pull request's text, or in a file (`--explanation FILE`; `perfgate report comparison.json --explanation FILE` measures nothing again)",
        asked.join(" and ")
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
        (repeats, 0) => format!("{repeats} repeats against the stored baseline"),
        (0, pairs) => format!("{pairs} alternating pairs"),
        (repeats, pairs) => format!("{pairs} alternating pairs beside {repeats} repeats"),
    };
    let said = super::view::sign_of_verdict(*verdict).word.to_lowercase();
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
        "nothing of the".to_owned()
    };
    format!("{evidence}: {said} (spends {spent} probability)")
}

pub(super) fn decision(comparison: &Comparison) -> Vec<Fact> {
    let decision = &comparison.decision;
    let fact = |name, value: String| Fact { name, value };
    let noise = if decision.ledger_sessions == 0 {
        let Noise { repeat, host, .. } = Noise::ASSUMED;
        format!(
            "assumed: {} between repeats, {} between hosts, until repeats say otherwise",
            number::percent(repeat),
            number::percent(host)
        )
    } else {
        format!("learnt from {} accepted sessions", decision.ledger_sessions)
    };
    let undecided = match decision.on_inconclusive {
        OnInconclusive::Auto => {
            "passes with a warning where the estimate is below the limit, fails where it is not"
        }
        OnInconclusive::Pass => "passes with a warning",
        OnInconclusive::Fail => "fails",
    };
    let of_ref = decision.baseline_ref.as_ref().map(|name| {
        fact(
            "judged by",
            format!("baseline, ledger and thresholds of {name}: a change cannot move its own bar"),
        )
    });
    let mut facts: Vec<Fact> = of_ref.into_iter().collect();
    facts.extend([
        fact(
            "unit of evidence",
            "the repeat: one pass on one server start; requests of one repeat are no replicates"
                .to_owned(),
        ),
        fact(
            "blocks",
            format!(
                "where the estimate is at the limit or beyond, and a change of {} of the limit or less is ruled out",
                number::percent(LOW_EDGE)
            ),
        ),
        fact(
            "passes",
            format!(
                "where the estimate is below the limit, and a change of {} of the limit or more is ruled out",
                number::percent(HIGH_EDGE)
            ),
        ),
        fact(
            "false block",
            format!(
                "at most {} over the {} rules that may block",
                number::percent(decision.alpha),
                decision.family
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
                "{} of baseline and candidate on one machine; a block must hold on them alone, a pass may use the stored baseline too",
                decision.pairs
            ),
        ));
    }
    facts
}

/// The command that makes the same comparison again. Files of a commit are read from that commit.
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
