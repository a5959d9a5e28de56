//! One judgement in words, with the numbers that its charts draw.

use std::collections::HashSet;

use super::at_scenario;
use super::number::{self, NOTHING, or_dash};
use super::view::{Point, Row, RowChart, Sign};
use crate::metric::Unit;
use crate::policy::effect;
use crate::policy::rule::Action;
use crate::report::comparison::{Basis, Comparison, Judgement, Noise, RepeatValue, Side, Status};

impl Row {
    pub(super) fn of(row: &Judgement, comparison: &Comparison) -> Self {
        let compared = comparison.mismatches.is_empty();
        let place = row.rule.place.as_ref();
        Self {
            scenario: row.scenario.clone(),
            metric: row.metric.label(),
            id: row.metric.id(),
            effect: effect(row, comparison),
            place: place.map(|place| format!("{}:{}", place.file, place.line)),
            baseline: side_text(&row.baseline, row.unit),
            candidate: side_text(&row.candidate, row.unit),
            change: or_dash(row.change, |change| number::signed_percent(change.value)),
            interval: row
                .change
                .as_ref()
                .map(number::interval)
                .unwrap_or_default(),
            limit: limit(row),
            noise: or_dash(row.noise.as_ref(), |noise| noise_in_words(noise, row.basis)),
            basis: match row.basis {
                Some(Basis::StoredBaseline) => "stored baseline",
                Some(Basis::Pairs) => "alternating pairs",
                Some(Basis::PairsAndStoredBaseline) => "pairs and stored baseline",
                None => NOTHING,
            },
            detectable: or_dash(row.smallest_detectable, number::percent),
            sign: if compared {
                sign(row)
            } else {
                Sign::new("🚫", "not compared", "neutral")
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
            points: [&row.baseline, &row.candidate].map(|side| points(side, row.unit)),
            paired: matches!(
                row.basis,
                Some(Basis::Pairs | Basis::PairsAndStoredBaseline)
            ),
            counts: counts(row),
        }
    }
}

fn sign(row: &Judgement) -> Sign {
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
    Sign::new(icon, word, tone)
}

fn noise_in_words(noise: &Noise, basis: Option<Basis>) -> String {
    // A value of a newer version is shown as written.
    let source = match noise.source.as_str() {
        "today" => "from today's repeats",
        "ledger" => "from the ledger",
        other => other,
    };
    let host = match basis {
        Some(Basis::Pairs) => "host noise cancels".to_owned(),
        Some(Basis::StoredBaseline | Basis::PairsAndStoredBaseline) | None => {
            format!("host {}", number::percent(noise.host))
        }
    };
    let request = noise
        .request
        .map(|request| format!(", requests {}", number::percent(request)));
    format!(
        "{} ({source}), {host}{}",
        number::percent(noise.repeat),
        request.unwrap_or_default()
    )
}

fn points(side: &Side, unit: Unit) -> Vec<Point> {
    let of = |(place, repeat): (usize, &RepeatValue)| {
        let value = repeat.value?;
        Some(Point {
            number: (place + 1).saturating_sub(side.beside as usize),
            value,
            text: number::value(value, unit),
            void: repeat.void.clone(),
            weight: repeat
                .weight
                .map(|weight| format!("weight {}", number::percent(weight))),
        })
    };
    side.values.iter().enumerate().filter_map(of).collect()
}

/// Every repeat of these rows' scenarios that does not count, with the reason; foreign text.
pub(super) fn voids<'a>(
    rows: impl Iterator<Item = &'a Judgement>,
    several_scenarios: bool,
) -> Vec<String> {
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for row in rows {
        for (name, side) in [("baseline", &row.baseline), ("candidate", &row.candidate)] {
            for (place, repeat) in side.values.iter().enumerate() {
                let Some(reason) = &repeat.void else { continue };
                let name = at_scenario(name, &row.scenario, several_scenarios);
                let line = format!("{name}: repeat {} does not count: {reason}", place + 1);
                // All metrics of a scenario have the same repeats.
                if known.insert(line.clone()) {
                    found.push(line);
                }
            }
        }
    }
    found
}

/// `3 and 4 repeats, 3 of the stored baseline`; `3 and 3 measurements on 1 and 1 server starts`.
fn counts(row: &Judgement) -> String {
    let sides = [&row.baseline, &row.candidate];
    let repeats = |side: &Side| match side.values.len() {
        all if all == side.repeats as usize => format!("{all}"),
        all => format!("{} of {all}", side.repeats),
    };
    let [baseline, candidate] = sides.map(repeats);
    let words = if sides.iter().any(|side| side.starts.is_some()) {
        let [one, other] = sides.map(|side| side.starts.unwrap_or(side.repeats));
        format!("{baseline} and {candidate} measurements on {one} and {other} server starts")
    } else {
        format!("{baseline} and {candidate} repeats")
    };
    match &row.stored {
        Some(side) if row.basis == Some(Basis::PairsAndStoredBaseline) => {
            format!("{words}, {} of the stored baseline", repeats(side))
        }
        Some(_) | None => words,
    }
}

/// The side's value with its unit, or a dash.
pub(super) fn side_text(side: &Side, unit: Unit) -> String {
    or_dash(side.value, |value| number::value(value, unit))
}

/// Why the side has no value.
pub(super) fn missing(side: &Side) -> Option<&str> {
    let reason = side.not_measured.as_deref();
    side.value
        .is_none()
        .then(|| reason.unwrap_or("not measured"))
}

fn limit(row: &Judgement) -> String {
    let value = |value| number::value(value, row.unit);
    let limits = [
        row.rule.regression.map(number::percent),
        row.rule.max.map(|max| format!("at most {}", value(max))),
        row.rule.min.map(|min| format!("at least {}", value(min))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    let limits = limits.join(", ");
    match row.rule.action {
        Action::Block => limits,
        Action::Warn => format!("{limits} (warn)"),
        Action::Report => format!("{limits} (report)"),
    }
}
