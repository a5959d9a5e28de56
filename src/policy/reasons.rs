//! The author's analysis and explanation, added to a comparison.

use super::headline::analysed_headline;
use super::outcome::{decided, weight};
use super::too_good;
use super::warning::{is_about_explanation, of_explanation};
use crate::report::comparison::{Analysis, Comparison, Verdict, Warning};

/// Adds the author's analysis: a `report` rule that regressed no longer blocks, and an implausible speed-up is accepted.
/// All other decisions stay.
#[must_use]
pub fn with_analysis(mut comparison: Comparison, analysis: Analysis) -> Comparison {
    let rows = std::mem::take(&mut comparison.judgements);
    let is_doubted = rows.iter().any(|row| row.if_believed.is_some());
    comparison.judgements = rows.into_iter().map(too_good::believed).collect();
    comparison
        .warnings
        .retain(|warning| !too_good::is_about(warning));
    comparison.analysis = Some(analysis);
    if !is_doubted && comparison.verdict != Verdict::Report {
        return comparison;
    }
    let Some((verdict, exit)) = decided(&comparison) else {
        return comparison;
    };
    let open = comparison
        .judgements
        .iter()
        .find(|row| weight(row, true) == Verdict::Inconclusive);
    comparison.headline = match (open, verdict) {
        (Some(open), Verdict::Inconclusive) => format!("{}: {}", open.metric.label(), open.reason),
        // Another row still decides.
        _ if verdict == comparison.verdict => comparison.headline,
        _ if comparison.verdict == Verdict::Report => analysed_headline(&comparison.headline),
        _ => format!(
            "{}; the author gave a reason",
            too_good::as_a_fact(&comparison.headline)
        ),
    };
    comparison.verdict = verdict;
    comparison.exit_code = exit.code();
    comparison
}

/// Adds the author's explanation, which replaces the request for one and changes no verdict.
#[must_use]
pub fn with_explanation(mut comparison: Comparison, explanation: Analysis) -> Comparison {
    let asked = comparison
        .judgements
        .iter()
        .filter_map(|row| of_explanation(row, true));
    let asked: Vec<Warning> = asked.collect();
    comparison
        .warnings
        .retain(|warning| !is_about_explanation(warning));
    comparison.warnings.extend(asked);
    Comparison {
        explanation: Some(explanation),
        ..comparison
    }
}
