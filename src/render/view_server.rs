//! The server's own metrics, in words.

use serde::Serialize;

use super::number;
use super::view::NOTHING;
use crate::report::comparison::ServerFigure;

/// The server's own figures in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerTable {
    /// Scenario; foreign text.
    pub scenario: String,
    /// Its figures.
    pub rows: Vec<ServerRow>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerRow {
    /// Its name; foreign text in a comparison that another program wrote.
    pub figure: String,
    /// Value, or `not reported`.
    pub baseline: String,
    /// Likewise.
    pub candidate: String,
    /// `+0.4 %`: growth, not judged; or `–`.
    pub change: String,
}

/// One table per scenario, in the order of the comparison.
pub(super) fn tables(figures: &[ServerFigure]) -> Vec<ServerTable> {
    let alike = |one: &ServerFigure, other: &ServerFigure| one.scenario == other.scenario;
    let table = |figures: &[ServerFigure]| {
        let scenario = figures.first()?.scenario.clone();
        let rows = figures.iter().map(ServerRow::of).collect();
        Some(ServerTable { scenario, rows })
    };
    figures.chunk_by(alike).filter_map(table).collect()
}

impl ServerRow {
    fn of(figure: &ServerFigure) -> Self {
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
        Self {
            figure: figure.figure.clone(),
            baseline: text(figure.baseline),
            candidate: text(figure.candidate),
            change: growth.map_or_else(|| NOTHING.to_owned(), number::signed_percent),
        }
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
        let tables = tables(&[
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
