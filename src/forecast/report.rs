//! The expected price of gates, as data and as text.

use std::fmt::Write as _;

use serde::Serialize;

use super::draws::{CellNoise, Machine};
use super::gates::{Change, Gates};
use super::unit_price::UnitPrice;
use crate::record::{RecordError, average_price};
use crate::report::price::AveragePrice;
use crate::text::count::count;
use crate::text::number::{hours, percent, span};
use crate::text::sanitize;

/// Gates simulated of each change: their mean number of starts has a standard error of about 3 %.
const MOST_GATES: u32 = 200;

/// The same with many rules, each of which takes time.
const FEWEST_GATES: u32 = 40;

/// The most rules × scenarios that the gates of one change judge together, so that a forecast takes seconds.
const MOST_RULES: u32 = 1600;

/// The changes of a forecast: innocent, 8 % and 15 % slower.
pub(crate) const CHANGES: [f64; 3] = [0.0, 0.08, 0.15];

/// The expected price of gates against one baseline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Forecast {
    /// Hardware of the baseline; absent for a given file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hardware: Option<String>,
    /// The baseline's file.
    pub(crate) baseline: String,
    /// One server start and one repeat on it; absent without a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<UnitPrice>,
    /// What the last gates really cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) average: Option<AveragePrice>,
    /// Simulated gates of every change.
    pub(crate) gates: u32,
    pub(crate) changes: Vec<Change>,
    pub(crate) noise: Vec<CellNoise>,
}

impl Forecast {
    /// Simulates gates of every change; without a number as many as take seconds.
    pub(crate) fn of(
        gates: &Gates<'_>,
        hardware: Option<String>,
        count: Option<u32>,
        seed: u64,
    ) -> Result<Self, RecordError> {
        let stored = gates.stored;
        let mut machine = Machine::of(stored, gates.policy, seed);
        let noise = machine.noise();
        let count = count.unwrap_or_else(|| {
            let rules = u32::try_from(noise.len()).unwrap_or(u32::MAX);
            (MOST_RULES / rules.max(1)).clamp(FEWEST_GATES, MOST_GATES)
        });
        let changes = CHANGES.map(|slower| gates.of_change(&mut machine, slower, count));
        Ok(Self {
            hardware,
            baseline: stored.path.clone(),
            unit: gates.unit,
            average: average_price(&stored.ledger),
            changes: changes.into_iter().collect::<Result<_, _>>()?,
            gates: count,
            noise,
        })
    }
}

/// The forecasts of one gate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Forecasts {
    /// Name of the gate.
    pub(crate) name: String,
    /// Whether the base version is measured too.
    pub(crate) has_base: bool,
    pub(crate) seed: u64,
    pub(crate) baselines: Vec<Forecast>,
}

/// For people.
pub(crate) fn forecasts_text(all: &Forecasts) -> String {
    let mut text = String::new();
    for forecast in &all.baselines {
        of_baseline(all, forecast, &mut text);
    }
    text
}

fn of_baseline(all: &Forecasts, forecast: &Forecast, text: &mut String) {
    let where_ = forecast.hardware.as_deref().unwrap_or(&forecast.baseline);
    let _ = writeln!(
        text,
        " {} on {}",
        sanitize::line(&all.name),
        sanitize::line(where_)
    );
    let is_priced = forecast.unit.is_some();
    let has_gpus = forecast
        .changes
        .iter()
        .all(|change| change.gpu_hours.is_some());
    let cost = match (is_priced, has_gpus) {
        (false, _) => "",
        (true, true) => "GPU-hours",
        (true, false) => "server time",
    };
    let _ = writeln!(
        text,
        "\n change         starts  {cost:>11}     pass    block  undecided"
    );
    for change in &forecast.changes {
        let name = if change.slower > 0.0 {
            format!("{:.0} % slower", 100.0 * change.slower)
        } else {
            "innocent".to_owned()
        };
        let starts = if change.starts > 0.0 {
            change.starts
        } else {
            change.repeats
        };
        let cost = match (change.gpu_hours, change.seconds) {
            (Some(gpu_hours), _) => hours(gpu_hours),
            (None, Some(seconds)) => span(seconds),
            (None, None) => String::new(),
        };
        let [passed, blocked, undecided] =
            [change.passed, change.blocked, change.undecided].map(share);
        let _ = write!(
            text,
            " {name:<12} {starts:>8.1}  {cost:>11}  {passed:>7}  {blocked:>7}  {undecided:>9}"
        );
        if change.not_comparable > 0.0 {
            let _ = write!(text, "  not comparable {}", share(change.not_comparable));
        }
        text.push('\n');
    }
    text.push('\n');
    let base = if all.has_base {
        "with the base version at hand"
    } else {
        "without the base version at hand (`--base-image`, `server.base`)"
    };
    let means = format!(
        "means of {} of each change, {base}",
        count(forecast.gates, "simulated gate")
    );
    for line in lines(forecast).into_iter().chain([means]) {
        let _ = writeln!(text, " {}", sanitize::line(&line));
    }
}

/// `98 %`.
fn share(of: f64) -> String {
    format!("{:.0} %", 100.0 * of)
}

/// What the table rests on.
fn lines(forecast: &Forecast) -> Vec<String> {
    let mut lines = Vec::new();
    match forecast.unit {
        Some(unit) => lines.push(unit.to_string()),
        None => lines.push(
            "no price: neither the ledger nor the baseline contains one; results of `perfgate gate` and `perfgate bench` have it, and `perfgate baseline update` keeps it"
                .to_owned(),
        ),
    }
    if let Some(average) = &forecast.average {
        lines.push(average.to_string());
    }
    let noisiest = |learnt: bool| {
        let of_kind = forecast
            .noise
            .iter()
            .filter(|cell| (cell.sessions > 0) == learnt);
        of_kind.max_by(|a, b| a.repeat.total_cmp(&b.repeat))
    };
    let in_words = |cell: &CellNoise| {
        format!(
            "{} at {}, {} between starts and {} between sessions",
            cell.metric.label(),
            cell.scenario,
            percent(cell.repeat),
            percent(cell.host)
        )
    };
    if let Some(cell) = noisiest(true) {
        lines.push(format!(
            "largest noise, learnt from {}: {}",
            count(cell.sessions, "session"),
            in_words(cell)
        ));
    }
    if let Some(cell) = noisiest(false) {
        lines.push(format!(
            "noise that is assumed, because fewer than {} sessions have it: {}",
            crate::stats::FEWEST_SESSIONS,
            in_words(cell)
        ));
    }
    lines
}
