//! The tables of figures: measured, with or without a rule, and reported by the server.

use std::collections::HashMap;

use super::by_scenario;
use super::number::{self, or_dash};
use super::view::{FigureRow, FigureTable};
use super::view_row::{missing, side_text};
use crate::compare;
use crate::report::comparison::{Measurement, ServerFigure};

/// One table per scenario, also for one without figures.
pub(super) fn measured(scenarios: &[&str], measurements: &[Measurement]) -> Vec<FigureTable> {
    let mut rows: HashMap<&str, Vec<&Measurement>> = by_scenario(measurements, |row| &row.scenario)
        .into_iter()
        .collect();
    let tables = scenarios.iter().map(|scenario| {
        let rows = rows.remove(scenario).unwrap_or_default();
        FigureTable {
            scenario: (*scenario).to_owned(),
            reasons: reasons(&rows),
            rows: rows.into_iter().map(measured_row).collect(),
        }
    });
    tables.collect()
}

fn measured_row(row: &Measurement) -> FigureRow {
    FigureRow {
        figure: row.metric.label().to_owned(),
        baseline: side_text(&row.baseline, row.unit),
        candidate: side_text(&row.candidate, row.unit),
        change: or_dash(row.change, number::signed_percent),
        note: row.note.clone(),
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

/// One table per scenario, in the order of the comparison.
pub(super) fn reported(figures: &[ServerFigure]) -> Vec<FigureTable> {
    let table = |(scenario, rows): (&str, Vec<&ServerFigure>)| FigureTable {
        scenario: scenario.to_owned(),
        rows: rows.into_iter().map(reported_row).collect(),
        reasons: Vec::new(),
    };
    let groups = by_scenario(figures, |figure| &figure.scenario);
    groups.into_iter().map(table).collect()
}

fn reported_row(figure: &ServerFigure) -> FigureRow {
    let text = |value: Option<f64>| {
        value.map_or_else(
            || "not reported".to_owned(),
            |value| number::value(value, figure.unit),
        )
    };
    let growth = figure
        .baseline
        .zip(figure.candidate)
        .filter(|(baseline, _)| *baseline > 0.0)
        .map(|(baseline, candidate)| candidate / baseline - 1.0)
        .filter(|growth| growth.is_finite());
    FigureRow {
        figure: figure.figure.clone(),
        baseline: text(figure.baseline),
        candidate: text(figure.candidate),
        change: or_dash(growth, number::signed_percent),
        note: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;

    #[test]
    fn a_metric_that_a_server_does_not_report_has_no_change() {
        let figure = |scenario: &str, baseline, candidate| ServerFigure {
            scenario: scenario.to_owned(),
            figure: "mean queue time".to_owned(),
            unit: Unit::Seconds,
            baseline,
            candidate,
        };
        let tables = reported(&[
            figure("a", Some(0.1), Some(0.2)),
            figure("a", None, Some(0.2)),
            figure("b", Some(0.0), Some(0.2)),
        ]);
        let shown: Vec<String> = tables
            .iter()
            .flat_map(|table| &table.rows)
            .map(|row| format!("{} | {} | {}", row.baseline, row.candidate, row.change))
            .collect();
        assert_eq!(tables.len(), 2);
        insta::assert_snapshot!(shown.join("\n"), @"
        100.0 ms | 200.0 ms | +100 %
        not reported | 200.0 ms | –
        0 ms | 200.0 ms | –
        ");
    }
}
