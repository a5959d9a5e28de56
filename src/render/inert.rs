//! Foreign text made harmless: a model, a host, a branch or a log line must never become markup or a command.

use std::fmt::Write as _;

/// Longest piece of foreign text that is shown; more is no name.
const LONGEST: usize = 300;

/// On one line, without control characters, terminal escapes and characters that turn the direction of writing.
pub fn line(text: &str) -> String {
    let clean = long_line(text);
    let mut cut: String = clean.trim().chars().take(LONGEST).collect();
    if clean.trim().chars().count() > LONGEST {
        cut.push('…');
    }
    cut
}

/// The same of any length, for what a cut would break: a path, or many pieces each of which is short.
pub fn long_line(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => clean.push(' '),
            c if c.is_control() => {}
            '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}' => {}
            c => clean.push(c),
        }
    }
    clean
}

/// As one word of a shell's command line, for people who copy it.
pub fn shell(text: &str) -> String {
    format!("'{}'", line(text).replace('\'', r"'\''"))
}

/// For HTML text and quoted attributes.
pub fn html(text: &str) -> String {
    escaped(&line(text))
}

/// For HTML, of any length: of many pieces, each of which is short.
pub fn long_html(text: &str) -> String {
    escaped(&long_line(text))
}

/// The same with commands between backticks in `<code>`, and no line break before a percent sign.
pub fn html_with_code(text: &str) -> String {
    let safe = html(&text.replace(" %", "\u{a0}%"));
    let parts: Vec<&str> = safe.split('`').collect();
    // A single backtick is none of a pair.
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
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// For Markdown in a table cell or a sentence: everything that could be markup is a numeric entity, which Markdown shows as
/// the character and never acts on; what begins a mention or a reference is followed by a space of no width.
pub fn markdown(text: &str) -> String {
    let mut safe = String::new();
    for c in line(text).chars() {
        let acts = matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '('
                | ')'
                | '#'
                | '|'
                | '<'
                | '>'
                | '~'
                | '&'
                | '@'
                | '!'
                | ':'
        );
        if acts {
            let _ = write!(safe, "&#{};", u32::from(c));
            // GitHub looks for mentions and references in the finished page, where an entity is a character again.
            if matches!(c, '@' | '#') {
                safe.push_str("&#8203;");
            }
        } else {
            safe.push(c);
        }
    }
    // A bare `www.` or `http` becomes a link in GitHub's Markdown; with the colon gone only `www.` is left.
    safe.replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_and_directions_are_gone() {
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

    proptest! {
        #[test]
        fn no_text_makes_markup(text in "(\\PC|\n|<script>|@me|#1|\\||`|<!--|http://x){0,20}") {
            let escaped = html(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
            let coded = html_with_code(&text).replace("<code>", "").replace("</code>", "");
            prop_assert!(!coded.contains(['<', '>', '"', '\'']), "{coded}");
            let escaped = markdown(&text);
            prop_assert!(!escaped.contains(['<', '>', '|', '@', '`', '\n', '[']), "{escaped}");
            prop_assert!(!escaped.replace("&#", "").contains('#'), "{escaped}");
        }
    }
}
