//! One judgement in words, with the numbers that its charts draw.

use serde::Serialize;

use super::view::{NOTHING, Sign, mark};
use super::{number, view_lines};
use crate::metric::Unit;
use crate::policy::rule::Action;
use crate::policy::{MergeEffect, effect};
use crate::report::comparison::{Basis, Comparison, Judgement, RepeatValue, Side, Status};

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
    /// `3` or `3 of 4`.
    pub repeats: [String; 2],
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

fn sign_of_row(row: &Judgement) -> Sign {
    let (icon, word, tone) = match (row.status, row.rule.action) {
        (Status::Pass, _) => ("✅", "pass", "good"),
        (Status::Improved, _) => ("✅", "improved", "good"),
        (Status::Regressed, Action::Block) => ("⛔", "block", "bad"),
        (Status::Regressed, Action::Report) => ("⛔", "report", "bad"),
        (Status::Regressed, Action::Warn) => ("⚠️", "warn", "caution"),
        (Status::Inconclusive, _) => ("❓", "undecided", "neutral"),
        (Status::Missing, Action::Block | Action::Report) => ("🚫", "missing", "bad"),
        (Status::Missing, Action::Warn) => ("⚠️", "missing", "caution"),
    };
    Sign {
        icon,
        mark: mark(tone),
        word,
        tone,
    }
}

impl Row {
    pub(super) fn of(row: &Judgement, comparison: &Comparison) -> Self {
        let text = |side: &Side| side_text(side, row.unit);
        let compared = comparison.mismatches.is_empty();
        Self {
            scenario: row.scenario.clone(),
            metric: row.metric.label(),
            id: row.metric.id(),
            effect: effect(row, comparison),
            place: row
                .rule
                .place
                .as_ref()
                .map(|place| format!("{}:{}", place.file, place.line)),
            baseline: text(&row.baseline),
            candidate: text(&row.candidate),
            change: row.change.map_or_else(
                || NOTHING.to_owned(),
                |change| number::signed_percent(change.value),
            ),
            interval: row
                .change
                .as_ref()
                .map(number::interval)
                .unwrap_or_default(),
            limit: limit(row),
            noise: row.noise.as_ref().map_or_else(
                || NOTHING.to_owned(),
                |noise| {
                    let host = match row.basis {
                        Some(Basis::Pairs) => "host noise cancels".to_owned(),
                        Some(Basis::StoredBaseline | Basis::PairsAndStoredBaseline) | None => {
                            format!("host {}", number::percent(noise.host))
                        }
                    };
                    let request = noise
                        .request
                        .map(|request| format!(", requests {}", number::percent(request)));
                    format!(
                        "{} ({}), {host}{}",
                        number::percent(noise.repeat),
                        source_of_noise(&noise.source),
                        request.unwrap_or_default()
                    )
                },
            ),
            basis: match row.basis {
                Some(Basis::StoredBaseline) => "stored baseline",
                Some(Basis::Pairs) => "alternating pairs",
                Some(Basis::PairsAndStoredBaseline) => "pairs and stored baseline",
                None => NOTHING,
            },
            detectable: row
                .smallest_detectable
                .map_or_else(|| NOTHING.to_owned(), number::percent),
            sign: if compared {
                sign_of_row(row)
            } else {
                view_lines::not_compared()
            },
            reason: if compared {
                row.reason.clone()
            } else {
                "the two runs are not comparable".to_owned()
            },
            chart: row.change.map(|change| RowChart {
                value: change.value,
                // A file of another program may contain them in the wrong order, or a limit below zero.
                low: change.low.min(change.high),
                high: change.low.max(change.high),
                limit: row.rule.regression.map(|limit| limit.max(0.0).abs()),
            }),
            points: [&row.baseline, &row.candidate].map(|side| points(side, row)),
            paired: match row.basis {
                Some(Basis::Pairs | Basis::PairsAndStoredBaseline) => true,
                Some(Basis::StoredBaseline) | None => false,
            },
            repeats: [&row.baseline, &row.candidate].map(repeats),
        }
    }
}

fn points(side: &Side, row: &Judgement) -> Vec<Point> {
    let of = |(place, repeat): (usize, &RepeatValue)| {
        let value = repeat.value?;
        Some(Point {
            number: place + 1,
            value,
            text: number::value(value, row.unit),
            void: repeat.void.clone(),
            weight: repeat
                .weight
                .map(|weight| format!("weight {}", number::percent(weight))),
        })
    };
    side.values.iter().enumerate().filter_map(of).collect()
}

/// Every repeat of a judged scenario that does not count, with the reason; foreign text.
pub(super) fn voids(rows: &[Judgement], several_scenarios: bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for row in rows {
        for (name, side) in [("baseline", &row.baseline), ("candidate", &row.candidate)] {
            for (place, repeat) in side.values.iter().enumerate() {
                let Some(reason) = &repeat.void else { continue };
                let scenario = if several_scenarios {
                    format!(" at {}", row.scenario)
                } else {
                    String::new()
                };
                let line = format!(
                    "{name}{scenario}: repeat {} does not count: {reason}",
                    place + 1
                );
                // All metrics of a scenario have the same repeats.
                if !found.contains(&line) {
                    found.push(line);
                }
            }
        }
    }
    found
}

fn repeats(side: &Side) -> String {
    let all = side.values.len();
    if all == side.repeats as usize {
        format!("{all}")
    } else {
        format!("{} of {all}", side.repeats)
    }
}

/// In words; a value of a newer version as written.
fn source_of_noise(source: &str) -> &str {
    match source {
        "today" => "from today's repeats",
        "ledger" => "from the ledger",
        other => other,
    }
}

/// The side's value with its unit, or a dash.
pub(super) fn side_text(side: &Side, unit: Unit) -> String {
    side.value
        .map_or_else(|| NOTHING.to_owned(), |value| number::value(value, unit))
}

/// Why the side has no value.
pub(super) fn missing(side: &Side) -> Option<&str> {
    let reason = side.not_measured.as_deref();
    side.value
        .is_none()
        .then(|| reason.unwrap_or("not measured"))
}

fn limit(row: &Judgement) -> String {
    let mut parts = Vec::new();
    parts.extend(row.rule.regression.map(number::percent));
    parts.extend(
        row.rule
            .max
            .map(|max| format!("at most {}", number::value(max, row.unit))),
    );
    parts.extend(
        row.rule
            .min
            .map(|min| format!("at least {}", number::value(min, row.unit))),
    );
    let limits = parts.join(", ");
    match row.rule.action {
        Action::Block => limits,
        Action::Warn => format!("{limits} (warn)"),
        Action::Report => format!("{limits} (report)"),
    }
}
