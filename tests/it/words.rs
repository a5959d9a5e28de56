//! The words that people read outside HTML: the same in every renderer, for every verdict, at every width.

use std::io::Read as _;

use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, compare_runs};
use perfgate::render::view::View;
use perfgate::report::comparison::{Comparison, Verdict};
use perfgate::text::screen::Screen;
use perfgate::{record, render};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::support::{Ran, SMALL_RUN, command, result, run, write};

/// A good result with one metric of every repeat changed.
fn with(id: &str, factor: f64) -> String {
    let mut result: serde_json::Value =
        serde_json::from_str(&result(&[1.0, 1.004, 0.997])).unwrap();
    for repeat in result["scenarios"][0]["repeats"].as_array_mut().unwrap() {
        let value = repeat["metrics"][id].as_f64().unwrap();
        repeat["metrics"][id] = (value * factor).into();
    }
    result.to_string()
}

/// One comparison for every verdict.
fn verdicts() -> Vec<(&'static str, Comparison)> {
    let good = with("tpot.p95", 1.0);
    let candidates = [
        ("pass", good.clone()),
        ("warn", with("ttft.p95", 1.5)),
        ("report", with("gpu_memory.peak", 1.25)),
        ("block", with("tpot.p95", 1.3)),
        ("undecided and let pass", result(&[0.7, 1.0, 1.35])),
        ("undecided and stopped", result(&[0.8, 1.15, 1.5])),
        ("other hardware", good.replace("H100", "A100")),
        (
            "nothing measured",
            good.replace("\"throughput\"", "\"goodput\""),
        ),
    ];
    let base = record::parse("a.json", good.as_bytes()).unwrap();
    candidates
        .into_iter()
        .map(|(name, candidate)| {
            let candidate = record::parse("b.json", candidate.as_bytes()).unwrap();
            let labels = Labels {
                baseline: "a.json",
                candidate: "b.json",
                ..Labels::default()
            };
            let policy = Policy::standard();
            (name, compare_runs(&policy, &base, &candidate, labels))
        })
        .collect()
}

/// As a reader sees it: entities are characters, tags and line breaks are nothing.
fn as_seen(text: &str, markup: bool) -> String {
    let mut seen = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let entity = rest.strip_prefix('&').and_then(|name| name.split_once(';'));
        match (c, entity) {
            ('<', _) if markup => {
                rest = rest.split_once('>').map_or("", |(_, rest)| rest);
                seen.push(' ');
            }
            ('&', Some((name, after))) if markup && name.len() < 8 => {
                seen.push_str(&character(name));
                rest = after;
            }
            _ => {
                seen.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    let words: Vec<&str> = seen.split_whitespace().collect();
    words.join(" ")
}

fn character(name: &str) -> String {
    let number = if let Some(number) = name.strip_prefix('#') {
        match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        }
    } else {
        let named = [
            ("amp", '&'),
            ("lt", '<'),
            ("gt", '>'),
            ("quot", '"'),
            ("apos", '\''),
        ];
        let found = named.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, c)| u32::from(c))
    };
    match number {
        Some(0x200B) => String::new(),
        Some(number) => char::from_u32(number).unwrap().to_string(),
        None => panic!("no entity is called `{name}`"),
    }
}

#[test]
fn every_renderer_uses_the_same_words_for_every_verdict() {
    let comparisons = verdicts();
    let all: Vec<Verdict> = comparisons.iter().map(|(_, found)| found.verdict).collect();
    for verdict in [
        Verdict::Pass,
        Verdict::Warn,
        Verdict::Inconclusive,
        Verdict::Report,
        Verdict::Block,
        Verdict::Incomparable,
    ] {
        assert!(all.contains(&verdict), "{verdict:?}");
    }
    for (name, comparison) in &comparisons {
        let view = View::of(comparison);
        let rendered = [
            (
                "terminal",
                as_seen(
                    &render::terminal::comparison(comparison, Screen::NONE),
                    false,
                ),
            ),
            (
                "html",
                as_seen(&render::html::report(comparison).unwrap(), true),
            ),
            (
                "markdown",
                as_seen(&render::markdown::comparison(comparison, None), true),
            ),
            ("junit", as_seen(&junit_text(comparison), true)),
        ];
        let json: serde_json::Value = serde_json::from_str(&comparison.json()).unwrap();
        assert_eq!(json["headline"], view.headline.as_str());
        for (renderer, text) in &rendered {
            let says = |words: &str| {
                let words = as_seen(words, false);
                assert!(
                    text.contains(&words),
                    "{name}: {renderer} says no `{words}`:\n{text}"
                );
            };
            says(&view.headline.replace('`', backtick(renderer)));
            says(&view.title());
            for row in &view.rows {
                says(row.metric);
                says(&row.change);
                says(&row.interval);
                says(&row.limit);
                says(row.sign.word);
                for value in [&row.baseline, &row.candidate] {
                    // What is no value stands beside the table.
                    if value.chars().count() <= 12 {
                        says(value);
                    }
                }
            }
            // A test report is no page that asks anybody for anything.
            if *renderer != "junit" {
                view.next
                    .iter()
                    .for_each(|step| says(&step.replace('`', backtick(renderer))));
                view.warnings
                    .iter()
                    .for_each(|warning| says(&warning.message.replace('`', backtick(renderer))));
            }
        }
    }
}

/// Where a command stands in code, its backticks are gone and a space is where a tag was.
fn backtick(renderer: &str) -> &'static str {
    match renderer {
        "markdown" | "html" => " ",
        _ => "`",
    }
}

#[test]
fn the_terminal_shows_every_verdict_within_its_columns() {
    let mut shown = String::new();
    for (name, comparison) in verdicts() {
        let text = render::terminal::comparison(&comparison, Screen::NONE);
        shown.push_str(&format!("=== {name}\n{text}\n"));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn no_width_breaks_the_terminals_lines_whatever_the_names() {
    let long = "模型/Meta-Llama-3.1-405B-Instruct-FP8-very-long-name-e\u{301}-".repeat(4);
    for (_, mut comparison) in verdicts() {
        comparison.candidate.model = Some(long.clone());
        comparison.baseline.commit = Some(long.clone());
        let mut more = comparison.judgements.clone();
        for row in &mut more {
            row.scenario = format!("input_tokens=100,{long}");
        }
        comparison.judgements.extend(more);
        for columns in [20, 40, 60, 79, 80, 100, 200] {
            let screen = Screen::NONE.wide(columns);
            let text = render::terminal::comparison(&comparison, screen);
            for line in text.lines() {
                let width = unicode_width::UnicodeWidthStr::width(line);
                assert!(width <= columns, "{width} of {columns}: {line}\n{text}");
            }
            assert!(
                as_seen(&text, false).contains(&as_seen(&View::of(&comparison).title(), false))
            );
        }
    }
}

fn junit_text(comparison: &Comparison) -> String {
    // Attributes are what is read of a test report, so they are text here.
    let xml = render::junit::report(comparison).unwrap();
    xml.replace("=\"", "> ")
        .replace("\" ", " <a ")
        .replace("\"/", " <a /")
        .replace("\">", " <a >")
}

/// Names of the elements and their attributes.
fn elements(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = Reader::from_str(xml);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) | Event::Empty(element) => {
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let name = attribute.key.as_ref().to_owned();
                    (name, as_seen(&attribute.value, true))
                });
                let attributes = attributes.collect();
                let name = element.name().as_ref().to_owned();
                found.push((name, attributes));
            }
            Event::Eof => return found,
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

#[test]
fn a_test_report_counts_what_was_judged() {
    for (name, comparison) in verdicts() {
        let xml = render::junit::report(&comparison).unwrap();
        let elements = elements(&xml);
        let count = |wanted: &str| elements.iter().filter(|(name, _)| name == wanted).count();
        let sum = |element: &str, attribute: &str| -> usize {
            let of = elements.iter().filter(|(name, _)| name == element);
            let values = of.flat_map(|(_, attributes)| attributes);
            let values = values.filter(|(name, _)| name == attribute);
            values
                .map(|(_, value)| value.parse::<usize>().unwrap())
                .sum()
        };
        let cases = comparison.judgements.len() + comparison.mismatches.len();
        assert_eq!(count("testcase"), cases, "{name}: {xml}");
        for suites in ["testsuites", "testsuite"] {
            assert_eq!(sum(suites, "tests"), cases, "{name}: {xml}");
            assert_eq!(sum(suites, "failures"), count("failure"), "{name}: {xml}");
        }
        assert_eq!(
            sum("testsuite", "skipped"),
            count("skipped"),
            "{name}: {xml}"
        );
        assert_eq!(
            count("failure") > 0,
            comparison.exit_code != 0,
            "{name}: {xml}"
        );
    }
}

#[test]
fn a_test_report_takes_any_text_that_others_wrote() {
    let hostile = "]]> <failure/> \" & \u{1}\u{b}\u{1b}[31m\u{FFFE}\n\u{85}";
    let (_, mut comparison) = verdicts().remove(3);
    for row in &mut comparison.judgements {
        row.scenario = hostile.to_owned();
        row.reason = hostile.to_owned();
    }
    comparison.name = Some(hostile.to_owned());
    let xml = render::junit::report(&comparison).unwrap();
    let forbidden = |c: char| (c.is_control() && c != '\n') || c == '\u{FFFE}';
    assert!(!xml.contains(forbidden), "{xml:?}");
    let elements = elements(&xml);
    assert_eq!(
        elements
            .iter()
            .filter(|(name, _)| name == "testcase")
            .count(),
        comparison.judgements.len()
    );
    // A block names its failure twice: of TPOT's rule alone, so one element.
    assert_eq!(
        elements
            .iter()
            .filter(|(name, _)| name == "failure")
            .count(),
        1
    );
}

const EXPLAINED: &str = "version: 1\nrules:\n  tpot.p95: {regression: 5%}\n  ttft.p95: {regression: 10%, action: warn, explain: true}\n";

const COMPARE: [&str; 5] = ["compare", "--baseline", "a.json", "--candidate", "b.json"];

/// A folder in which TTFT is slower and its author is asked why.
fn slower() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "thresholds.yaml", EXPLAINED);
    write(folder.path(), "a.json", &with("ttft.p95", 1.0));
    write(folder.path(), "b.json", &with("ttft.p95", 1.5));
    write(
        folder.path(),
        "why.md",
        "Chunked prefill trades the first token for all others.\n",
    );
    folder
}

#[test]
fn an_explanation_replaces_the_request_for_one_and_does_not_change_the_verdict() {
    let folder = slower();
    let at = folder.path();
    let asked = run(at, &COMPARE).expect(0).stdout;
    assert!(
        as_seen(&asked, false)
            .contains("TTFT P95 at concurrency=64 needs an explanation by the author"),
        "{asked}"
    );
    assert!(
        as_seen(&asked, false).contains("under the heading “perfgate explanation”"),
        "{asked}"
    );
    let files = [
        "--explanation",
        "why.md",
        "--markdown",
        "c.md",
        "--html",
        "r.html",
        "--junit",
        "j.xml",
    ];
    let answered = run(at, &[&COMPARE[..], &files].concat()).expect(0).stdout;
    insta::assert_snapshot!(answered);
    let read = |name: &str| std::fs::read_to_string(at.join(name)).unwrap();
    for name in ["c.md", "r.html"] {
        assert!(read(name).contains("trades the first token"), "{name}");
        assert!(read(name).contains("is explained by the author"), "{name}");
    }
    assert!(read("j.xml").contains("<testcase"));

    // Given afterwards, it says the same.
    let stored = run(at, &[&COMPARE[..], &["--format", "json"]].concat())
        .expect(0)
        .stdout;
    write(at, "comparison.json", &stored);
    let report = ["report", "comparison.json", "--explanation", "why.md"];
    assert_eq!(run(at, &report).expect(0).stdout, answered);

    write(at, "empty.md", "no\n");
    let refused = run(at, &[&COMPARE[..], &["--explanation", "empty.md"]].concat())
        .expect(2)
        .stderr;
    assert!(
        refused.contains("`empty.md` is not a valid explanation"),
        "{refused}"
    );
}

#[test]
fn the_pull_requests_text_can_carry_the_explanation() {
    let folder = slower();
    let at = folder.path();
    let body = "## Perfgate explanation\nChunked prefill trades the first token for all others.\n## Tests\nok\n";
    write(
        at,
        "event.json",
        &serde_json::json!({"pull_request": {"body": body}}).to_string(),
    );
    let mut command = command(at, &COMPARE);
    command.env("GITHUB_EVENT_PATH", at.join("event.json"));
    let ran = Ran::of(&command.output().unwrap()).expect(0);
    assert!(
        ran.stdout.contains("explanation (pull request)"),
        "{}",
        ran.stdout
    );
}

/// The commands for GitHub Actions that a run says.
fn commands(folder: &std::path::Path, arguments: &[&str], code: i32) -> String {
    let mut command = command(folder, arguments);
    command.env("GITHUB_ACTIONS", "true");
    let ran = Ran::of(&command.output().unwrap()).expect(code);
    assert!(!ran.stdout.contains("::"), "{}", ran.stdout);
    let lines: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    lines.join("\n")
}

#[test]
fn rules_that_do_not_hold_are_marked_at_their_lines() {
    let folder = slower();
    let at = folder.path();
    insta::assert_snapshot!(commands(at, &COMPARE, 0), @"::warning file=thresholds.yaml,line=4,title=perfgate%3A TTFT P95%3A warn::worse than the limit of 10.0 %25 (95 %25 interval +43.4 %25 to +56.9 %25)");
    write(at, "b.json", &with("tpot.p95", 1.3));
    insta::assert_snapshot!(commands(at, &COMPARE, 1), @"::error file=thresholds.yaml,line=3,title=perfgate%3A TPOT P95%3A block::worse than the limit of 5.0 %25 (95 %25 interval +24.3 %25 to +36.0 %25)");
    write(at, "b.json", &with("tpot.p95", 1.0).replace("H100", "A100"));
    insta::assert_snapshot!(commands(at, &COMPARE, 4), @"::error title=perfgate%3A NOT COMPARABLE%3A do not merge%3A nothing was compared::GPU: 1 × NVIDIA H100 80GB HBM3 in the baseline, 1 × NVIDIA A100 80GB HBM3 in the candidate");
    write(at, "b.json", &with("tpot.p95", 1.3));
    std::fs::remove_file(at.join("thresholds.yaml")).unwrap();
    insta::assert_snapshot!(commands(at, &COMPARE, 1), @"::error title=perfgate%3A TPOT P95%3A block::worse than the limit of 5.0 %25 (95 %25 interval +24.3 %25 to +36.0 %25)");
    let silent = run(at, &COMPARE).expect(1).stderr;
    assert!(!silent.contains("::"), "{silent}");
}

#[test]
fn problems_of_a_file_are_marked_at_their_lines_and_no_more_than_are_shown() {
    let folder = slower();
    let at = folder.path();
    write(
        at,
        "thresholds.yaml",
        "version: 1\nrules:\n  tpot.p59: {regression: 5%}\n  throughput: {regression: 0.05}\n",
    );
    insta::assert_snapshot!(commands(at, &COMPARE, 2), @"
    ::error file=thresholds.yaml,line=3,title=unknown-metric::unknown metric `tpot.p59`%0Athe nearest is `tpot.p50`
    ::error file=thresholds.yaml,line=4,title=invalid-value::`rules.throughput.regression`: `0.05` is a percentage without a unit%0Awrite `5%25`
    ");
    let keys: String = (0..40).map(|key| format!("k{key}: 1\n")).collect();
    write(at, "thresholds.yaml", &keys);
    let text = commands(at, &COMPARE, 2);
    assert!(text.lines().count() < 10, "{text}");
    assert!(text.contains("more problems"), "{text}");
}

#[test]
fn rules_beyond_the_limit_of_annotations_are_counted() {
    let folder = slower();
    let at = folder.path();
    let of = |factor: f64| {
        let mut result: serde_json::Value = serde_json::from_str(&result(&[factor; 3])).unwrap();
        let scenario = result["scenarios"][0].clone();
        for concurrency in 1..15 {
            let mut more = scenario.clone();
            more["name"] = format!("concurrency={concurrency}").into();
            result["scenarios"].as_array_mut().unwrap().push(more);
        }
        result.to_string()
    };
    write(at, "a.json", &of(1.0));
    write(at, "b.json", &of(1.5));
    let text = commands(at, &COMPARE, 1);
    for level in ["::error ", "::warning "] {
        let count = text.lines().filter(|line| line.starts_with(level)).count();
        assert!((1..10).contains(&count), "{text}");
    }
    assert!(text.contains("the report has 7 more rules"), "{text}");
}

#[test]
fn progress_is_plain_lines_on_stderr_where_there_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let bench = [
        &[
            "bench",
            "--simulator",
            "seed=1",
            "--repeat",
            "1",
            "--output",
            "r.json",
        ],
        &SMALL_RUN[..],
    ]
    .concat();
    let ran = run(folder.path(), &bench).expect(0);
    assert!(!ran.stderr.contains(['\r', '\u{1b}']), "{:?}", ran.stderr);
    assert!(
        ran.stderr
            .lines()
            .any(|line| line.ends_with("120/120 requests")),
        "{}",
        ran.stderr
    );
    assert!(!ran.stdout.contains("requests\n"), "{}", ran.stdout);
}

#[test]
fn a_bar_and_log_lines_do_not_mix_on_a_terminal() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let folder = tempfile::tempdir().unwrap();
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let size = rustix::termios::Winsize {
        ws_row: 24,
        ws_col: 200,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&terminal, size).unwrap();
    let other_end = std::fs::File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    // Everything that is logged comes while the bars are up.
    let bench = [
        &[
            "-vv",
            "bench",
            "--simulator",
            "seed=1",
            "--repeat",
            "2",
            "--output",
            "r.json",
        ],
        &SMALL_RUN[..],
    ]
    .concat();
    let mut child = command(folder.path(), &bench)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdout(std::process::Stdio::piped())
        .stderr(other_end)
        .spawn()
        .unwrap();
    let reading = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut terminal = std::fs::File::from(terminal);
        let mut piece = [0; 4096];
        // A terminal whose other end is closed ends with an error.
        while let Ok(count @ 1..) = terminal.read(&mut piece) {
            seen.extend_from_slice(&piece[..count]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    assert!(child.wait().unwrap().success());
    let seen = reading.join().unwrap();
    let lines: Vec<String> = seen.split(['\r', '\n']).map(without_controls).collect();
    assert!(lines.iter().any(|line| is_bar(line)), "{seen:?}");
    let logged =
        |line: &String| line.contains("TRACE") || line.contains("DEBUG") || line.contains("INFO");
    for line in &lines {
        assert!(!(is_bar(line) && logged(line)), "{line:?}");
    }
    assert!(!seen.contains("\u{1b}[3"), "no colour");
}

/// A bar of progress: `[====>   ] 40/120`.
fn is_bar(line: &str) -> bool {
    line.contains(" [") && line.contains("] ") && line.contains("/120 ")
}

/// The text without what moves the cursor.
fn without_controls(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(c);
        }
    }
    text
}
