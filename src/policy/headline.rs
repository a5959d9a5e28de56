//! The verdict in one sentence.

use super::comparison::{Difference, Status, Verdict};
use super::judge::Judged;
use super::rule::Action;
use super::sentence::{change_in_words, percent, signed_percent};
use super::too_good;

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
    let worst = |status: Status, actions: &[Action]| {
        let rows = judged.iter().filter(|judged| {
            let row = &judged.judgement;
            row.status == status && actions.contains(&row.rule.action)
        });
        rows.max_by(|a, b| badness(a).total_cmp(&badness(b)))
    };
    let told = |row: Option<&Judged>| row.map(|row| told(row, &place(row)));
    let text = match verdict {
        Verdict::Incomparable => match mismatches.first() {
            Some(difference) => Some(mismatch_in_words(difference)),
            None => missing(judged, &place),
        },
        Verdict::Block => told(worst(Status::Regressed, &[Action::Block])),
        Verdict::Report => told(worst(Status::Regressed, &[Action::Report])),
        Verdict::Inconclusive => told(
            worst(Status::Inconclusive, &[Action::Block, Action::Report])
                .or_else(|| worst(Status::Inconclusive, &[Action::Warn])),
        ),
        // Only with an analysis report does a regression under a `report` rule become a warning.
        Verdict::Warn if worst(Status::Regressed, &[Action::Report]).is_some() => {
            told(worst(Status::Regressed, &[Action::Report])).map(|text| analysed_headline(&text))
        }
        Verdict::Warn => told(
            worst(Status::Regressed, &[Action::Warn])
                .or_else(|| worst(Status::Missing, &[Action::Warn]))
                .or_else(|| worst(Status::Inconclusive, &[Action::Warn])),
        ),
        Verdict::Pass => None,
    };
    text.unwrap_or_else(|| match verdict {
        Verdict::Incomparable => "no rule could be judged".to_owned(),
        Verdict::Pass
        | Verdict::Warn
        | Verdict::Inconclusive
        | Verdict::Report
        | Verdict::Block => passed(judged),
    })
}

/// The sentence of a regression that the author has analysed.
pub(super) fn analysed_headline(regression: &str) -> String {
    format!("{regression}; an analysis report was given")
}

/// Reasons that one sentence can hold; the table has all of them.
const MOST_REASONS: usize = 3;

/// Every rule that could stop a merge and was not judged, those with one reason together.
fn missing(judged: &[Judged], place: &impl Fn(&Judged) -> String) -> Option<String> {
    let mut reasons: Vec<(String, &str)> = Vec::new();
    for one in judged {
        let row = &one.judgement;
        if row.status != Status::Missing || row.rule.action == Action::Warn {
            continue;
        }
        let rule = format!("{}{}", row.metric.label(), place(one));
        match reasons.iter_mut().find(|(_, reason)| *reason == row.reason) {
            Some((rules, _)) => rules.push_str(&format!(", {rule}")),
            None => reasons.push((rule, &row.reason)),
        }
    }
    let more = reasons.len().saturating_sub(MOST_REASONS);
    let shown = reasons.iter().take(MOST_REASONS);
    let mut words: Vec<String> = shown
        .map(|(rules, why)| format!("{rules}: {why}"))
        .collect();
    if more > 0 {
        words.push(format!("and {more} more reasons in the table"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn badness(judged: &Judged) -> f64 {
    let change = judged.judgement.change;
    change.map_or(f64::INFINITY, |change| change.value)
}

fn told(judged: &Judged, place: &str) -> String {
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
    // No difference of two values, but of what was asked and what was done.
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

/// `no regression above its limit: TPOT P95 +0.4 % (at most +2.6 %), throughput …`, of the rules that may block.
fn passed(judged: &[Judged]) -> String {
    let rows = judged
        .iter()
        .map(|judged| &judged.judgement)
        .filter(|row| row.rule.action == Action::Block);
    let words: Vec<String> = rows
        .filter_map(|row| {
            let change = row.change?;
            let at_most = row
                .ruled_out_above
                .map(|bound| format!(" (at most {})", signed_percent(bound)));
            Some(format!(
                "{} {}{}",
                row.metric.label(),
                signed_percent(change.value),
                at_most.unwrap_or_default()
            ))
        })
        .take(3)
        .collect();
    if words.is_empty() {
        "every rule holds".to_owned()
    } else {
        format!(
            "no regression above its limit: {} (plus is worse)",
            words.join(", ")
        )
    }
}
