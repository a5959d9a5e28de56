//! Sanitizes foreign text: a model, a host, a branch or a log line must never become markup or a command.

use std::fmt::Write as _;

use super::hidden::is_hidden;

/// Longest piece of foreign text that is shown; no name is longer.
const LONGEST: usize = 300;

/// On one line, without control characters, terminal escapes and characters that change the direction of writing.
pub fn line(text: &str) -> String {
    let clean = long_line(text);
    let mut cut: String = clean.trim().chars().take(LONGEST).collect();
    if clean.trim().chars().count() > LONGEST {
        cut.push('…');
    }
    cut
}

/// The same without a limit of length, for text that a cut would break: a path, or many short pieces.
pub fn long_line(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => clean.push(' '),
            c if c.is_control() || is_hidden(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

/// As one word of a shell command that people copy.
pub fn shell(text: &str) -> String {
    // Not cut: a command with a cut path would act on another file.
    format!("'{}'", long_line(text).replace('\'', r"'\''"))
}

/// For HTML text and quoted attributes.
pub fn html(text: &str) -> String {
    escaped(&line(text))
}

/// For HTML, without a limit of length: for many short pieces.
pub fn long_html(text: &str) -> String {
    escaped(&long_line(text))
}

/// For XML text and attributes: also without the characters that XML 1.0 forbids.
pub fn xml(text: &str) -> String {
    html(text).replace(['\u{FFFE}', '\u{FFFF}'], "")
}

/// The same as [`html`] with commands between backticks in `<code>`, and no line break before a percent sign.
pub fn html_with_code(text: &str) -> String {
    let safe = html(&text.replace(" %", "\u{a0}%"));
    let parts: Vec<&str> = safe.split('`').collect();
    // A single backtick does not start a pair.
    if parts.len().is_multiple_of(2) {
        return safe;
    }
    let mut coded = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        if place.is_multiple_of(2) {
            coded.push_str(part);
        } else {
            let _ = write!(coded, "<code>{part}</code>");
        }
    }
    coded
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// For Markdown in a table cell or a sentence: every character that could be markup becomes a numeric entity, which Markdown
/// shows as the character; the beginning of a mention or a reference is followed by a zero-width space. A bare commit hash stays:
/// it links to a commit of this repository and notifies no one.
pub fn markdown(text: &str) -> String {
    let clean = line(text);
    let mut safe = String::new();
    for (at, c) in clean.char_indices() {
        let after = |word: &str| {
            let begin = at.checked_sub(word.len());
            let before = begin.and_then(|begin| clean.as_bytes().get(begin..at));
            before.is_some_and(|before| before.eq_ignore_ascii_case(word.as_bytes()))
        };
        let next = clean[at + c.len_utf8()..].chars().next();
        let acts = r"\`*_{}[]()#|<>~&@!:$".contains(c);
        // A bare address becomes a link in GitHub's Markdown; without colons, only `www.` does.
        if acts || (c == '.' && after("www")) {
            let _ = write!(safe, "&#{};", u32::from(c));
        } else {
            safe.push(c);
        }
        // GitHub searches the rendered page for mentions, mail addresses and references (`#1`, `owner/name#1`, `GH-1`); there an
        // entity is a character again.
        let refers = c == '-' && after("gh") && next.is_some_and(char::is_numeric);
        if matches!(c, '@' | '#') || refers {
            safe.push_str("&#8203;");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_removed() {
        assert_eq!(
            line("a\u{1b}[31mb\n::error::c\u{202E}d"),
            "a[31mb ::error::cd"
        );
        assert_eq!(line(&"x".repeat(400)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_file_name_cannot_leave_its_quotes() {
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("x'; rm y"), r"'x'\''; rm y'");
    }

    #[test]
    fn commands_are_code_and_a_number_stays_with_its_percent_sign() {
        assert_eq!(
            html_with_code("run `a <b>`: 5 %"),
            "run <code>a &lt;b&gt;</code>: 5\u{a0}%"
        );
        assert_eq!(html_with_code("a ` alone"), "a ` alone");
    }

    #[test]
    fn text_that_github_would_link_stays_text_and_looks_unchanged() {
        let linked = [
            "@acme/team",
            "#26",
            "GH-26",
            "gh-26",
            "g\u{AD}h-26",
            "acme/llm#26",
            "maya@a5c3785",
            "acme/llm@a5c3785",
            "https://github.com/acme/llm/issues/26",
            "WWW.evil.test",
            "mailto:maya@acme.test",
            "$x$",
        ];
        insta::assert_snapshot!(linked.map(markdown).join("\n"), @r"
        &#64;&#8203;acme/team
        &#35;&#8203;26
        GH-&#8203;26
        gh-&#8203;26
        gh-&#8203;26
        acme/llm&#35;&#8203;26
        maya&#64;&#8203;a5c3785
        acme/llm&#64;&#8203;a5c3785
        https&#58;//github.com/acme/llm/issues/26
        WWW&#46;evil.test
        mailto&#58;maya&#64;&#8203;acme.test
        &#36;x&#36;
        ");
        for text in [
            "high-quality",
            "www",
            "a.b",
            "H-26",
            "gpu-gh200-1",
            "a5c3785",
        ] {
            assert_eq!(markdown(text), text);
        }
    }

    /// Without entities, as a reader and GitHub's search for references see it.
    fn finished(markdown: &str) -> String {
        let mut parts = markdown.split("&#");
        let mut page = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once(';').unwrap();
            page.push(char::from_u32(number.parse().unwrap()).unwrap());
            page.push_str(rest);
        }
        page
    }

    /// Whether the page contains the word followed by a character that makes it a reference.
    fn refers(page: &str, word: &str, behind: fn(char) -> bool) -> bool {
        let page = page.to_ascii_lowercase();
        page.match_indices(word)
            .any(|(at, _)| page[at + word.len()..].starts_with(behind))
    }

    proptest! {
        #[test]
        fn no_text_makes_markup(text in "(\\PC|\n|<script>|@me|#1|\\||`|<!--|http://x|GH-1|gH-7|www.|WwW.|mailto:a@b.cc|a/b#1|me@a5c3785|\\$x\\$|\u{61C}|\u{AD}|\u{200B}|\u{202E}|\u{2066}|\u{206A}|\u{E0041}){0,20}") {
            let clean = long_line(&text);
            prop_assert!(!clean.contains(is_hidden), "{clean:?}");
            let escaped = html(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
            let coded = html_with_code(&text).replace("<code>", "").replace("</code>", "");
            prop_assert!(!coded.contains(['<', '>', '"', '\'']), "{coded}");
            let escaped = markdown(&text);
            prop_assert!(!escaped.contains(['<', '>', '|', '@', '`', '\n', '[', ':', '$']), "{escaped}");
            prop_assert!(!escaped.replace("&#", "").contains('#'), "{escaped}");
            prop_assert!(!escaped.to_ascii_lowercase().contains("www."), "{escaped}");
            let page = finished(&escaped);
            for word in ["@", "#"] {
                prop_assert!(!refers(&page, word, char::is_alphanumeric), "{page:?}");
            }
            prop_assert!(!refers(&page, "gh-", char::is_numeric), "{page:?}");
            prop_assert_eq!(page.replace('\u{200B}', ""), line(&text));
        }
    }
}
