//! The verdict in one sentence.

use super::judged::Judged;
use super::rule::Action;
use super::sentence::{change_in_words, percent, signed_percent};
use super::too_good;
use crate::report::comparison::{Difference, Judgement, Status, Verdict};

/// The verdict in one sentence, made from the row that decides it.
pub(super) fn headline(
    verdict: Verdict,
    judged: &[Judged],
    mismatches: &[Difference],
    several: bool,
) -> String {
    let place = |judged: &Judged| {
        if several {
            format!(" at {}", judged.judgement.scenario)
        } else {
            String::new()
        }
    };
    let rows = judged.iter().map(|judged| &judged.judgement);
    if let Some(row) = worst_row(verdict, &rows).and_then(|at| judged.get(at)) {
        let sentence = sentence(row, &place(row));
        let is_analysed = verdict == Verdict::Warn && row.judgement.rule.action == Action::Report;
        return if is_analysed {
            analysed_headline(&sentence)
        } else {
            sentence
        };
    }
    if verdict != Verdict::Incomparable {
        return passed(judged);
    }
    let mismatch = mismatches.first().map(mismatch_in_words);
    mismatch
        .or_else(|| missing(judged, &place))
        .unwrap_or_else(|| "no rule could be judged".to_owned())
}

/// The index of the row that the headline names; for a pass, of the first one that it lists.
pub fn deciding_row<'a>(
    verdict: Verdict,
    rows: &(impl Iterator<Item = &'a Judgement> + Clone),
) -> Option<usize> {
    let listed = |row: &Judgement| row.rule.action == Action::Block && row.change.is_some();
    worst_row(verdict, rows).or_else(|| {
        (verdict != Verdict::Incomparable)
            .then(|| rows.clone().position(listed))?
            .or_else(|| rows.clone().position(|row| row.change.is_some()))
    })
}

/// The index of the row that is furthest on the wrong side, of those that lead to the verdict.
fn worst_row<'a>(
    verdict: Verdict,
    rows: &(impl Iterator<Item = &'a Judgement> + Clone),
) -> Option<usize> {
    let kinds: &[(Status, &[Action])] = match verdict {
        Verdict::Pass | Verdict::Incomparable => &[],
        Verdict::Block => &[(Status::Regressed, &[Action::Block])],
        Verdict::Report => &[(Status::Regressed, &[Action::Report])],
        Verdict::Inconclusive => &[
            (Status::Inconclusive, &[Action::Block, Action::Report]),
            (Status::Inconclusive, &[Action::Warn]),
        ],
        Verdict::Warn => &[
            // Only an acceptance makes a regression under a `block` rule a warning, and only that or an analysis report one
            // under a `report` rule.
            (Status::Regressed, &[Action::Block]),
            (Status::Regressed, &[Action::Report]),
            (Status::Regressed, &[Action::Warn]),
            (Status::Missing, &[Action::Warn]),
            (Status::Inconclusive, &[Action::Warn]),
        ],
    };
    kinds.iter().find_map(|(status, actions)| {
        let of_kind = rows
            .clone()
            .enumerate()
            .filter(|(_, row)| row.status == *status && actions.contains(&row.rule.action));
        let worst = of_kind.max_by(|(_, a), (_, b)| badness(a).total_cmp(&badness(b)));
        worst.map(|(at, _)| at)
    })
}

/// The headline of a regression for which the author gave an analysis.
pub(super) fn analysed_headline(regression: &str) -> String {
    format!("{regression}; an analysis report was given")
}

/// The most reasons, and rules per reason, that one sentence lists; the table lists all of them.
const MOST_REASONS: usize = 3;
const MOST_RULES: usize = 5;

/// The rules that can block a merge and were not judged, grouped by reason.
fn missing(judged: &[Judged], place: &impl Fn(&Judged) -> String) -> Option<String> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    let mut more = 0_usize;
    for one in judged {
        let row = &one.judgement;
        if row.status != Status::Missing || row.rule.action == Action::Warn {
            continue;
        }
        let known = reasons
            .iter()
            .position(|(reason, _)| *reason == row.reason)
            .or_else(|| {
                (reasons.len() < MOST_REASONS).then(|| {
                    reasons.push((&row.reason, Vec::new()));
                    reasons.len() - 1
                })
            });
        match known.map(|at| &mut reasons[at].1) {
            Some(rules) if rules.len() < MOST_RULES => {
                rules.push(format!("{}{}", row.metric.label(), place(one)));
            }
            Some(_) | None => more += 1,
        }
    }
    let mut words: Vec<String> = reasons
        .iter()
        .map(|(reason, rules)| format!("{}: {reason}", rules.join(", ")))
        .collect();
    if more > 0 {
        words.push(format!("and {more} more in the table"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn badness(row: &Judgement) -> f64 {
    row.change.map_or(f64::INFINITY, |change| change.value)
}

fn sentence(judged: &Judged, place: &str) -> String {
    let row = &judged.judgement;
    if let Some(times) = too_good::times_of(row) {
        return too_good::headline(row, place, times);
    }
    match row.change {
        Some(change) if !judged.by_budget => format!(
            "{}{place}, 95 % interval {} to {}, limit {}",
            change_in_words(row.metric, change.value),
            signed_percent(change.low),
            signed_percent(change.high),
            row.rule.regression.map(percent).unwrap_or_default()
        ),
        Some(_) | None => format!("{}{place}: {}", row.metric.label(), row.reason),
    }
}

fn mismatch_in_words(difference: &Difference) -> String {
    // Not a difference of two values but of what was requested and what was measured: `what` is the sentence.
    if difference.baseline.is_none() && difference.candidate.is_none() {
        return difference.what.clone();
    }
    let side = |value: &Option<String>| value.as_deref().unwrap_or("nothing").to_owned();
    format!(
        "{}: {} in the baseline, {} in the candidate",
        difference.what,
        side(&difference.baseline),
        side(&difference.candidate)
    )
}

/// The changes that one sentence lists, so that it fits into a commit status of GitHub.
const MOST_CHANGES: usize = 2;

/// `every change is below its limit: TPOT P95 +0.4 %, throughput … (plus is worse); a regression above 2.6 % is ruled out`, of
/// the rules that may block.
fn passed(judged: &[Judged]) -> String {
    let rows = judged.iter().map(|judged| &judged.judgement);
    let changes = rows
        .filter(|row| row.rule.action == Action::Block)
        .filter_map(|row| Some((row, row.change?)));
    let words: Vec<String> = changes
        .clone()
        .take(MOST_CHANGES)
        .map(|(row, change)| format!("{} {}", row.metric.label(), signed_percent(change.value)))
        .collect();
    // Of every rule, also of those that are not listed.
    let bounds: Option<Vec<f64>> = changes.map(|(row, _)| row.ruled_out_above).collect();
    let bound = bounds.map(|bounds| bounds.into_iter().fold(0.0, f64::max));
    if words.is_empty() {
        return "every rule holds".to_owned();
    }
    let ruled_out = bound.map(|bound| {
        let bound = percent(bound);
        format!("; a regression above {bound} is ruled out")
    });
    format!(
        "every change is below its limit: {} (plus is worse){}",
        words.join(", "),
        ruled_out.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run_of;
    use super::super::look::Labels;
    use super::super::rule::{Action, Policy};
    use super::super::verdict::compare_runs;
    use crate::record::format::Scenario;
    use crate::record::{self, Run};

    /// A run of eight load points.
    fn eight(metrics: &str) -> Run {
        let mut file = run_of(&vec![format!(r#"{{"metrics": {{{metrics}}}}}"#); 3]).file;
        let one = file.scenarios[0].clone();
        file.scenarios = (1..=8)
            .map(|at| Scenario {
                name: format!("c{at}"),
                ..one.clone()
            })
            .collect();
        record::parse("many.json", &serde_json::to_vec(&file).unwrap()).unwrap()
    }

    #[test]
    fn a_headline_names_a_few_missing_rules_and_counts_the_rest() {
        let baseline = eight(r#""throughput": 3000, "tpot.p95": 0.02"#);
        let candidate = eight(r#""tpot.p95": 0.02"#);
        let policy = Policy::standard();
        let headline = compare_runs(&policy, &baseline, &candidate, Labels::default()).headline;
        insta::assert_snapshot!(headline, @"throughput at c1, throughput at c2, throughput at c3, throughput at c4, throughput at c5: not measured by the candidate (repeat 1); peak GPU memory at c1, peak GPU memory at c2, peak GPU memory at c3, peak GPU memory at c4, peak GPU memory at c5: not measured by the baseline (repeat 1); and 6 more in the table");
    }

    #[test]
    fn a_pass_of_three_rules_fits_into_a_commit_status() {
        let metrics = r#""tpot.p95": 0.02, "throughput": 3000, "gpu_memory.peak": 7e9"#;
        let run = run_of(&vec![format!(r#"{{"metrics": {{{metrics}}}}}"#); 3]);
        let mut policy = Policy::standard();
        policy
            .rules
            .retain(|rule| metrics.contains(rule.metric.id()));
        for rule in &mut policy.rules {
            rule.action = Action::Block;
        }
        let headline = compare_runs(&policy, &run, &run, Labels::default()).headline;
        insta::assert_snapshot!(headline, @"every change is below its limit: TPOT P95 0.0 %, throughput 0.0 % (plus is worse); a regression above 3.5 % is ruled out");
        assert!(format!("PASS: {headline}").chars().count() <= 140);
    }
}
