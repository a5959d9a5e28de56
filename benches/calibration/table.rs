//! The raw figures of a calibration as CSV, and the table of the documents made from them.

use std::fmt::Write as _;

use perfgate::stats::number;

/// The first line of the CSV after its comments.
const COLUMNS: &str = "row,noise,gates,passed,blocked,undecided,starts";

/// One rule in one world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// The world and the rule in words.
    pub(crate) row: String,
    /// Noise of one start, as coefficient of variation.
    pub(crate) noise: f64,
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
        let Cell {
            row,
            noise,
            gates,
            passed,
            blocked,
            undecided,
            starts,
        } = cell;
        let _ = writeln!(
            text,
            "\"{row}\",{noise},{gates},{passed},{blocked},{undecided},{starts}"
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
        let (row, rest) = line.strip_prefix('"')?.split_once("\",")?;
        let mut columns = rest.split(',');
        let noise = columns.next()?.parse().ok()?;
        let mut count = || columns.next()?.parse().ok();
        Some(Cell {
            row: row.to_owned(),
            noise,
            gates: count()?,
            passed: count()?,
            blocked: count()?,
            undecided: count()?,
            starts: count()?,
        })
    };
    lines.map(cell).collect()
}

/// The Markdown table: a row for each world and rule, a column for each noise.
pub(crate) fn markdown(cells: &[Cell]) -> String {
    let mut noises: Vec<f64> = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    for cell in cells {
        if !noises.contains(&cell.noise) {
            noises.push(cell.noise);
        }
        if !rows.contains(&cell.row.as_str()) {
            rows.push(&cell.row);
        }
    }
    let mut text = String::from("| world and rule |");
    for (index, noise) in noises.iter().enumerate() {
        let unit = if index == 0 { " noise" } else { "" };
        let _ = write!(text, " {} %{unit} |", 100.0 * noise);
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(noises.len()));
    text.push('\n');
    for row in rows {
        let _ = write!(text, "| {row} |");
        for cell in cells.iter().filter(|cell| cell.row == row) {
            let share = |count: u64| 100.0 * number(count) / number(cell.gates);
            let _ = write!(
                text,
                " {:.1} / {:.1} / {:.1}, {:.1} |",
                share(cell.passed),
                share(cell.blocked),
                share(cell.undecided),
                number(cell.starts) / number(cell.gates)
            );
        }
        text.push('\n');
    }
    text
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
