//! The raw figures of a calibration as CSV, the table of the documents made from them, and what is above its bound.

use std::fmt::Write as _;

use perfgate::stats::number;
use statrs::distribution::{Binomial, DiscreteCDF as _};

use super::scenarios::Scenario;

/// The first line of the CSV after its comments.
const COLUMNS: &str = "scenario,slower,gates,passed,blocked,undecided,starts";

/// Gates behind each expected figure.
const EXPECTED_GATES: f64 = 10_000.0;

/// A rate is above its bound where equal rates give as many gates with this probability: three standard errors, exact for rates near 0.
const THREE_STANDARD_ERRORS: f64 = 0.001_35;

/// The promises: an innocent change blocked, 2 % slower blocked, 8 % slower passed, in percent.
const PROMISES: [f64; 3] = [0.5, 2.5, 5.0];

/// One scenario at one effect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// The title of the scenario.
    pub(crate) scenario: String,
    /// How much slower the candidate is.
    pub(crate) slower: f64,
    pub(crate) gates: u64,
    pub(crate) passed: u64,
    pub(crate) blocked: u64,
    pub(crate) undecided: u64,
    /// Server starts of all gates together.
    pub(crate) starts: u64,
}

/// The cells as CSV; each line of `about` is a comment before them.
pub(crate) fn csv(about: &[String], cells: &[Cell]) -> String {
    let mut text = String::new();
    for line in about {
        let _ = writeln!(text, "# {line}");
    }
    let _ = writeln!(text, "{COLUMNS}");
    for cell in cells {
        let _ = writeln!(
            text,
            "\"{}\",{},{},{},{},{},{}",
            cell.scenario,
            cell.slower,
            cell.gates,
            cell.passed,
            cell.blocked,
            cell.undecided,
            cell.starts
        );
    }
    text
}

/// The cells of a CSV that [`csv`] wrote; `None` where it is not one.
pub(crate) fn parse(text: &str) -> Option<Vec<Cell>> {
    let mut lines = text.lines().skip_while(|line| line.starts_with('#'));
    if lines.next()? != COLUMNS {
        return None;
    }
    let cell = |line: &str| {
        let (scenario, rest) = line.strip_prefix('"')?.split_once("\",")?;
        let mut columns = rest.split(',');
        let slower = columns.next()?.parse().ok()?;
        let mut count = || columns.next()?.parse().ok();
        Some(Cell {
            scenario: scenario.to_owned(),
            slower,
            gates: count()?,
            passed: count()?,
            blocked: count()?,
            undecided: count()?,
            starts: count()?,
        })
    };
    lines.map(cell).collect()
}

/// What is counted of a cell.
type Counted = fn(&Cell) -> u64;

/// The columns of the table: what is counted, and at which effects.
const COUNTED: [(&str, Counted, &[f64]); 4] = [
    ("blocked at 0 / 2 %", |cell| cell.blocked, &[0.0, 0.02]),
    (
        "passed at 8 / 10 / 15 %",
        |cell| cell.passed,
        &[0.08, 0.10, 0.15],
    ),
    ("undecided at 0 / 8 %", |cell| cell.undecided, &[0.0, 0.08]),
    (
        "starts at 0 / 8 / 15 %",
        |cell| cell.starts,
        &[0.0, 0.08, 0.15],
    ),
];

/// A measured figure of a scenario, and the one that is expected.
struct Figure {
    what: String,
    value: f64,
    count: u64,
    gates: f64,
    expected: Option<f64>,
    /// Server starts are not a rate and have no bound.
    is_rate: bool,
}

impl Figure {
    /// Whether it is above the expected rate by more than chance explains.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of gates"
    )]
    fn is_above(&self) -> bool {
        let Some(expected) = self.expected.filter(|_| self.is_rate) else {
            return false;
        };
        let expected = (expected / 100.0 * EXPECTED_GATES).round() as u64;
        let share = self.gates / (self.gates + EXPECTED_GATES);
        let chance = Binomial::new(share, self.count + expected);
        let as_many = |chance: Binomial| chance.sf(self.count.saturating_sub(1));
        self.count > 0 && chance.is_ok_and(|chance| as_many(chance) < THREE_STANDARD_ERRORS)
    }
}

/// A rate in percent, or a number of server starts.
pub(crate) fn text(value: f64, is_rate: bool) -> String {
    if is_rate && value < 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

/// The figures of a scenario in the order of the columns.
fn figures(scenario: &Scenario, cells: &[Cell]) -> Vec<Vec<Figure>> {
    let expected = scenario.expected.as_ref();
    let expected = expected.map(|all| [&all.blocked, &all.passed, &all.undecided, &all.starts]);
    let at = |slower: f64| {
        let mut cells = cells.iter();
        cells.find(|cell| cell.scenario == scenario.title && same(cell.slower, slower))
    };
    let columns = COUNTED.iter().enumerate();
    let column = |(column, (what, counted, effects)): (usize, &(&str, Counted, &[f64]))| {
        let is_rate = column < 3;
        let figure = |(place, slower): (usize, &f64)| {
            let cell = at(*slower)?;
            let share = number(counted(cell)) / number(cell.gates);
            let name = what.split(' ').next().unwrap_or_default();
            Some(Figure {
                what: format!("{:.0} % slower {name}", 100.0 * slower),
                value: if is_rate { 100.0 * share } else { share },
                count: counted(cell),
                gates: number(cell.gates),
                expected: expected.and_then(|expected| expected[column].get(place).copied()),
                is_rate,
            })
        };
        effects.iter().enumerate().filter_map(figure).collect()
    };
    columns.map(column).collect()
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

/// The rates that are above their bounds, in words.
pub(crate) fn broken(scenarios: &[Scenario], cells: &[Cell]) -> Vec<String> {
    let mut broken = Vec::new();
    for scenario in scenarios {
        for figure in figures(scenario, cells).into_iter().flatten() {
            if figure.is_above() {
                broken.push(format!(
                    "{}: {} {:.2} %, expected {:.2} %",
                    scenario.title,
                    figure.what,
                    figure.value,
                    figure.expected.unwrap_or_default()
                ));
            }
        }
    }
    broken
}

/// Whether the rule itself does not hold its promises in this world.
fn is_limit(scenario: &Scenario) -> bool {
    scenario.expected.as_ref().is_some_and(|expected| {
        let rates = expected.blocked.iter().chain(expected.passed.first());
        rates.zip(PROMISES).any(|(rate, promise)| *rate > promise)
    })
}

/// The tables, one for each group: a row for each scenario that was measured. The expected figure is in parentheses; a rate above its
/// bound is bold, and a scenario in which the promises cannot be held has a dagger.
pub(crate) fn markdown(scenarios: &[Scenario], cells: &[Cell]) -> String {
    let (mut text, mut group) = (String::new(), "");
    for scenario in scenarios {
        let columns = figures(scenario, cells);
        if columns.iter().all(Vec::is_empty) {
            continue;
        }
        if scenario.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            group = &scenario.group;
            let _ = write!(text, "{gap}| {group} |");
            for (heading, _, _) in COUNTED {
                let _ = write!(text, " {heading} |");
            }
            let _ = writeln!(text, "\n| --- |{}", " --- |".repeat(COUNTED.len()));
        }
        let dagger = if is_limit(scenario) { " †" } else { "" };
        let _ = write!(text, "| {}{dagger} |", scenario.title);
        for column in columns {
            let _ = write!(text, " {} |", in_cell(&column));
        }
        text.push('\n');
    }
    text
}

fn in_cell(figures: &[Figure]) -> String {
    let measured = figures.iter().map(|figure| {
        let value = text(figure.value, figure.is_rate);
        if figure.is_above() {
            format!("**{value}**")
        } else {
            value
        }
    });
    let measured = measured.collect::<Vec<_>>().join(" / ");
    let expected = figures
        .iter()
        .map(|figure| Some(text(figure.expected?, figure.is_rate)));
    match expected.collect::<Option<Vec<_>>>() {
        Some(expected) => format!("{measured} ({})", expected.join(" / ")),
        None => measured,
    }
}

/// Where the table begins and ends in its page.
const MARKS: (&str, &str) = ("<!-- calibration:begin -->\n", "<!-- calibration:end -->");

/// The table in a page.
pub(crate) fn in_page(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(MARKS.0)?;
    rest.split_once(MARKS.1).map(|(table, _)| table)
}

/// The page with another table.
pub(crate) fn replaced(page: &str, table: &str) -> Option<String> {
    let old = in_page(page)?;
    Some(page.replacen(
        &format!("{}{old}", MARKS.0),
        &format!("{}{table}", MARKS.0),
        1,
    ))
}
