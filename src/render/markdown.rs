//! For a pull request's comment and a step's summary.

use super::inert::markdown as inert;
use super::view::{MeasurementTable, Row, View};
use crate::policy::comparison::Comparison;

/// GitHub cuts comments at 65,536 characters; room is left for what a publisher adds.
const LONGEST: usize = 60_000;

/// Marker, verdict, identity, table, the rest folded.
pub fn comparison(comparison: &Comparison) -> String {
    let view = View::of(comparison);
    let head = head(&view);
    let tail = tail(&view);
    let room = LONGEST.saturating_sub(head.chars().count() + tail.chars().count());
    let (table, cut) = cut_rows(&view, room);
    let note = if cut == 0 {
        String::new()
    } else {
        format!("\n{cut} more rows are in the report.\n")
    };
    format!("{head}{table}{note}{tail}")
}

fn head(view: &View) -> String {
    let verdict = &view.verdict;
    format!(
        "<!-- perfgate:v1 key={} -->\n### {} perfgate: {}: {}\n\n{}\n\n{}\n\n",
        crate::config::safe_name(&view.name),
        verdict.icon,
        verdict.word,
        view.instruction,
        inert(&view.headline),
        inert(&view.identity),
    )
}

fn cut_rows(view: &View, room: usize) -> (String, usize) {
    if view.rows.is_empty() {
        return (String::new(), 0);
    }
    let (place, rule) = if view.several_scenarios {
        ("| scenario ", "|---")
    } else {
        ("", "")
    };
    let mut text = format!(
        "|  {place}| metric | baseline | candidate | worse by (95 % interval) | limit | verdict |\n\
         |---{rule}|---|---:|---:|---|---|---|\n"
    );
    // The worst rows first, so that what is cut is what matters least.
    let mut rows: Vec<&Row> = view.rows.iter().collect();
    rows.sort_by_key(|row| match row.sign.tone {
        "bad" => 0,
        "neutral" => 1,
        "caution" => 2,
        _ => 3,
    });
    for (index, row) in rows.iter().enumerate() {
        let line = table_row(row, view.several_scenarios);
        if text.chars().count() + line.chars().count() > room {
            return (text, rows.len() - index);
        }
        text.push_str(&line);
    }
    (text, 0)
}

fn table_row(row: &Row, named: bool) -> String {
    let place = if named {
        format!("| {} ", inert(&row.scenario))
    } else {
        String::new()
    };
    format!(
        "| {} {place}| {} | {} | {} | {} {} | {} | {} |\n",
        row.sign.icon,
        inert(row.metric),
        inert(&row.baseline),
        inert(&row.candidate),
        row.change,
        inert(&row.interval),
        inert(&row.limit),
        row.sign.word
    )
}

fn tail(view: &View) -> String {
    let mut text = String::new();
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&format!("\n**{title}**\n\n"));
            // A list as long as this is not read; the report has it all.
            for line in lines.iter().take(20) {
                text.push_str(&format!("- {line}\n"));
            }
        }
    };
    let pairs = |pairs: &[super::view::Pair]| {
        pairs
            .iter()
            .map(|pair| {
                format!(
                    "{}: {} → {}",
                    inert(&pair.what),
                    inert(&pair.baseline),
                    inert(&pair.candidate)
                )
            })
            .collect()
    };
    list("Must match and does not", pairs(&view.mismatches));
    list("Next", view.next.iter().map(|step| inert(step)).collect());
    list(
        "Warnings",
        view.warnings.iter().map(|warning| inert(warning)).collect(),
    );
    list("Changed", pairs(&view.changes));
    text.push_str("\n<details><summary>All figures</summary>\n\n");
    for table in view.measurements.iter().take(20) {
        text.push_str(&measurements(table));
    }
    text.push_str(
        "</details>\n\n<details><summary>Why each verdict, and how it was decided</summary>\n\n",
    );
    for row in view.rows.iter().take(50) {
        text.push_str(&format!(
            "- {} at {}: {}\n",
            inert(row.metric),
            inert(&row.scenario),
            inert(&row.reason)
        ));
    }
    for fact in &view.decision {
        text.push_str(&format!("- {}: {}\n", fact.name, inert(&fact.value)));
    }
    text.push_str("\n</details>\n");
    text
}

fn measurements(table: &MeasurementTable) -> String {
    let mut text = format!(
        "{}\n\n| figure | baseline | candidate | worse by |\n|---|---:|---:|---:|\n",
        inert(&table.scenario)
    );
    for row in &table.rows {
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            inert(row.metric),
            inert(&row.baseline),
            inert(&row.candidate),
            row.change
        ));
    }
    text.push('\n');
    text
}
