//! The HTML and Markdown reports: self-contained, inert, and shown by a real browser.

use std::path::Path;
use std::process::Command;

use perfgate::code::Code;
use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, compare_runs};
use perfgate::report::comparison::Comparison;
use perfgate::{record, render};

use crate::support::result;

const HOSTILE: &str =
    "<script>alert(1)</script> | @team #1 `x` \u{202E}\u{1b}[31m ::error::x\n**b** {{ 7*7 }}";

/// A comparison in which every foreign text is an attack.
pub(crate) fn hostile() -> Comparison {
    let run = record::parse("a.json", result(&[1.0, 1.0, 1.0]).as_bytes()).unwrap();
    let slower = record::parse("b.json", result(&[1.2, 1.2, 1.2]).as_bytes()).unwrap();
    let labels = Labels {
        baseline: HOSTILE,
        candidate: HOSTILE,
        ..Labels::default()
    };
    let mut comparison = compare_runs(&Policy::standard(), &run, &slower, labels);
    let text = || Some(HOSTILE.to_owned());
    for side in [&mut comparison.baseline, &mut comparison.candidate] {
        side.model = text();
        side.host = text();
        side.server = text();
        side.commit = text();
    }
    for row in &mut comparison.judgements {
        row.scenario = HOSTILE.to_owned();
        row.reason = HOSTILE.to_owned();
        row.candidate.values[0].void = text();
    }
    comparison.headline = HOSTILE.to_owned();
    comparison.name = text();
    comparison
}

#[test]
fn foreign_text_is_escaped_in_every_report() {
    let comparison = hostile();
    let html = render::html::report(&comparison).unwrap();
    assert!(!html.contains("<script") && !html.contains('\u{202E}') && !html.contains('\u{1b}'));
    assert!(html.contains("{{ 7*7 }}") && !html.contains("49 "));
    let markdown = render::markdown::comparison(&comparison, None);
    assert!(
        !markdown.contains("<script") && !markdown.contains("@team") && !markdown.contains("#1 ")
    );
    assert!(!markdown.lines().any(|line| line.starts_with("::")));
    // Every row of a table has as many columns as its head.
    for table in markdown.split("\n\n").filter(|part| part.starts_with('|')) {
        let columns: Vec<usize> = table
            .lines()
            .map(|line| line.matches('|').count())
            .collect();
        assert!(columns.iter().all(|count| *count == columns[0]), "{table}");
    }
    let terminal = render::terminal::comparison(&comparison, perfgate::text::screen::Screen::NONE);
    assert!(!terminal.contains('\u{1b}') && !terminal.lines().any(|line| line.starts_with("::")));
}

#[test]
fn the_page_loads_nothing_from_a_network() {
    let html = render::html::report(&hostile()).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("src="));
    assert!(html.contains("default-src 'none'"));
    assert!(html.len() < 300_000, "{}", html.len());
}

#[test]
fn a_comment_stays_below_githubs_limit_and_reports_omitted_rows() {
    let mut comparison = hostile();
    let row = comparison.judgements[0].clone();
    // Every one of these characters takes six when it is made inert.
    let long = "|".repeat(5000);
    for side in [&mut comparison.baseline, &mut comparison.candidate] {
        side.model = Some(long.clone());
    }
    let warning = perfgate::report::comparison::Warning::new(Code::VoidRepeat, long.clone());
    comparison.warnings = vec![warning; 100];
    comparison.judgements = vec![row; 2000];
    for row in &mut comparison.judgements {
        row.reason.clone_from(&long);
        row.scenario.clone_from(&long);
    }
    let markdown = render::markdown::comparison(&comparison, None);
    assert!(markdown.chars().count() < 65_536);
    assert!(markdown.contains("more rows are in the report"));
    let count = |tag: &str| markdown.matches(tag).count();
    assert_eq!(count("<details>"), count("</details>"));
}

#[test]
fn a_comment_begins_with_verdict_and_interval() {
    let run = record::parse("a.json", result(&[1.0, 1.0, 1.0]).as_bytes()).unwrap();
    let slower = record::parse("b.json", result(&[1.2, 1.2, 1.2]).as_bytes()).unwrap();
    let labels = Labels {
        baseline: "a.json",
        candidate: "b.json",
        ..Labels::default()
    };
    let comparison = compare_runs(&Policy::standard(), &run, &slower, labels);
    insta::assert_snapshot!(render::markdown::comparison(&comparison, Some("taken")));
}

/// The document as Chromium has it after loading, and everything it complained about.
fn load_in_chromium(page: &Path, width: u32) -> Option<(String, String)> {
    let Some(chromium) = std::env::var_os("PERFGATE_TEST_CHROMIUM") else {
        eprintln!("skipped: PERFGATE_TEST_CHROMIUM is not set");
        return None;
    };
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
        ])
        .arg(format!("--window-size={width},2000"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success());
    Some((
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

#[test]
fn chromium_opens_the_report_without_console_messages() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let html = render::html::report(&hostile()).unwrap();
    perfgate::files::write_atomically(&page, html.as_bytes()).unwrap();
    let Some((document, console)) = load_in_chromium(&page, 1440) else {
        return;
    };
    assert!(document.contains("BLOCK: do not merge"), "{document}");
    assert!(!console.contains("CONSOLE"), "{console}");
}
