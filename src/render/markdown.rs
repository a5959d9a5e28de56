//! For a pull request's comment and a step's summary.

use super::inert::markdown as inert;
use super::view::{MeasurementTable, Row, View};
use crate::policy::comparison::Comparison;

/// GitHub cuts comments at 65,536 characters; room is left for what a publisher adds.
const LONGEST: usize = 60_000;

/// What stays free for the lists below the table while the table is written.
const ROOM_FOR_LISTS: usize = 25_000;

/// Text that never grows beyond a limit: a line is in it whole or not at all.
struct Limited {
    text: String,
    room: usize,
    cut: bool,
}

impl Limited {
    fn push(&mut self, line: &str) {
        let length = line.chars().count();
        if length > self.room {
            self.cut = true;
        } else {
            self.room -= length;
            self.text.push_str(line);
        }
    }
}

/// Marker, verdict, identity, table, the rest folded.
pub fn comparison(comparison: &Comparison) -> String {
    let view = View::of(comparison);
    let head = head(&view) + &changed(&view);
    let room = LONGEST.saturating_sub(head.chars().count());
    let (table, cut) = cut_rows(&view, room.saturating_sub(ROOM_FOR_LISTS));
    let mut rest = Limited {
        text: String::new(),
        room: room.saturating_sub(table.chars().count()),
        cut: false,
    };
    if cut > 0 {
        rest.push(&format!("\n{cut} more rows are in the report.\n"));
    }
    lists(&view, &mut rest);
    if let Some(analysis) = &view.analysis {
        let title = format!("Analysis report ({})", super::inert::html(&analysis.source));
        fold(&title, &mut rest, |rest| {
            for line in &analysis.lines {
                rest.push(&format!("> {}\n", inert(line)));
            }
        });
    }
    if let Some(accepted) = &view.accepted {
        rest.push(&format!("\n**Accepted {}**\n\n", inert(&accepted.source)));
        for line in &accepted.lines {
            rest.push(&format!("> {}\n", inert(line)));
        }
    }
    fold("All figures", &mut rest, |rest| {
        for table in &view.measurements {
            measurements(table, rest);
        }
    });
    if !view.strata.is_empty() {
        fold("Where it became slower", &mut rest, |rest| {
            rest.push("Median change of the same requests in both runs; it explains and never decides.\n\n");
            for part in &view.strata {
                let place = if view.several_scenarios {
                    format!("{}: ", inert(&part.scenario))
                } else {
                    String::new()
                };
                rest.push(&format!(
                    "- {place}{} of {} requests with {}: {}\n",
                    part.latency, part.requests, part.requests_with, part.change
                ));
            }
        });
    }
    fold(
        "Why each verdict, and how it was decided",
        &mut rest,
        |rest| {
            for fact in &view.decision {
                rest.push(&format!("- {}: {}\n", fact.name, inert(&fact.value)));
            }
            for look in &view.looks {
                rest.push(&format!("- look: {look}\n"));
            }
            for row in &view.rows {
                rest.push(&format!(
                    "- {} at {}: {}\n",
                    inert(row.metric),
                    inert(&row.scenario),
                    inert(&row.reason)
                ));
            }
        },
    );
    let note = if rest.cut {
        "\nMore is in the report.\n"
    } else {
        ""
    };
    format!("{head}{table}{}{note}", rest.text)
}

/// A folded part. Its end is kept free, so that it is always closed.
fn fold(title: &str, rest: &mut Limited, fill: impl FnOnce(&mut Limited)) {
    const END: &str = "\n</details>\n";
    let begin = format!("\n<details><summary>{title}</summary>\n\n");
    if rest.room < begin.len() + END.len() {
        rest.cut = true;
        return;
    }
    rest.room -= END.len();
    rest.push(&begin);
    fill(rest);
    rest.room += END.len();
    rest.push(END);
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

/// What changed between the two runs, before any number: it is where a reader looks for the cause.
fn changed(view: &View) -> String {
    if view.changes.is_empty() {
        return String::new();
    }
    let words: Vec<String> = view
        .changes
        .iter()
        .take(20)
        .map(|pair| {
            let [what, baseline, candidate] =
                [&pair.what, &pair.baseline, &pair.candidate].map(|text| inert(text));
            format!("{what}: {baseline} → {candidate}")
        })
        .collect();
    format!("**Changed:** {}\n\n", words.join("; "))
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

fn lists(view: &View, rest: &mut Limited) {
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            rest.push(&format!("\n**{title}**\n\n"));
            // A list as long as this is not read; the report has it all.
            for line in lines.iter().take(20) {
                rest.push(&format!("- {line}\n"));
            }
        }
    };
    let pairs = |pairs: &[super::view::Pair]| {
        let words = pairs.iter().map(|pair| {
            let [what, baseline, candidate] =
                [&pair.what, &pair.baseline, &pair.candidate].map(|text| inert(text));
            format!("{what}: {baseline} → {candidate}")
        });
        words.collect()
    };
    let sentences = |lines: &[String]| lines.iter().map(|line| inert(line)).collect();
    list("Must match and does not", pairs(&view.mismatches));
    list("Next", sentences(&view.next));
    list("Warnings", sentences(&view.warnings));
}

fn measurements(table: &MeasurementTable, rest: &mut Limited) {
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
    for row in &table.rows {
        if let Some(note) = &row.note {
            text.push_str(&format!("- {} {}\n", inert(row.metric), inert(note)));
        }
    }
    rest.push(&text);
}
