//! Makes the view of a comparison.

use std::collections::HashSet;

use super::number::{self, NOTHING};
use super::view::{AnalysisText, Pair, Part, Row, Sign, View, WarningText};
use super::view_row::voids;
use super::{explanation, view_figures, view_lines};
use crate::code::Code;
use crate::report::comparison::{
    Acceptance, Analysis, Comparison, Difference, Status, Stratum, Verdict, Warning,
};

impl View {
    /// The view of a comparison.
    pub fn of(comparison: &Comparison) -> Self {
        let scenarios = scenarios(comparison);
        let several = scenarios.len() > 1;
        let rows: Vec<Row> = comparison
            .judgements
            .iter()
            .map(|row| Row::of(row, comparison))
            .collect();
        let decisive = view_lines::decisive(comparison, &rows);
        let subject = view_lines::subject(comparison, &scenarios);
        let sides = view_lines::sides(comparison, several);
        Self {
            name: comparison
                .name
                .clone()
                .unwrap_or_else(|| "unnamed".to_owned()),
            verdict: Sign::of_verdict(comparison.verdict),
            instruction: instruction(comparison).to_owned(),
            headline: comparison.headline.clone(),
            exit_code: comparison.exit_code,
            baseline: view_lines::facts(&comparison.baseline),
            candidate: view_lines::facts(&comparison.candidate),
            ab_baseline: view_lines::beside(comparison, comparison.ab_baseline.as_ref()),
            ab_candidate: view_lines::beside(comparison, comparison.ab_candidate.as_ref()),
            identity: match subject.as_str() {
                "" => sides.clone(),
                subject => format!("{subject} · {sides}"),
            },
            subject,
            sides,
            place: view_lines::place(comparison, decisive, several),
            noise: view_lines::noise(comparison, decisive, several),
            price: comparison.price.map(|price| price.to_string()),
            several_scenarios: several,
            rows,
            voids: voids(comparison.judgements.iter(), several),
            measurements: view_figures::measured(&scenarios, &comparison.measurements),
            strata: comparison.strata.iter().map(Part::of).collect(),
            server_figures: view_figures::reported(&comparison.server_figures),
            mismatches: comparison.mismatches.iter().map(Pair::of).collect(),
            changes: comparison.changes.iter().map(Pair::of).collect(),
            analysis: comparison.analysis.as_ref().map(AnalysisText::of),
            explanation: comparison.explanation.as_ref().map(AnalysisText::of),
            accepted: comparison.accepted.as_ref().map(AnalysisText::accepted),
            warnings: comparison.warnings.iter().map(WarningText::of).collect(),
            next: explanation::next(comparison),
            looks: explanation::looks(comparison),
            decision: explanation::decision(comparison),
            reproduce: explanation::reproduce(comparison),
        }
    }
}

/// The scenarios with rules or figures, in their order.
fn scenarios(comparison: &Comparison) -> Vec<&str> {
    let judged = comparison.judgements.iter().map(|row| &row.scenario);
    let measured = comparison.measurements.iter().map(|row| &row.scenario);
    let mut seen = HashSet::new();
    let names = judged.chain(measured).map(String::as_str);
    names.filter(|name| seen.insert(*name)).collect()
}

/// The instruction to the reader.
fn instruction(comparison: &Comparison) -> &'static str {
    match (comparison.verdict, comparison.exit_code) {
        (Verdict::Pass, _) => "merge",
        (Verdict::Warn, _) if comparison.accepted.is_some() => "merge: the regression was accepted",
        (Verdict::Warn, _) if comparison.analysis.is_some() => {
            "merge if the analysis convinces you"
        }
        (Verdict::Warn, _) if comparison.explanation.is_some() => {
            "merge if the explanation convinces you"
        }
        (Verdict::Warn, _) => "merge if the warnings are understood",
        (Verdict::Inconclusive, 0) => "the evidence is not enough; merging is allowed",
        (Verdict::Inconclusive, _) => "the evidence is not enough; do not merge yet",
        (Verdict::Report, _) => "do not merge without an analysis report",
        (Verdict::Block, _) => "do not merge",
        (Verdict::Incomparable, _)
            if comparison.mismatches.is_empty()
                && comparison
                    .judgements
                    .iter()
                    .any(|judgement| judgement.status != Status::Missing) =>
        {
            "do not merge: a rule could not be judged"
        }
        (Verdict::Incomparable, _) => "do not merge: nothing was compared",
    }
}

impl Part {
    fn of(stratum: &Stratum) -> Self {
        Self {
            scenario: stratum.scenario.clone(),
            latency: stratum.latency.to_uppercase(),
            requests_with: format!("{} {}", stratum.by, view_lines::range(stratum)),
            requests: stratum.requests,
            change: number::signed_percent(stratum.change),
            value: stratum.change,
        }
    }
}

/// Shorter than the longest foreign text that is shown.
const LONGEST_LINE: usize = 240;

impl AnalysisText {
    fn of(analysis: &Analysis) -> Self {
        let mut lines = Vec::new();
        for paragraph in analysis.text.lines() {
            let mut line = String::new();
            // A word may be longer than a line.
            for word in paragraph.split(' ') {
                if line.chars().count() + word.chars().count() > LONGEST_LINE && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            lines.push(line);
        }
        Self {
            source: analysis.source.clone(),
            lines,
        }
    }

    fn accepted(acceptance: &Acceptance) -> Self {
        Self::of(&Analysis {
            source: format!("by {}, label {}", acceptance.by, acceptance.label),
            text: acceptance.reason.clone(),
        })
    }
}

impl WarningText {
    fn of(warning: &Warning) -> Self {
        Self {
            message: warning.message.clone(),
            code: warning.code().to_owned(),
            address: Code::named(warning.code()).and_then(Code::address),
        }
    }
}

impl Pair {
    fn of(difference: &Difference) -> Self {
        // Where neither side has a value, `what` is the sentence.
        let is_sentence = difference.baseline.is_none() && difference.candidate.is_none();
        let absent = if is_sentence { NOTHING } else { "unknown" };
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| absent.to_owned());
        let (baseline, candidate) =
            differing_part(side(&difference.baseline), side(&difference.candidate));
        Self {
            what: difference.what.clone(),
            baseline,
            candidate,
        }
    }
}

/// The common text before and after a difference of two long texts is shortened to this many characters, so that the
/// difference itself is never cut off.
const COMMON_PART: usize = 24;

fn differing_part(baseline: String, candidate: String) -> (String, String) {
    let (old, new): (Vec<char>, Vec<char>) =
        (baseline.chars().collect(), candidate.chars().collect());
    let shorter = old.len().min(new.len());
    let same = |pairs: &mut dyn Iterator<Item = (&char, &char)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let before = same(&mut old.iter().zip(&new));
    let after = same(&mut old.iter().rev().zip(new.iter().rev())).min(shorter - before);
    let cut = |text: &[char]| {
        let (from, to) = (
            before.saturating_sub(COMMON_PART),
            text.len() - after.saturating_sub(COMMON_PART),
        );
        let middle: String = text.iter().take(to).skip(from).collect();
        let [head, tail] = [from > 0, to < text.len()].map(|cut| if cut { "…" } else { "" });
        format!("{head}{middle}{tail}")
    };
    if shorter <= 3 * COMMON_PART {
        return (baseline, candidate);
    }
    (cut(&old), cut(&new))
}

#[cfg(test)]
mod tests {
    use super::differing_part;

    fn shown(old: &str, new: &str) -> String {
        let (old, new) = differing_part(old.to_owned(), new.to_owned());
        format!("{old} → {new}")
    }

    #[test]
    fn the_common_part_of_two_long_texts_never_hides_the_difference() {
        let common = "x".repeat(300);
        let (old, new) = (format!("{common}a{common}"), format!("{common}bc{common}"));
        insta::assert_snapshot!(shown(&old, &new), @"…xxxxxxxxxxxxxxxxxxxxxxxxaxxxxxxxxxxxxxxxxxxxxxxxx… → …xxxxxxxxxxxxxxxxxxxxxxxxbcxxxxxxxxxxxxxxxxxxxxxxxx…");
        insta::assert_snapshot!(shown("NVIDIA L4", "NVIDIA H100"), @"NVIDIA L4 → NVIDIA H100");
        let longer = format!("{common}{common}");
        assert!(shown(&common, &longer).chars().count() < 400);
    }

    #[test]
    fn a_change_of_letters_of_several_bytes_is_cut_between_letters() {
        let common = "é".repeat(100);
        let text = shown(&format!("{common}ü"), &format!("{common}ö"));
        assert!(text.ends_with('ö') && text.contains("ü → …"), "{text}");
    }
}
