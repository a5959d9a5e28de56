//! The author's analysis and explanation, added to a comparison.

use super::headline::analysed_headline;
use super::outcome::{decided, undecided_headline};
use super::too_good;
use super::warning::{is_about_explanation, of_explanation};
use crate::report::comparison::{Analysis, Comparison, Verdict, Warning};

/// Adds the author's analysis: a `report` rule that regressed no longer blocks, and an implausible speed-up is accepted.
/// All other decisions stay.
#[must_use]
pub fn with_analysis(mut comparison: Comparison, analysis: Analysis) -> Comparison {
    let mut rows = comparison.judgements.iter();
    let is_doubted = rows.any(|row| row.if_believed.is_some());
    comparison.judgements.iter_mut().for_each(too_good::believe);
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
    let before = std::mem::replace(&mut comparison.verdict, verdict);
    comparison.exit_code = exit.code();
    let undecided = undecided_headline(&comparison);
    comparison.headline = match undecided {
        Some(headline) => headline,
        // Another row still decides.
        None if verdict == before => comparison.headline,
        None if before == Verdict::Report => analysed_headline(&comparison.headline),
        None => format!(
            "{}; the author gave a reason",
            too_good::as_a_fact(&comparison.headline)
        ),
    };
    comparison
}

/// Adds the author's explanation, which replaces the request for one and changes no verdict.
#[must_use]
pub fn with_explanation(mut comparison: Comparison, explanation: Analysis) -> Comparison {
    let rows = comparison.judgements.iter();
    let asked: Vec<Warning> = rows.filter_map(|row| of_explanation(row, true)).collect();
    comparison
        .warnings
        .retain(|warning| !is_about_explanation(warning));
    comparison.warnings.extend(asked);
    comparison.explanation = Some(explanation);
    comparison
}
