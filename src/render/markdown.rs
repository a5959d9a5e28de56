//! For a pull request's comment and a step's summary: the verdict as an instruction, the numbers behind it in a few lines, the
//! rest folded.

use super::limited::{Limited, fold};
use super::view::{Fact, FigureTable, Row, View, WarningText};
use super::view_lines;
use crate::report::comparison::Comparison;
use crate::text::count::plural;
use crate::text::sanitize::markdown as sanitized;

/// GitHub cuts comments at 65,536 characters; the publisher adds text too.
const LONGEST: usize = 60_000;

/// Room reserved for the lists below the table.
const ROOM_FOR_LISTS: usize = 25_000;

/// The most rows that are not folded.
const OPEN_ROWS: usize = 15;

/// With at most this many rows, none is folded.
const FEW_ROWS: usize = 8;

/// The most warnings that are not folded.
const OPEN_WARNINGS: usize = 5;

/// The longest list; the report contains the whole list.
const LONGEST_LIST: usize = 20;

/// Marker, verdict, identity, table, the rest folded. `accept_label` accepts a regression; `None` without a pull request, or
/// where the label has no effect.
pub fn comparison(comparison: &Comparison, accept_label: Option<&str>) -> String {
    let view = View::of(comparison);
    let accept = accept_label.and_then(|label| view_lines::accept(comparison, label));
    let head = head(&view);
    let mut text = Limited::new(LONGEST.saturating_sub(head.chars().count()));
    table(&view, &mut text);
    lines(&view, accept.as_deref(), &mut text);
    texts_of_the_author(&view, &mut text);
    folded(&view, &mut text);
    let note = if text.cut {
        "\nMore is in the report.\n"
    } else {
        ""
    };
    format!("{head}{}{note}", text.text)
}

fn head(view: &View) -> String {
    let identity = match view.subject.as_str() {
        "" => sanitized(&view.sides),
        subject => format!("{}<br>{}", sanitized(subject), sanitized(&view.sides)),
    };
    let mut text = format!(
        "<!-- perfgate:v1 key={} -->\n### {} perfgate: {}\n\n**{}**\n\n{identity}\n\n",
        crate::text::name::safe_name(&view.name),
        view.verdict.icon,
        view.title(),
        sanitized(&view.headline),
    );
    // Mismatches come before any number, because they are the cause.
    for (title, pairs) in [
        (
            "Must match, but differs",
            view.mismatches_beside_headline().collect(),
        ),
        ("Changed", view.changes.iter().collect::<Vec<_>>()),
    ] {
        if !pairs.is_empty() {
            let pairs = pairs.iter().take(LONGEST_LIST);
            let pairs: Vec<String> = pairs.map(|pair| pair.in_words(sanitized)).collect();
            text.push_str(&format!("**{title}:** {}\n\n", pairs.join("; ")));
        }
    }
    text
}

/// The judgements, the worst first, so that the least important ones are cut; folded for a run that passes.
fn table(view: &View, text: &mut Limited) {
    if view.rows.is_empty() {
        return;
    }
    let mut rows: Vec<&Row> = view.rows.iter().collect();
    rows.sort_by_key(|row| match row.sign.tone {
        "bad" => 0,
        "neutral" => 1,
        "caution" => 2,
        _ => 3,
    });
    // The lists below contain the next steps, so the table must leave room for them.
    let mut limited = Limited::new(text.room.saturating_sub(ROOM_FOR_LISTS));
    let open = open_rows(view, &rows);
    if open > 0 {
        table_of(&rows[..open], view.several_scenarios, &mut limited);
    }
    if let Some(more) = rows.get(open..).filter(|more| !more.is_empty()) {
        let count = match (open, more.len()) {
            (0, 1) => "The rule".to_owned(),
            (0, all) => format!("All {all} rules"),
            (_, 1) => "One more rule".to_owned(),
            (_, more) => format!("{more} more rules"),
        };
        fold(&count, &mut limited, |limited| {
            table_of(more, view.several_scenarios, limited);
        });
    }
    if limited.lines_cut > 0 {
        limited.text.push_str(&format!(
            "\n{} more {} in the report.\n",
            limited.lines_cut,
            if limited.lines_cut == 1 {
                "row is"
            } else {
                "rows are"
            }
        ));
    }
    text.append(&limited);
}

/// How many rows are not folded, the worst first: rows that hold are shown only if there are few rows.
fn open_rows(view: &View, rows: &[&Row]) -> usize {
    if view.verdict.tone == "good" {
        return 0;
    }
    let holding = rows.iter().filter(|row| row.sign.tone == "good").count();
    if rows.len() <= FEW_ROWS {
        rows.len()
    } else {
        (rows.len() - holding).min(OPEN_ROWS)
    }
}

fn table_of(rows: &[&Row], several_scenarios: bool, text: &mut Limited) {
    let (place, rule) = if several_scenarios {
        ("| scenario ", "|---")
    } else {
        ("", "")
    };
    text.push(&format!(
        "|  {place}| metric | baseline | candidate | worse by (95 % interval) | limit | verdict |\n\
         |---{rule}|---|---:|---:|---|---|---|\n"
    ));
    for row in rows {
        text.push(&table_row(row, several_scenarios));
    }
}

fn table_row(row: &Row, named: bool) -> String {
    let place = if named {
        format!("| {} ", sanitized(&row.scenario))
    } else {
        String::new()
    };
    format!(
        "| {} {place}| {} | {} | {} | {} | {} | {} |\n",
        row.sign.icon,
        unbroken(row.metric),
        unbroken(&row.baseline),
        unbroken(&row.candidate),
        unbroken(format!("{} {}", row.change, row.interval).trim()),
        unbroken(&row.limit),
        unbroken(row.sign.word)
    )
}

/// A value that stays on one line of its cell.
fn unbroken(value: &str) -> String {
    const LONGEST: usize = 30;
    let text = sanitized(value);
    if value.chars().count() <= LONGEST {
        text.replace(' ', "\u{a0}")
    } else {
        text
    }
}

/// The lines for a reader who reads only the top.
fn lines(view: &View, accept: Option<&str>, text: &mut Limited) {
    let line = |title: &str, sentence: Option<&str>, text: &mut Limited| {
        if let Some(sentence) = sentence {
            text.push(&format!("\n**{title}:** {}\n", sentence_of(sentence)));
        }
    };
    line("Where", view.place.as_deref(), text);
    line("Noise", view.noise.as_deref(), text);
    line("Price", view.price.as_deref(), text);
    match &view.next[..] {
        [] => {}
        [one] => line("Next", Some(one), text),
        several => {
            text.push("\n**Next**\n\n");
            for step in several.iter().take(LONGEST_LIST) {
                text.push(&format!("- {}\n", sentence_of(step)));
            }
        }
    }
    line("To accept it", accept, text);
    let (open, more) = view
        .warnings
        .split_at(OPEN_WARNINGS.min(view.warnings.len()));
    if !open.is_empty() {
        text.push("\n**Warnings**\n\n");
        for warning in open {
            text.push(&warning_line(warning));
        }
    }
    if !more.is_empty() {
        let title = format!("{} more {}", more.len(), plural(more.len(), "warning"));
        fold(&title, text, |text| {
            for warning in more.iter().take(LONGEST_LIST) {
                text.push(&warning_line(warning));
            }
            if more.len() > LONGEST_LIST {
                text.cut = true;
            }
        });
    }
}

/// A warning with its code, which links to its explanation.
fn warning_line(warning: &WarningText) -> String {
    let code = sanitized(&warning.code);
    let code = match &warning.address {
        Some(address) => format!("[{code}]({address})"),
        None => code,
    };
    format!("- {} ({code})\n", sentence_of(&warning.message))
}

/// A sentence with the parts in backticks as code.
pub fn sentence_of(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return sanitized(sentence);
    }
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        // Foreign text may contain backticks too; the text between them is harmless either way.
        let (begin, end) = if index % 2 == 1 && !part.is_empty() {
            ("<code>", "</code>")
        } else {
            ("", "")
        };
        let spaces = part.len() - part.trim_start().len();
        let after = part.len() - part.trim_end().len();
        let space = |count: usize| if count > 0 { " " } else { "" };
        text.push_str(&format!(
            "{begin}{}{}{}{end}",
            space(spaces),
            sanitized(part),
            if part.trim().is_empty() {
                ""
            } else {
                space(after)
            }
        ));
    }
    text
}

fn texts_of_the_author(view: &View, text: &mut Limited) {
    if let Some(accepted) = &view.accepted {
        text.push(&format!(
            "\n**Accepted {}**\n\n",
            sanitized(&accepted.source)
        ));
        for line in &accepted.lines {
            text.push(&format!("> {}\n", sanitized(line)));
        }
    }
    for (title, given) in [
        ("Analysis report", &view.analysis),
        ("Explanation", &view.explanation),
    ] {
        let Some(given) = given else { continue };
        let title = format!("{title} ({})", sanitized(&given.source));
        fold(&title, text, |text| {
            for line in &given.lines {
                text.push(&format!("> {}\n", sanitized(line)));
            }
        });
    }
}

fn folded(view: &View, text: &mut Limited) {
    fold("All figures", text, |text| {
        for table in &view.measurements {
            measurements(table, text);
        }
    });
    if view.rows.iter().any(|row| !row.points.concat().is_empty()) {
        fold("Every repeat", text, |text| {
            for row in &view.rows {
                repeats(row, view.several_scenarios, text);
            }
        });
    }
    if !view.strata.is_empty() {
        fold("Where it became slower", text, |text| strata(view, text));
    }
    fold("The two runs", text, |text| {
        for (title, facts) in [
            ("Baseline", &view.baseline),
            ("Candidate", &view.candidate),
            ("Baseline, alternating", &view.ab_baseline),
            ("Candidate, alternating", &view.ab_candidate),
        ] {
            if !facts.is_empty() {
                let facts: Vec<String> = facts.iter().map(fact).collect();
                text.push(&format!("- {title}: {}\n", facts.join("; ")));
            }
        }
    });
    fold("Why each verdict, and how it was decided", text, |text| {
        for row in &view.rows {
            let place = row
                .place
                .as_ref()
                .map(|place| format!(" ({})", sanitized(place)));
            text.push(&format!(
                "- {} at {}{}: {}\n",
                sanitized(row.metric),
                sanitized(&row.scenario),
                place.unwrap_or_default(),
                sanitized(&row.reason)
            ));
        }
        text.push("\nHow it was decided:\n\n");
        for decided in &view.decision {
            text.push(&format!("- {}\n", fact(decided)));
        }
        for look in &view.looks {
            text.push(&format!("- interim look: {look}\n"));
        }
    });
    fold("How to reproduce", text, |text| {
        text.push(&format!("<pre>{}</pre>\n", sanitized(&view.reproduce)));
    });
}

fn fact(fact: &Fact) -> String {
    format!("{}: {}", fact.name, sanitized(&fact.value))
}

fn repeats(row: &Row, several_scenarios: bool, text: &mut Limited) {
    if row.points.concat().is_empty() {
        return;
    }
    let bars = match row.bars().as_str() {
        "" => String::new(),
        bars => format!(": {bars}"),
    };
    text.push(&format!(
        "- {}{bars}\n  - baseline: {}\n  - candidate: {}\n",
        sanitized(&row.title(several_scenarios)),
        sanitized(&row.repeats_in_words(0)),
        sanitized(&row.repeats_in_words(1)),
    ));
}

fn strata(view: &View, text: &mut Limited) {
    text.push(
        "Median change of the same requests in both runs; it explains and never decides.\n\n",
    );
    for part in &view.strata {
        let place = view
            .several_scenarios
            .then(|| sanitized(&part.scenario) + ": ");
        text.push(&format!(
            "- {}{} of {} requests with {}: {}\n",
            place.unwrap_or_default(),
            sanitized(&part.latency),
            part.requests,
            sanitized(&part.requests_with),
            part.change
        ));
    }
}

fn measurements(table: &FigureTable, text: &mut Limited) {
    let mut rows = format!(
        "{}\n\n| figure | baseline | candidate | worse by |\n|---|---:|---:|---:|\n",
        sanitized(&table.scenario)
    );
    for row in &table.rows {
        rows.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            sanitized(&row.figure),
            sanitized(&row.baseline),
            sanitized(&row.candidate),
            row.change
        ));
    }
    rows.push('\n');
    for reason in &table.reasons {
        rows.push_str(&format!("- {}\n", sanitized(reason)));
    }
    for row in &table.rows {
        if let Some(note) = &row.note {
            let (figure, note) = (sanitized(&row.figure), sanitized(note));
            rows.push_str(&format!("- {figure} {note}\n"));
        }
    }
    text.push(&rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_warning_links_to_its_explanation_and_foreign_codes_are_text() {
        let shown = |code: &str, address: Option<&str>| {
            warning_line(&WarningText {
                message: "run `a`".to_owned(),
                code: code.to_owned(),
                address: address.map(str::to_owned),
            })
        };
        assert_eq!(
            shown("first-run", Some("https://example.org/w#first-run")),
            "- run <code>a</code> ([first-run](https://example.org/w#first-run))\n"
        );
        assert_eq!(shown("@a", None), "- run <code>a</code> (&#64;&#8203;a)\n");
    }
}
