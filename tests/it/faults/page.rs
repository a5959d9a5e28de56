//! `docs/reference/faults.md` says what the tests see.

use super::interrupt::MOMENTS;
use super::{folder, server};

const PAGE: &str = include_str!("../../../docs/reference/faults.md");

fn kept(repeats: usize) -> &'static str {
    match repeats {
        0 => "–",
        1 => "repeat 1",
        _ => "repeats 1 and 2",
    }
}

/// The message, as a cell shows it.
fn message(pattern: &str) -> String {
    let shown = pattern
        .replace("error: ", "")
        .replace("server| ", "")
        .replace("…hint: ", "… ")
        .replace('`', "");
    shown.trim().to_owned()
}

/// The table of servers that fail.
fn servers() -> String {
    let mut table = "| the server … | when | exit code | message | in the result file |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for row in server::ROWS {
        table.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            row.what,
            row.when,
            row.code,
            message(row.says),
            kept(row.kept)
        ));
    }
    table
}

/// The table of places for the result.
fn folders() -> String {
    let mut table =
        "| what | exit code | message | in the result file |\n| --- | --- | --- | --- |\n"
            .to_owned();
    for row in folder::ROWS {
        table.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            row.what,
            row.code,
            message(row.says),
            kept(row.kept)
        ));
    }
    table
}

/// The table of interruptions.
fn interruptions() -> String {
    let mut table = "| when | in the result file |\n| --- | --- |\n".to_owned();
    for moment in MOMENTS {
        table.push_str(&format!("| {} | {} |\n", moment.when, kept(moment.kept)));
    }
    table
}

#[test]
fn the_page_contains_the_tables_of_the_tests() {
    for table in [servers(), folders(), interruptions()] {
        assert!(
            PAGE.contains(&table),
            "docs/reference/faults.md must have\n{table}"
        );
    }
}
