//! For a terminal: a table with the intervals drawn in characters, the verdict last with the next step.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::columns::{self, cut, width};
use super::drawing::{Drawing, LEAST, MOST};
use super::number::{self, or_dash};
use super::view::{AnalysisText, FigureTable, Row, Sign, View};
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
            text.push_str(&named(line, screen));
        }
    }
    text.push('\n');
    for pair in &view.changes {
        text.push_str(&wrapped(&format!(
            "changed: {}",
            pair.in_words(str::to_owned)
        )));
    }
    if !view.changes.is_empty() {
        text.push('\n');
    }
    text.push_str(&judgements(&view, screen));
    for table in &view.measurements {
        text.push('\n');
        text.push_str(&measurements(table, view.several_scenarios, screen));
    }
    let mut list = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            text.push_str(&format!("\n {}\n", cut(title, screen.columns() - 1)));
            text.extend(lines.iter().map(|line| wrapped(line)));
        }
    };
    let mismatches = view.mismatches_beside_headline();
    let mismatches = mismatches.map(|pair| pair.in_words(str::to_owned));
    list("must match, but differs", &mismatches.collect::<Vec<_>>());
    let source = |given: &AnalysisText| sanitize::line(&given.source);
    if let Some(given) = &view.analysis {
        let title = format!("analysis report ({})", source(given));
        list(&title, &given.lines);
    }
    if let Some(given) = &view.explanation {
        list(&format!("explanation ({})", source(given)), &given.lines);
    }
    if let Some(accepted) = &view.accepted {
        list(&format!("accepted {}", source(accepted)), &accepted.lines);
    }
    let warnings = view.warnings.iter();
    let warnings = warnings.map(|warning| warning.message.clone());
    list("warnings", &warnings.collect::<Vec<_>>());
    list("interim looks", &view.looks);
    text.push_str(&end(&view, screen));
    text
}

/// The verdict and the next steps, at the end, where a reader looks first.
fn end(view: &View, screen: Screen) -> String {
    let painted = |text: &str| painted(&view.verdict, text, "1;", screen.color);
    let (title, exit) = (view.title(), format!("(exit {})", view.exit_code));
    let mut text = if width(&title) + width(&exit) + 3 <= screen.columns() {
        format!("\n {}  {exit}\n", painted(&title))
    } else {
        format!("\n{}{INDENT}{exit}\n", painted(&named(&title, screen)))
    };
    text.push_str(&wrapped_on(&sanitize::line(&view.headline), screen));
    let lines = [
        ("where", &view.place),
        ("noise", &view.noise),
        ("price", &view.price),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(name, line)| Some((name, line.as_ref()?)));
    for (name, line) in lines.chain(view.next.iter().map(|step| ("next", step))) {
        let line = format!("{name}: {}", sanitize::line(line));
        text.push_str(&wrapped_on(&line, screen));
    }
    text
}

fn judgements(view: &View, screen: Screen) -> String {
    let mut lines = judgement_lines(view, screen).into_iter();
    let mut text: String = lines.next().map(|header| header + "\n").unwrap_or_default();
    let mut scenario = None;
    for (row, line) in view.rows.iter().zip(lines) {
        if view.several_scenarios && scenario != Some(&row.scenario) {
            scenario = Some(&row.scenario);
            text.push_str(&named(&row.scenario, screen));
        }
        // What holds needs no attention.
        let color = screen.color && row.sign.tone != "good";
        text.push_str(&painted(&row.sign, &line, "", color));
        text.push('\n');
        text.push_str(&wrapped_on(&sanitize::line(&row.detail()), screen));
    }
    text
}

/// A header and a line for every judgement: with drawings if there is room, else without, and in words on a very narrow
/// terminal.
fn judgement_lines(view: &View, screen: Screen) -> Vec<String> {
    let table = |drawing: Option<Drawing>| {
        let mut header = ["metric", "baseline", "candidate", "worse by"]
            .map(str::to_owned)
            .to_vec();
        header.extend(drawing.map(Drawing::header));
        header.push("verdict".to_owned());
        let mut table = aligned(&header);
        for row in &view.rows {
            let figures = [&row.baseline, &row.candidate, &row.change];
            let mut cells = vec![row.metric];
            cells.extend(figures.map(String::as_str));
            let drawn = drawing.map(|drawing| row.chart.and_then(|chart| drawing.of(chart)));
            let drawn = drawn.map(Option::unwrap_or_default);
            cells.extend(drawn.as_deref());
            cells.push(row.sign.word);
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
            "{}: {}, {} → {}, change {}",
            row.metric, row.sign.word, row.baseline, row.candidate, row.change
        );
        named(&words, screen).trim_end().to_owned()
    };
    let header = std::iter::once(" metric: verdict".to_owned());
    header.chain(view.rows.iter().map(in_words)).collect()
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

fn measurements(table: &FigureTable, has_name: bool, screen: Screen) -> String {
    let mut text = String::new();
    if has_name {
        text.push_str(&named(&table.scenario, screen));
    }
    let mut cells = aligned(&["figure", "baseline", "candidate", "worse by"]);
    for row in &table.rows {
        cells.add_row([&row.figure, &row.baseline, &row.candidate, &row.change]);
    }
    let lines = printed(cells);
    if lines.iter().all(|line| width(line) <= screen.columns()) {
        text.extend(lines.iter().map(|line| format!("{line}\n")));
    } else {
        for row in &table.rows {
            let words = format!(
                "{}: {} → {}, change {}",
                row.figure, row.baseline, row.candidate, row.change
            );
            text.push_str(&named(&words, screen));
        }
    }
    for reason in &table.reasons {
        text.push_str(&wrapped_on(&sanitize::line(reason), screen));
    }
    text
}

/// The values of a run: the median over its repeats and their spread.
pub fn run(result: &ResultFile) -> String {
    result.scenarios.iter().map(run_scenario).collect()
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
        let [median, smallest, largest] = [0.5, 0.0, 1.0].map(|share| {
            or_dash(stats::quantile(&values, share), |value| {
                number::value(value, metric.unit())
            })
        });
        let label = metric.label();
        if values.is_empty() {
            let mut counting = counting.iter();
            let why = counting.find_map(|repeat| repeat.not_measured.get(metric.id()));
            let why = why.map_or("no repeat has a value", String::as_str);
            let reason = format!("{label} not measured: {}", sanitize::line(why));
            reasons.insert(label, reason);
        }
        cells.add_row([label, &median, &smallest, &largest]);
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

/// A name or another line with little indent; foreign text.
fn named(line: &str, screen: Screen) -> String {
    columns::wrapped(&sanitize::line(line), " ", screen.columns())
}

/// The text in the colour of its sign, if colour is wanted; the word has the same meaning without it.
fn painted(sign: &Sign, text: &str, style: &str, color: bool) -> String {
    let code = match sign.tone {
        "good" => "32",
        "bad" => "31",
        "caution" => "33",
        _ => "36",
    };
    if color {
        format!("\u{1b}[{style}{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
