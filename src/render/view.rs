//! The view model: a comparison in words, made once for all renderers. It decides nothing.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

pub use super::view_row::{Point, Row, RowChart};
use super::view_row::{missing, side_text, voids};
pub use super::view_server::{ServerRow, ServerTable};
use super::{explanation, number, view_lines, view_server};
use crate::code::Code;
use crate::compare;
use crate::report::comparison::{
    Acceptance, Analysis, Comparison, Difference, Distribution, Measurement, Status, Stratum,
    Verdict, Warning,
};

/// The content of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// Name of the gate.
    pub name: String,
    /// Icon, word and instruction of the verdict.
    pub verdict: Sign,
    /// `do not merge`.
    pub instruction: String,
    /// The sentence of the row that decides.
    pub headline: String,
    /// Exit code.
    pub exit_code: u8,
    /// The accepted run.
    pub baseline: Vec<Fact>,
    /// The run under judgement.
    pub candidate: Vec<Fact>,
    /// The baseline's alternating repeats, if they are not the baseline itself.
    pub ab_baseline: Vec<Fact>,
    /// The candidate's alternating repeats.
    pub ab_candidate: Vec<Fact>,
    /// Short names of both for one line: `subject` and `sides`.
    pub identity: String,
    /// Model, workload, load, hardware.
    pub subject: String,
    /// Which two runs are compared.
    pub sides: String,
    /// The requests that became slower, if any.
    pub place: Option<String>,
    /// The noise by source, and the smallest detectable regression.
    pub noise: Option<String>,
    /// How a maintainer accepts a regression that blocks the merge; only if [`View::accepted_by`] was given a label.
    pub accept: Option<String>,
    /// Whether scenarios are named.
    pub several_scenarios: bool,
    /// One per judgement.
    pub rows: Vec<Row>,
    /// `candidate: repeat 3 does not count: …`; foreign text.
    pub voids: Vec<String>,
    /// One per scenario.
    pub measurements: Vec<MeasurementTable>,
    /// For charts.
    pub distributions: Vec<Distribution>,
    /// The requests that became slower.
    pub strata: Vec<Part>,
    /// The server's own metrics.
    pub server_figures: Vec<ServerTable>,
    /// What must match, but differs.
    pub mismatches: Vec<Pair>,
    /// What differs, as it may.
    pub changes: Vec<Pair>,
    /// The author's analysis of a regression under a `report` rule.
    pub analysis: Option<AnalysisText>,
    /// The author's explanation of a regression.
    pub explanation: Option<AnalysisText>,
    /// Who accepted the regressions, and why.
    pub accepted: Option<AnalysisText>,
    /// Warnings in addition to the judgements.
    pub warnings: Vec<WarningText>,
    /// The next steps.
    pub next: Vec<String>,
    /// The interim looks, in their order.
    pub looks: Vec<String>,
    /// How it was decided.
    pub decision: Vec<Fact>,
    /// The command that repeats this comparison.
    pub reproduce: String,
}

/// A group of similar requests, and how much slower they became.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Scenario; foreign text.
    pub scenario: String,
    /// `TTFT` or `TPOT`.
    pub latency: String,
    /// `output tokens 129 to 200`.
    pub requests_with: String,
    /// Number of requests.
    pub requests: u32,
    /// `+7.1 %`.
    pub change: String,
    /// The same for charts, as a ratio.
    pub value: f64,
}

impl Part {
    fn of(stratum: &Stratum) -> Self {
        let Stratum { by, from, to, .. } = stratum;
        let range = if from == to {
            format!("{from}")
        } else {
            format!("{from} to {to}")
        };
        Self {
            scenario: stratum.scenario.clone(),
            latency: stratum.latency.to_uppercase(),
            requests_with: format!("{by} {range}"),
            requests: stratum.requests,
            change: number::signed_percent(stratum.change),
            value: stratum.change,
        }
    }
}

/// The author's analysis of a regression under a `report` rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnalysisText {
    /// Where it was given; foreign text.
    pub source: String,
    /// Its lines, cut to the longest foreign text that is shown.
    pub lines: Vec<String>,
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

/// An icon and its word, which are always shown together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sign {
    /// For renderers with emoji.
    pub icon: &'static str,
    /// For fonts that may lack emoji.
    pub mark: &'static str,
    /// The word.
    pub word: &'static str,
    /// `good`, `bad`, `caution` or `neutral`, for colour.
    pub tone: &'static str,
}

/// A warning and the address of its documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WarningText {
    /// The sentence; may be foreign text.
    pub message: String,
    /// Its code; foreign text in a file of another version.
    pub code: String,
    /// Address of its explanation; `None` for a code of a newer version, or if the binary has no documentation address.
    pub address: Option<String>,
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

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Its name.
    pub name: &'static str,
    /// Its value; may be foreign text.
    pub value: String,
}

/// A value on both sides; foreign text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Its name.
    pub what: String,
    /// Accepted.
    pub baseline: String,
    /// Under judgement.
    pub candidate: String,
}

/// The figures of one scenario, with or without a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasurementTable {
    /// Scenario; foreign text.
    pub scenario: String,
    /// Its figures.
    pub rows: Vec<MeasurementRow>,
    /// Why figures have no value: `TTFT P95, TPOT P95: not measured: …`; foreign text.
    pub reasons: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasurementRow {
    /// `TTFT P50`.
    pub metric: &'static str,
    /// Value, or `–` with a reason below the table.
    pub baseline: String,
    /// Likewise.
    pub candidate: String,
    /// `+0.4 %`, or `–`.
    pub change: String,
    /// What a memory figure can reveal.
    pub note: Option<String>,
}

/// The explanation of the changes of groups of requests.
pub(super) const OF_STRATA: &str =
    "Median change of the same requests in both runs; it explains and never decides";

/// Shown where there is no value.
pub(super) const NOTHING: &str = "–";

impl View {
    /// The view of a comparison.
    pub fn of(comparison: &Comparison) -> Self {
        let verdict = comparison.verdict;
        let scenarios: Vec<&str> = scenarios(comparison);
        let several = scenarios.len() > 1;
        let subject = view_lines::subject(comparison, &scenarios);
        let sides = view_lines::sides(comparison, several);
        Self {
            name: comparison
                .name
                .clone()
                .unwrap_or_else(|| "unnamed".to_owned()),
            verdict: sign_of_verdict(verdict),
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
            place: view_lines::place(comparison, several),
            noise: view_lines::noise(comparison, several),
            accept: None,
            several_scenarios: several,
            rows: comparison
                .judgements
                .iter()
                .map(|row| Row::of(row, comparison))
                .collect(),
            voids: voids(&comparison.judgements, several),
            measurements: measurement_tables(&scenarios, &comparison.measurements),
            distributions: comparison.distributions.clone(),
            strata: comparison.strata.iter().map(Part::of).collect(),
            server_figures: view_server::tables(&comparison.server_figures),
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

fn scenarios(comparison: &Comparison) -> Vec<&str> {
    let named = comparison
        .judgements
        .iter()
        .map(|row| row.scenario.as_str());
    let mut names: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    for name in named.chain(
        comparison
            .measurements
            .iter()
            .map(|row| row.scenario.as_str()),
    ) {
        if seen.insert(name) {
            names.push(name);
        }
    }
    names
}

/// Icon and word of a verdict.
pub fn sign_of_verdict(verdict: Verdict) -> Sign {
    let (icon, tone) = match verdict {
        Verdict::Pass => ("✅", "good"),
        Verdict::Warn => ("⚠️", "caution"),
        Verdict::Inconclusive => ("❓", "neutral"),
        Verdict::Report | Verdict::Block => ("⛔", "bad"),
        Verdict::Incomparable => ("🚫", "bad"),
    };
    Sign {
        icon,
        mark: mark(tone),
        word: verdict.word(),
        tone,
    }
}

pub(super) fn mark(tone: &str) -> &'static str {
    match tone {
        "good" => "✓",
        "bad" => "✕",
        "caution" => "!",
        _ => "?",
    }
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
        (Verdict::Inconclusive, 0) => "merge at your own risk: the evidence does not decide",
        (Verdict::Inconclusive, _) => "do not merge yet: the evidence does not decide",
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

    /// One line of plain text.
    pub(super) fn in_words(&self) -> String {
        let Self {
            what,
            baseline,
            candidate,
        } = self;
        if baseline == NOTHING && candidate == NOTHING {
            what.clone()
        } else {
            format!("{what}: {baseline} → {candidate}")
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

fn measurement_tables(scenarios: &[&str], measurements: &[Measurement]) -> Vec<MeasurementTable> {
    let mut by_scenario: HashMap<&str, Vec<&Measurement>> = HashMap::new();
    for row in measurements {
        by_scenario.entry(&row.scenario).or_default().push(row);
    }
    let mut table = |scenario: &str| {
        let rows = by_scenario.remove(scenario).unwrap_or_default();
        MeasurementTable {
            scenario: scenario.to_owned(),
            reasons: reasons(&rows),
            rows: rows.into_iter().map(MeasurementRow::of).collect(),
        }
    };
    scenarios.iter().map(|scenario| table(scenario)).collect()
}

impl MeasurementRow {
    fn of(row: &Measurement) -> Self {
        Self {
            metric: row.metric.label(),
            baseline: side_text(&row.baseline, row.unit),
            candidate: side_text(&row.candidate, row.unit),
            change: row
                .change
                .map_or_else(|| NOTHING.to_owned(), number::signed_percent),
            note: row.note.clone(),
        }
    }
}

/// Why sides have no value; a reason that several figures share is shown once.
fn reasons(rows: &[&Measurement]) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for row in rows {
        let metric = row.metric.label();
        let shared = match [&row.baseline, &row.candidate].map(missing) {
            [None, None] => continue,
            [Some(baseline), Some(candidate)] if baseline == candidate => {
                vec![baseline.to_owned()]
            }
            [baseline, candidate] => [("baseline", baseline), ("candidate", candidate)]
                .into_iter()
                .filter_map(|(side, reason)| Some(compare::of_side(reason?, side)))
                .collect(),
        };
        for reason in shared {
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, metrics)) => metrics.push(metric),
                None => reasons.push((reason, vec![metric])),
            }
        }
    }
    reasons
        .into_iter()
        .map(|(reason, metrics)| format!("{}: {reason}", metrics.join(", ")))
        .collect()
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
