//! For a pull request's comment and a step's summary: the verdict as an instruction, what it stands on in a few lines, the
//! rest folded.

use super::limited::{Limited, fold};
use super::view::{Fact, MeasurementTable, Pair, Row, View, WarningText};
use crate::report::comparison::Comparison;
use crate::text::sanitize::markdown as inert;

/// GitHub cuts comments at 65,536 characters; room is left for what a publisher adds.
const LONGEST: usize = 60_000;

/// What stays free for the lists below the table while the table is written.
const ROOM_FOR_LISTS: usize = 25_000;

/// Rows that are open; more are not read.
const OPEN_ROWS: usize = 15;

/// So few are all open.
const FEW_ROWS: usize = 8;

/// Warnings that are open.
const OPEN_WARNINGS: usize = 5;

/// A list as long as this is not read; the report has it all.
const LONGEST_LIST: usize = 20;

/// Marker, verdict, identity, table, the rest folded. `accept_label` takes a regression where this is read; none where there
/// is no pull request, or it counts for nothing.
pub fn comparison(comparison: &Comparison, accept_label: Option<&str>) -> String {
    let view = View::of(comparison).accepted_by(comparison, accept_label);
    let head = head(&view);
    let mut text = Limited::new(LONGEST.saturating_sub(head.chars().count()));
    table(&view, &mut text);
    lines(&view, &mut text);
    said_by_the_author(&view, &mut text);
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
        "" => inert(&view.sides),
        subject => format!("{}<br>{}", inert(subject), inert(&view.sides)),
    };
    let mut text = format!(
        "<!-- perfgate:v1 key={} -->\n### {} perfgate: {}\n\n**{}**\n\n{identity}\n\n",
        crate::config::safe_name(&view.name),
        view.verdict.icon,
        view.title(),
        inert(&view.headline),
    );
    // What differs comes before any number: it is where a reader looks for the cause.
    for (title, pairs) in [
        ("Must match and does not", &view.mismatches),
        ("Changed", &view.changes),
    ] {
        if !pairs.is_empty() {
            let pairs: Vec<String> = pairs.iter().take(LONGEST_LIST).map(pair).collect();
            text.push_str(&format!("**{title}:** {}\n\n", pairs.join("; ")));
        }
    }
    text
}

fn pair(pair: &Pair) -> String {
    let [what, baseline, candidate] =
        [&pair.what, &pair.baseline, &pair.candidate].map(|text| inert(text));
    Pair {
        what,
        baseline,
        candidate,
    }
    .in_words()
}

/// The judgements: open but for a run that passes, the worst first, so that what is cut is what matters least.
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
    // The lists below say what to do, so the table must not take all the room.
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
            "\n{} more rows are in the report.\n",
            limited.lines_cut
        ));
    }
    text.append(&limited);
}

/// How many of the rows are open, the worst first: what holds is of interest only where little else is there.
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
        format!("| {} ", inert(&row.scenario))
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

/// A value that stays on one line of its cell; a reason may be broken.
fn unbroken(value: &str) -> String {
    const LONGEST: usize = 30;
    let text = inert(value);
    if value.chars().count() <= LONGEST {
        text.replace(' ', "\u{a0}")
    } else {
        text
    }
}

/// What a reader needs who reads no further.
fn lines(view: &View, text: &mut Limited) {
    let mut line = |title: &str, sentence: Option<&String>| {
        if let Some(sentence) = sentence {
            text.push(&format!("\n**{title}:** {}\n", sentence_of(sentence)));
        }
    };
    line("Where", view.place.as_ref());
    line("Noise", view.noise.as_ref());
    match view.next.as_slice() {
        [] => {}
        [one] => line("Next", Some(one)),
        several => list("Next", several, text),
    }
    if let Some(accept) = &view.accept {
        text.push(&format!("\n**To accept it:** {}\n", sentence_of(accept)));
    }
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
        fold(&format!("{} more warnings", more.len()), text, |text| {
            for warning in more.iter().take(LONGEST_LIST) {
                text.push(&warning_line(warning));
            }
            if more.len() > LONGEST_LIST {
                text.cut = true;
            }
        });
    }
}

fn list(title: &str, sentences: &[String], text: &mut Limited) {
    if !sentences.is_empty() {
        text.push(&format!("\n**{title}**\n\n"));
        for sentence in sentences.iter().take(LONGEST_LIST) {
            text.push(&format!("- {}\n", sentence_of(sentence)));
        }
    }
}

/// A warning with its code, which leads to its explanation.
fn warning_line(warning: &WarningText) -> String {
    let code = inert(&warning.code);
    let code = match &warning.address {
        Some(address) => format!("[{code}]({address})"),
        None => code,
    };
    format!("- {} ({code})\n", sentence_of(&warning.message))
}

/// A sentence with what stands in backticks as code.
pub fn sentence_of(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return inert(sentence);
    }
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        // Foreign text may have backticks too: what stands between them is harmless either way.
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
            inert(part),
            if part.trim().is_empty() {
                ""
            } else {
                space(after)
            }
        ));
    }
    text
}

fn said_by_the_author(view: &View, text: &mut Limited) {
    if let Some(accepted) = &view.accepted {
        text.push(&format!("\n**Accepted {}**\n\n", inert(&accepted.source)));
        for line in &accepted.lines {
            text.push(&format!("> {}\n", inert(line)));
        }
    }
    for (title, said) in [
        ("Analysis report", &view.analysis),
        ("Explanation", &view.explanation),
    ] {
        let Some(said) = said else { continue };
        let title = format!("{title} ({})", inert(&said.source));
        fold(&title, text, |text| {
            for line in &said.lines {
                text.push(&format!("> {}\n", inert(line)));
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
                .map(|place| format!(" ({})", inert(place)));
            text.push(&format!(
                "- {} at {}{}: {}\n",
                inert(row.metric),
                inert(&row.scenario),
                place.unwrap_or_default(),
                inert(&row.reason)
            ));
        }
        text.push("\nHow it was decided:\n\n");
        for decided in &view.decision {
            text.push(&format!("- {}\n", fact(decided)));
        }
        for look in &view.looks {
            text.push(&format!("- look: {look}\n"));
        }
    });
    fold("How to reproduce", text, |text| {
        text.push(&format!("<pre>{}</pre>\n", inert(&view.reproduce)));
    });
}

fn fact(fact: &Fact) -> String {
    format!("{}: {}", fact.name, inert(&fact.value))
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
        inert(&row.title(several_scenarios)),
        inert(&row.repeats_in_words(0)),
        inert(&row.repeats_in_words(1)),
    ));
}

fn strata(view: &View, text: &mut Limited) {
    text.push(&format!("{}.\n\n", super::view::OF_STRATA));
    for part in &view.strata {
        let place = if view.several_scenarios {
            format!("{}: ", inert(&part.scenario))
        } else {
            String::new()
        };
        text.push(&format!(
            "- {place}{} of {} requests with {}: {}\n",
            inert(&part.latency),
            part.requests,
            inert(&part.requests_with),
            part.change
        ));
    }
}

fn measurements(table: &MeasurementTable, text: &mut Limited) {
    let mut rows = format!(
        "{}\n\n| figure | baseline | candidate | worse by |\n|---|---:|---:|---:|\n",
        inert(&table.scenario)
    );
    for row in &table.rows {
        rows.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            inert(row.metric),
            inert(&row.baseline),
            inert(&row.candidate),
            row.change
        ));
    }
    rows.push('\n');
    for reason in &table.reasons {
        rows.push_str(&format!("- {}\n", inert(reason)));
    }
    for row in &table.rows {
        if let Some(note) = &row.note {
            rows.push_str(&format!("- {} {}\n", inert(row.metric), inert(note)));
        }
    }
    text.push(&rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_warning_leads_to_its_explanation_and_foreign_codes_are_text() {
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
