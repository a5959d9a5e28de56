//! For a terminal: a table with the intervals drawn in characters, the verdict last with the next step.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::columns::{self, cut, width};
use super::drawing::{Drawing, LEAST, MOST};
use super::number;
use super::view::{AnalysisText, MeasurementTable, Pair, Row, Sign, View};
use crate::metric::{ALWAYS_SHOWN, Metric};
use crate::record::Failures;
use crate::record::format::{Repeat, ResultFile, Scenario};
use crate::report::comparison::Comparison;
use crate::stats;
use crate::text::count::count;
use crate::text::sanitize;
use crate::text::screen::Screen;

/// Columns of a scenario's name at the head of a table.
const LONGEST_NAME: usize = 32;

/// Indent of lines that belong to the line above.
const INDENT: &str = "   ";

/// The comparison.
pub fn comparison(comparison: &Comparison, screen: Screen) -> String {
    let view = View::of(comparison);
    let wrapped = |sentence: &str| wrapped_on(&sanitize::line(sentence), screen);
    let mut text = String::new();
    for line in [&view.subject, &view.sides] {
        if !line.is_empty() {
            text.push_str(&columns::wrapped(
                &sanitize::line(line),
                " ",
                screen.columns(),
            ));
        }
    }
    text.push('\n');
    let changed: Vec<String> = view.changes.iter().map(Pair::in_words).collect();
    for line in &changed {
        text.push_str(&wrapped(&format!("changed: {line}")));
    }
    if !changed.is_empty() {
        text.push('\n');
    }
    text.push_str(&judgements(&view, screen));
    for table in &view.measurements {
        text.push('\n');
        text.push_str(&measurements(table, view.several_scenarios, screen));
    }
    let list = |title: &str, lines: &[String], text: &mut String| {
        if !lines.is_empty() {
            text.push_str(&format!("\n {}\n", cut(title, screen.columns() - 1)));
            text.extend(lines.iter().map(|line| wrapped(line)));
        }
    };
    let mismatches: Vec<String> = view.mismatches.iter().map(Pair::in_words).collect();
    list("must match, but differs", &mismatches, &mut text);
    let mut given = |title: &str, given: &Option<AnalysisText>| {
        if let Some(given) = given {
            let title = format!("{title} ({})", sanitize::line(&given.source));
            list(&title, &given.lines, &mut text);
        }
    };
    given("analysis report", &view.analysis);
    given("explanation", &view.explanation);
    if let Some(accepted) = &view.accepted {
        let title = format!("accepted {}", sanitize::line(&accepted.source));
        list(&title, &accepted.lines, &mut text);
    }
    let warnings: Vec<String> = view
        .warnings
        .iter()
        .map(|warning| warning.message.clone())
        .collect();
    list("warnings", &warnings, &mut text);
    list("interim looks", &view.looks, &mut text);
    text.push_str(&end(&view, screen));
    text
}

/// The verdict and the next steps, at the end, where a reader looks first.
fn end(view: &View, screen: Screen) -> String {
    let sign = paint(&view.verdict, &view.title(), screen.color);
    let exit = format!("(exit {})", view.exit_code);
    let mut text = if width(&view.title()) + width(&exit) + 3 <= screen.columns() {
        format!("\n {sign}  {exit}\n")
    } else {
        let title = columns::wrapped(&view.title(), " ", screen.columns());
        format!(
            "\n{}{INDENT}{exit}\n",
            paint(&view.verdict, &title, screen.color)
        )
    };
    let headline = sanitize::line(&view.headline);
    text.push_str(&wrapped_on(&headline, screen));
    let lines = [("where", &view.place), ("noise", &view.noise)];
    let lines = lines
        .into_iter()
        .filter_map(|(name, line)| Some((name, line.as_ref()?)));
    for (name, line) in lines.chain(view.next.iter().map(|step| ("next", step))) {
        text.push_str(&wrapped_on(
            &format!("{name}: {}", sanitize::line(line)),
            screen,
        ));
    }
    text
}

fn judgements(view: &View, screen: Screen) -> String {
    let lines = judgement_lines(view, screen);
    let (header, lines) = lines
        .split_first()
        .map_or((None, &[][..]), |(header, lines)| (Some(header), lines));
    let mut text = header
        .map(|header| format!("{header}\n"))
        .unwrap_or_default();
    let mut scenario = None;
    for (row, line) in view.rows.iter().zip(lines) {
        if view.several_scenarios && scenario != Some(&row.scenario) {
            scenario = Some(&row.scenario);
            let name = sanitize::line(&row.scenario);
            text.push_str(&columns::wrapped(&name, " ", screen.columns()));
        }
        text.push_str(&painted(&row.sign, line, screen.color));
        text.push('\n');
        text.push_str(&wrapped_on(&sanitize::line(&row.detail()), screen));
    }
    text
}

/// A header and a line for every judgement: with drawings if there is room, else without, and in words on a very narrow
/// terminal.
fn judgement_lines(view: &View, screen: Screen) -> Vec<String> {
    let cells = |row: &Row| {
        [
            row.metric.to_owned(),
            row.baseline.clone(),
            row.candidate.clone(),
            row.change.clone(),
        ]
    };
    let table = |drawing: Option<Drawing>| {
        let mut header = ["metric", "baseline", "candidate", "worse by"]
            .map(str::to_owned)
            .to_vec();
        header.extend(drawing.map(Drawing::header));
        header.push("verdict".to_owned());
        let mut table = aligned(&header);
        for row in &view.rows {
            let mut cells = cells(row).to_vec();
            cells.extend(drawing.map(|drawing| {
                let drawn = row.chart.and_then(|chart| drawing.of(chart));
                drawn.unwrap_or_default()
            }));
            cells.push(row.sign.word.to_owned());
            table.add_row(cells);
        }
        printed(table)
    };
    let widest = |lines: &[String]| lines.iter().map(|line| width(line)).max().unwrap_or(0);
    let plain = table(None);
    // A column has a space on either side.
    let room = screen.columns().saturating_sub(widest(&plain) + 2);
    if room >= LEAST {
        return table(Some(Drawing::new(room.min(MOST))));
    }
    if widest(&plain) <= screen.columns() {
        return plain;
    }
    let in_words = |row: &Row| {
        let words = format!(
            "{}: {}, {} → {}, worse by {}",
            row.metric, row.sign.word, row.baseline, row.candidate, row.change
        );
        let lines = columns::wrapped(&words, " ", screen.columns());
        lines.trim_end().to_owned()
    };
    let header = " metric: verdict".to_owned();
    std::iter::once(header)
        .chain(view.rows.iter().map(in_words))
        .collect()
}

/// A table without lines, with these column heads.
pub(super) fn aligned<T: AsRef<str>>(header: &[T]) -> Table {
    let mut table = Table::new();
    let header = header.iter().map(AsRef::as_ref);
    table.load_style(presets::NOTHING).set_header(header);
    table
}

/// The lines of a table; the values in columns 1 to 3 are right-aligned.
pub(super) fn printed(mut table: Table) -> Vec<String> {
    for index in 1..=3 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn measurements(table: &MeasurementTable, named: bool, screen: Screen) -> String {
    let mut text = String::new();
    if named {
        let name = sanitize::line(&table.scenario);
        text.push_str(&columns::wrapped(&name, " ", screen.columns()));
    }
    let mut cells = aligned(&["figure", "baseline", "candidate", "worse by"]);
    for row in &table.rows {
        cells.add_row([
            row.metric.to_owned(),
            row.baseline.clone(),
            row.candidate.clone(),
            row.change.clone(),
        ]);
    }
    let lines = printed(cells);
    if lines.iter().all(|line| width(line) <= screen.columns()) {
        text.extend(lines.iter().map(|line| format!("{line}\n")));
    } else {
        for row in &table.rows {
            let words = format!(
                "{}: {} → {}, worse by {}",
                row.metric, row.baseline, row.candidate, row.change
            );
            text.push_str(&columns::wrapped(&words, " ", screen.columns()));
        }
    }
    for reason in &table.reasons {
        text.push_str(&wrapped_on(&sanitize::line(reason), screen));
    }
    text
}

/// The values of a run: the median over its repeats and their spread.
pub fn run(result: &ResultFile) -> String {
    let mut text = String::new();
    for scenario in &result.scenarios {
        text.push_str(&run_scenario(scenario));
    }
    text
}

fn run_scenario(scenario: &Scenario) -> String {
    let name = cut(&sanitize::line(&scenario.name), LONGEST_NAME);
    let mut cells = aligned(&[name.as_str(), "median", "smallest", "largest"]);
    let counting: Vec<&Repeat> = scenario
        .repeats
        .iter()
        .filter(|repeat| repeat.void.is_none())
        .collect();
    let mut reasons = BTreeMap::new();
    let beside = [Metric::E2E_P95, Metric::ERROR_RATE];
    for metric in ALWAYS_SHOWN.into_iter().chain(beside) {
        let values: Vec<f64> = counting
            .iter()
            .filter_map(|repeat| repeat.metric(metric))
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
                .find_map(|repeat| repeat.not_measured.get(metric.id()));
            let why = why.map_or_else(
                || "no repeat has a value".to_owned(),
                |why| sanitize::line(why),
            );
            reasons.insert(
                metric.label(),
                format!("{} not measured: {why}", metric.label()),
            );
        }
        cells.add_row([
            metric.label().to_owned(),
            share(0.5),
            share(0.0),
            share(1.0),
        ]);
    }
    let lines = printed(cells);
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    for reason in reasons.values() {
        text.push_str(&wrapped(reason));
    }
    if let Some(failed) = Failures::of(counting.iter().copied()).in_words() {
        text.push_str(&wrapped(&sanitize::line(&failed)));
    }
    let void = scenario.repeats.len() - counting.len();
    text.push_str(&format!(
        "   {}, {void} of them void\n\n",
        count(scenario.repeats.len(), "repeat")
    ));
    text
}

/// The sentence on indented lines of a terminal of the default width.
pub(super) fn wrapped(sentence: &str) -> String {
    wrapped_on(sentence, Screen::NONE)
}

fn wrapped_on(sentence: &str, screen: Screen) -> String {
    columns::wrapped(sentence, INDENT, screen.columns())
}

/// The whole line in the colour of its sign, if colour is wanted; the word has the same meaning without it.
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
