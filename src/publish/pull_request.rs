//! Sections for perfgate in a pull request's text. The text is untrusted: data, never instructions.

use super::payload::Event;

/// The heading of the reason for accepting a regression.
const ACCEPTED: &str = "perfgate accepted";

/// Beginning of a line with such a reason.
const ACCEPT: &str = "perf-accept:";

/// The text of the pull request in an event; `None` for other events and if the text is empty.
pub fn text_of_event(event: Event) -> Option<String> {
    let text = event.pull_request?.body?;
    (!text.trim().is_empty()).then_some(text)
}

/// The reason to accept a regression: the section `perfgate accepted`, or else the last line `perf-accept: REASON` outside
/// of code and HTML comments.
pub fn acceptance_reason(text: &str) -> Option<String> {
    section(text, ACCEPTED).or_else(|| accept_line(text))
}

/// The reason in the last line `perf-accept: REASON`.
pub fn accept_line(text: &str) -> Option<String> {
    let text = without_comments(text);
    let reason = |(line, in_code): (&str, bool)| {
        let (begin, reason) = line.trim().split_at_checked(ACCEPT.len())?;
        let is_one = !in_code && begin.eq_ignore_ascii_case(ACCEPT);
        is_one.then(|| reason.trim().to_owned())
    };
    let last = lines(&text).filter_map(reason).last();
    last.filter(|reason| !reason.is_empty())
}

/// The lines of a text, each with whether it is of a code block.
fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut fence: Option<&str> = None;
    text.lines().map(move |line| {
        let begins_with = |mark: &&str| line.trim().starts_with(mark);
        let was_open = fence.is_some();
        fence = match fence {
            Some(open) => Some(open).filter(|open| !begins_with(open)),
            None => ["```", "~~~"].into_iter().find(begins_with),
        };
        (line, was_open || fence.is_some())
    })
}

/// The section of a heading, in any case and at any level, up to the next heading of the same or a higher level, without
/// HTML comments (from templates).
pub fn section(text: &str, wanted: &str) -> Option<String> {
    let mut section: Option<(usize, Vec<&str>)> = None;
    for (line, in_code) in lines(text) {
        let heading = heading(line.trim()).filter(|_| !in_code);
        match (&mut section, heading) {
            (Some((within, _)), Some((level, _))) if level <= *within => break,
            (Some((_, lines)), _) => lines.push(line),
            (None, Some((level, title))) if title.eq_ignore_ascii_case(wanted) => {
                section = Some((level, Vec::new()));
            }
            (None, _) => {}
        }
    }
    let (_, lines) = section?;
    let kept = without_comments(&lines.join("\n"));
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Level and title of `## Title ##`.
fn heading(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    let is_heading = (1..=6).contains(&level) && title.starts_with([' ', '\t']);
    let title = title.trim().trim_end_matches('#').trim_end_matches(':');
    is_heading.then_some((level, title.trim()))
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("<!--") {
        kept.push_str(&rest[..begin]);
        match rest[begin..].find("-->") {
            Some(end) => rest = &rest[begin + end + 3..],
            None => return kept,
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_section_ends_at_the_next_heading_of_its_level() {
        let text = "Intro\n## Perfgate analysis\nThe draft model takes 6 GiB.\n### Why\n```\n# no heading\n```\n## Other\nno";
        insta::assert_snapshot!(section(text, "perfgate analysis").unwrap(), @r"
        The draft model takes 6 GiB.
        ### Why
        ```
        # no heading
        ```
        ");
    }

    #[test]
    fn an_unfilled_template_is_not_an_analysis() {
        assert_eq!(
            section(
                "## perfgate analysis\n<!-- explain here -->\n\n## Next\ntext",
                "perfgate analysis"
            ),
            None
        );
        assert_eq!(section("no such heading", "perfgate analysis"), None);
        assert_eq!(
            section("#perfgate analysis\ntext", "perfgate analysis"),
            None
        );
    }

    #[test]
    fn analysis_and_explanation_can_be_combined() {
        let text = "## perfgate explanation\nslower\n## perfgate analysis\nbigger\n";
        assert_eq!(
            section(text, "perfgate explanation").as_deref(),
            Some("slower")
        );
        assert_eq!(
            section(text, "perfgate analysis").as_deref(),
            Some("bigger")
        );
    }

    #[test]
    fn an_event_of_something_else_has_no_text() {
        let text = |event: &str| text_of_event(Event::parse(event.as_bytes()).unwrap());
        let body = text(r#"{"pull_request": {"body": "x"}}"#);
        assert_eq!(body.as_deref(), Some("x"));
        assert_eq!(text(r#"{"pull_request": {"body": null}}"#), None);
        assert_eq!(text(r#"{"pull_request": {"body": " "}}"#), None);
        assert_eq!(text(r#"{"ref": "refs/heads/main"}"#), None);
    }

    #[test]
    fn a_reason_is_a_section_or_a_line() {
        let reason = |text: &str| acceptance_reason(text).unwrap_or_default();
        assert_eq!(
            reason("Intro\n## Perfgate accepted\nThe new tokenizer is worth it.\n## Tests"),
            "The new tokenizer is worth it."
        );
        assert_eq!(reason("x\nPerf-Accept:  worth it \ny"), "worth it");
        assert_eq!(reason("perf-accept: a\nperf-accept: b"), "b");
        // Examples in code and hidden text of templates do not count.
        assert_eq!(reason("```\nperf-accept: example\n```"), "");
        assert_eq!(reason("<!-- \nperf-accept: REASON\n-->"), "");
        assert_eq!(reason("say perf-accept: x"), "");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\PC|\n|#|<!--|-->|```| |perfgate analysis|perfgate explanation|perfgate accepted|perf-accept:){0,60}") {
            section(&text, "perfgate analysis");
            section(&text, "perfgate explanation");
            acceptance_reason(&text);
        }
    }
}
