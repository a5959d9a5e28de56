//! For a terminal of 80 columns: a table with the intervals drawn in characters, the verdict last with the next step.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::inert;
use super::number;
use super::view::{MeasurementTable, Row, RowChart, Sign, View};
use crate::metric::{ALWAYS_SHOWN, Metric};
use crate::policy::comparison::Comparison;
use crate::record::format::{Repeat, ResultFile, Scenario};
use crate::stats;

/// Columns of a terminal that does not say how many it has; wider lines would be broken by somebody else.
const WIDTH: usize = 80;

/// Indent of what belongs to the line above.
const INDENT: &str = "   ";

/// Characters in which an interval is drawn.
const DRAWING: usize = 15;

/// How far the drawing reaches, in limits: from the better side to beyond the indifference zone.
const REACH: (f64, f64) = (-1.5, 2.5);

/// The comparison.
pub fn comparison(comparison: &Comparison, color: bool) -> String {
    let view = View::of(comparison);
    let pairs = |pairs: &[super::view::Pair]| {
        pairs
            .iter()
            .map(|pair| format!("{}: {} → {}", pair.what, pair.baseline, pair.candidate))
            .collect()
    };
    let mut text = format!(" {}\n\n", inert::line(&view.identity));
    let changed: Vec<String> = pairs(&view.changes);
    if !changed.is_empty() {
        for line in &changed {
            text.push_str(&wrapped(&inert::line(&format!("changed: {line}"))));
        }
        text.push('\n');
    }
    text.push_str(&judgements(&view, color));
    for table in &view.measurements {
        text.push('\n');
        text.push_str(&measurements(table, view.several_scenarios));
    }
    let list = |title: &str, lines: Vec<String>, text: &mut String| {
        if !lines.is_empty() {
            text.push_str(&format!("\n {title}\n"));
            for line in lines {
                text.push_str(&wrapped(&inert::line(&line)));
            }
        }
    };
    list(
        "must match and does not",
        pairs(&view.mismatches),
        &mut text,
    );
    list("where it became slower", slower(&view), &mut text);
    if let Some(analysis) = &view.analysis {
        let title = format!("analysis report ({})", inert::line(&analysis.source));
        list(&title, analysis.lines.clone(), &mut text);
    }
    if let Some(accepted) = &view.accepted {
        let title = format!("accepted {}", inert::line(&accepted.source));
        list(&title, accepted.lines.clone(), &mut text);
    }
    list("warnings", view.warnings.clone(), &mut text);
    list("looks", view.looks.clone(), &mut text);

    let sign = paint(
        &view.verdict,
        &format!("{}: {}", view.verdict.word, view.instruction),
        color,
    );
    text.push_str(&format!("\n {sign}  (exit {})\n", view.exit_code));
    text.push_str(&wrapped(&inert::line(&view.headline)));
    for step in &view.next {
        text.push_str(&wrapped(&format!("next: {}", inert::line(step))));
    }
    text
}

/// Only of interest where something became slower, so not where all is well.
fn slower(view: &View) -> Vec<String> {
    if view.verdict.tone == "good" {
        return Vec::new();
    }
    let line = |part: &super::view::Part| {
        let place = if view.several_scenarios {
            format!("{}: ", part.scenario)
        } else {
            String::new()
        };
        format!(
            "{place}{}, {}: {}",
            part.latency, part.requests_with, part.change
        )
    };
    view.strata.iter().map(line).collect()
}

fn judgements(view: &View, color: bool) -> String {
    let mut table = aligned([
        "metric",
        "baseline",
        "candidate",
        "worse by",
        "0 | limit ¦",
        "verdict",
    ]);
    for row in &view.rows {
        let drawing = row.chart.map(draw).unwrap_or_default();
        table.add_row([
            row.metric.to_owned(),
            short(&row.baseline),
            short(&row.candidate),
            row.change.clone(),
            drawing,
            row.sign.word.to_owned(),
        ]);
    }
    let mut text = String::new();
    let printed = printed(table);
    let mut lines = printed.lines();
    if let Some(header) = lines.next() {
        text.push_str(&format!("{header}\n"));
    }
    let mut scenario = None;
    for (row, line) in view.rows.iter().zip(lines) {
        if view.several_scenarios && scenario != Some(&row.scenario) {
            scenario = Some(&row.scenario);
            text.push_str(&format!(" {}\n", inert::line(&row.scenario)));
        }
        text.push_str(&painted(&row.sign, line, color));
        text.push('\n');
        text.push_str(&wrapped(&detail(row)));
    }
    text
}

/// A table without lines, with these column heads.
pub(super) fn aligned<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

/// The lines of a table, the values in its columns 1 to 3 to the right.
pub(super) fn printed(mut table: Table) -> String {
    for index in 1..=3 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

fn detail(row: &Row) -> String {
    let mut parts = Vec::new();
    if row.interval.is_empty() {
        parts.push(format!("limit {}", row.limit));
        parts.push(inert::line(&row.reason));
    } else {
        parts.push(format!("95 % {}", row.interval));
        parts.push(format!("limit {}", row.limit));
        parts.push(format!("noise {}", row.noise));
        parts.push(format!("would see {}", row.detectable));
        parts.push(format!("{} and {} repeats", row.repeats[0], row.repeats[1]));
    }
    parts.join("; ")
}

/// A value fits its column; a reason stands below the row and not in it.
fn short(value: &str) -> String {
    if value.chars().count() <= 12 {
        value.to_owned()
    } else {
        "–".to_owned()
    }
}

/// `······[==+===|=]··¦··`: zero `|`, limit `¦`, estimate `+`, ends `[` `]`, `<` and `>` where they lie outside.
fn draw(chart: RowChart) -> String {
    let Some(limit) = chart.limit else {
        return String::new();
    };
    let (from, to) = (REACH.0 * limit, REACH.1 * limit);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position on a line of a few characters"
    )]
    let place = |ratio: f64| {
        let share = ((ratio - from) / (to - from)).clamp(0.0, 1.0);
        (share * (DRAWING - 1) as f64).round() as usize
    };
    let mut drawing = vec!['·'; DRAWING];
    for spot in &mut drawing[place(chart.low)..=place(chart.high)] {
        *spot = '=';
    }
    drawing[place(chart.low)] = if chart.low < from { '<' } else { '[' };
    drawing[place(chart.high)] = if chart.high > to { '>' } else { ']' };
    drawing[place(0.0)] = '|';
    drawing[place(limit)] = '¦';
    drawing[place(chart.value)] = '+';
    drawing.into_iter().collect()
}

fn measurements(table: &MeasurementTable, named: bool) -> String {
    let mut text = if named {
        format!(" {}\n", inert::line(&table.scenario))
    } else {
        String::new()
    };
    let mut cells = aligned(["figure", "baseline", "candidate", "worse by"]);
    let mut reasons: Vec<String> = Vec::new();
    for row in &table.rows {
        for reason in [&row.baseline, &row.candidate] {
            let said = format!("{}: {}", row.metric, inert::line(reason));
            if short(reason) != *reason && !reasons.contains(&said) {
                reasons.push(said);
            }
        }
        cells.add_row([
            row.metric.to_owned(),
            short(&row.baseline),
            short(&row.candidate),
            row.change.clone(),
        ]);
    }
    text.push_str(&printed(cells));
    for reason in reasons {
        text.push_str(&wrapped(&reason));
    }
    text
}

/// What a run measured: the median over its repeats and their spread.
pub fn run(result: &ResultFile) -> String {
    let mut text = String::new();
    for scenario in &result.scenarios {
        text.push_str(&run_scenario(scenario));
    }
    text
}

fn run_scenario(scenario: &Scenario) -> String {
    let name = inert::line(&scenario.name);
    let mut cells = aligned([name.as_str(), "median", "smallest", "largest"]);
    let counting: Vec<&Repeat> = scenario
        .repeats
        .iter()
        .filter(|repeat| repeat.void.is_none())
        .collect();
    let mut reasons = BTreeMap::new();
    for id in ALWAYS_SHOWN.into_iter().chain(["e2e.p95", "error_rate"]) {
        let Ok(metric) = Metric::parse(id) else {
            continue;
        };
        let values: Vec<f64> = counting
            .iter()
            .filter_map(|repeat| repeat.metrics.get(id).copied().flatten())
            .collect();
        let share = |share| {
            stats::quantile(&values, share).map_or_else(
                || "–".to_owned(),
                |value| number::value(value, metric.unit()),
            )
        };
        if values.is_empty() {
            let why = counting
                .iter()
                .find_map(|repeat| repeat.not_measured.get(id));
            let why = why.map_or_else(|| "no repeat has it".to_owned(), |why| inert::line(why));
            reasons.insert(
                metric.label(),
                format!("{} not measured, because {why}", metric.label()),
            );
        }
        cells.add_row([
            metric.label().to_owned(),
            share(0.5),
            share(0.0),
            share(1.0),
        ]);
    }
    let mut text = printed(cells);
    for reason in reasons.values() {
        text.push_str(&wrapped(reason));
    }
    let void = scenario.repeats.len() - counting.len();
    text.push_str(&format!(
        "   {} repeats, {void} of them void\n\n",
        scenario.repeats.len()
    ));
    text
}

/// The sentence on indented lines.
pub(super) fn wrapped(sentence: &str) -> String {
    let room = WIDTH - INDENT.len();
    let mut text = String::new();
    let mut line = String::new();
    for word in sentence.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            text.push_str(&format!("{INDENT}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&format!("{INDENT}{line}\n"));
    text
}

/// The whole line in the tone of its sign, where colour is wanted; the word says the same without it.
fn painted(sign: &Sign, line: &str, color: bool) -> String {
    match (color, sign.tone) {
        (true, "bad") => format!("\u{1b}[31m{line}\u{1b}[0m"),
        (true, "caution") => format!("\u{1b}[33m{line}\u{1b}[0m"),
        (true, "neutral") => format!("\u{1b}[36m{line}\u{1b}[0m"),
        (_, _) => line.to_owned(),
    }
}

fn paint(sign: &Sign, text: &str, color: bool) -> String {
    let bold = |code: &str| format!("\u{1b}[1;{code}m{text}\u{1b}[0m");
    match (color, sign.tone) {
        (true, "good") => bold("32"),
        (true, "bad") => bold("31"),
        (true, "caution") => bold("33"),
        (true, _) => bold("36"),
        (false, _) => text.to_owned(),
    }
}
