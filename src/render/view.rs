//! The view model: a comparison in words, made once for all renderers. It decides nothing.

use serde::Serialize;

use super::at_scenario;
use super::number::{self, NOTHING};
use crate::policy::MergeEffect;
use crate::report::comparison::Verdict;

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
    /// What the evidence cost, beside earlier gates.
    pub price: Option<String>,
    /// Whether scenarios are named.
    pub several_scenarios: bool,
    /// One per judgement.
    pub rows: Vec<Row>,
    /// `candidate: repeat 3 does not count: …`; foreign text.
    pub voids: Vec<String>,
    /// One per scenario.
    pub measurements: Vec<FigureTable>,
    /// The requests that became slower.
    pub strata: Vec<Part>,
    /// The server's own metrics.
    pub server_figures: Vec<FigureTable>,
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

impl View {
    /// Verdict and instruction: `BLOCK: do not merge`.
    pub fn title(&self) -> String {
        format!("{}: {}", self.verdict.word, self.instruction)
    }

    /// The mismatches, without one that the headline repeats word for word.
    pub(super) fn mismatches_beside_headline(&self) -> impl Iterator<Item = &Pair> {
        let mismatches = self.mismatches.iter();
        mismatches.filter(|pair| pair.in_words(str::to_owned) != self.headline)
    }
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

/// The author's analysis of a regression under a `report` rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnalysisText {
    /// Where it was given; foreign text.
    pub source: String,
    /// Its lines, cut to the longest foreign text that is shown.
    pub lines: Vec<String>,
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

impl Sign {
    pub(super) fn new(icon: &'static str, word: &'static str, tone: &'static str) -> Self {
        let mark = match tone {
            "good" => "✓",
            "bad" => "✕",
            "caution" => "!",
            _ => "?",
        };
        Self {
            icon,
            mark,
            word,
            tone,
        }
    }

    /// Icon and word of a verdict.
    pub(super) fn of_verdict(verdict: Verdict) -> Self {
        let (icon, tone) = match verdict {
            Verdict::Pass => ("✅", "good"),
            Verdict::Warn => ("⚠️", "caution"),
            Verdict::Inconclusive => ("❓", "neutral"),
            Verdict::Report | Verdict::Block => ("⛔", "bad"),
            Verdict::Incomparable => ("🚫", "bad"),
        };
        Self::new(icon, verdict.word(), tone)
    }
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

impl Pair {
    /// One line, with foreign text made safe for its renderer.
    pub(super) fn in_words(&self, safe: fn(&str) -> String) -> String {
        let what = safe(&self.what);
        if self.baseline == NOTHING && self.candidate == NOTHING {
            return what;
        }
        format!(
            "{what}: {} → {}",
            safe(&self.baseline),
            safe(&self.candidate)
        )
    }
}

/// Figures of one scenario: measured, with or without a rule, or reported by the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureTable {
    /// Scenario; foreign text.
    pub scenario: String,
    /// Its figures.
    pub rows: Vec<FigureRow>,
    /// Why figures have no value: `TTFT P95, TPOT P95: not measured: …`; foreign text.
    pub reasons: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureRow {
    /// `TTFT P50`; foreign text in a comparison that another program wrote.
    pub figure: String,
    /// Value; `–` with a reason below the table, or `not reported` by the server.
    pub baseline: String,
    /// Likewise.
    pub candidate: String,
    /// `+0.4 %`, or `–`.
    pub change: String,
    /// What a memory figure can reveal.
    pub note: Option<String>,
}

/// One judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Scenario; foreign text.
    pub scenario: String,
    /// `TPOT P95`.
    pub metric: &'static str,
    /// `tpot.p95`.
    pub id: &'static str,
    /// Its effect on the merge.
    pub effect: MergeEffect,
    /// File and line of its rule: `thresholds.yaml:3`; foreign text.
    pub place: Option<String>,
    /// Value, or `–`; then [`Row::reason`] explains why.
    pub baseline: String,
    /// Likewise.
    pub candidate: String,
    /// `+7.1 %`, or `–`.
    pub change: String,
    /// `[+4.9 … +9.3]`, or empty.
    pub interval: String,
    /// `5.0 %`, `10.0 % (warn)`, `at most 200 ms`.
    pub limit: String,
    /// Repeat, host and request noise.
    pub noise: String,
    /// The evidence that the change is based on.
    pub basis: &'static str,
    /// Smallest detectable regression.
    pub detectable: String,
    /// The status.
    pub sign: Sign,
    /// The reason for the status.
    pub reason: String,
    /// Numbers for charts: change, ends of the interval, limit.
    pub chart: Option<RowChart>,
    /// The repeats of both sides for charts, with their texts.
    pub points: [Vec<Point>; 2],
    /// Whether repeats *i* of both sides are a pair, measured one after the other.
    pub paired: bool,
    /// How many repeats or measurements each side has.
    pub counts: String,
}

/// Numbers of a row's line in the forest plot, as ratios; positive is worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RowChart {
    /// Estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Limit.
    pub limit: Option<f64>,
}

/// One repeat in a chart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Number of the repeat, from 1 in run order.
    pub number: usize,
    /// In the metric's unit.
    pub value: f64,
    /// With unit.
    pub text: String,
    /// Why it does not count; foreign text.
    pub void: Option<String>,
    /// Its weight, if less than in full.
    pub weight: Option<String>,
}

impl Row {
    /// `TPOT P95`, with its scenario where there are several; foreign text.
    pub fn title(&self, several_scenarios: bool) -> String {
        at_scenario(self.metric, &self.scenario, several_scenarios)
    }

    /// The numbers behind the verdict on one line, or the reason why there are none; foreign text.
    pub fn detail(&self) -> String {
        let figures = self.figures();
        let is_open = self.effect == MergeEffect::Open || self.sign.word == "undecided";
        if is_open || self.interval.is_empty() {
            format!("{figures}; {}", self.reason)
        } else {
            figures
        }
    }

    /// The numbers behind the verdict on one line.
    pub(super) fn figures(&self) -> String {
        if self.interval.is_empty() {
            return format!("limit {}", self.limit);
        }
        format!(
            "95 % {}; limit {}; noise {}; smallest detectable regression {}; {}",
            self.interval, self.limit, self.noise, self.detectable, self.counts
        )
    }

    /// The repeats of one side in run order: `12.30 ms, 12.41 ms (void: throttled)`; foreign text.
    pub(super) fn repeats_in_words(&self, side: usize) -> String {
        let words: Vec<String> = self.points[side].iter().map(Point::in_words).collect();
        words.join(", ")
    }

    /// The repeats of both sides as bars between the smallest and the largest of them: `▁▂▁ ▇▆█`. Empty without repeats.
    pub(super) fn bars(&self) -> String {
        let (low, high) = number::extent(self.points.iter().flatten().map(|point| point.value));
        if low >= high {
            return String::new();
        }
        let bar = |point: &Point| number::bar(point.value, low, high);
        let [baseline, candidate] = self.points.each_ref();
        let baseline: String = baseline.iter().map(bar).collect();
        let candidate: String = candidate.iter().map(bar).collect();
        format!("{baseline} {candidate}")
    }
}

impl Point {
    /// `12.41 ms (void: throttled)`; foreign text.
    pub(super) fn in_words(&self) -> String {
        match (&self.void, &self.weight) {
            (Some(void), _) => format!("{} (void: {void})", self.text),
            (None, Some(weight)) => format!("{} ({weight})", self.text),
            (None, None) => self.text.clone(),
        }
    }
}
