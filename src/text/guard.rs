//! The filters of the guarded writers for everything written to stdout or stderr.
//!
//! Two risks: a terminal interprets control characters, and the runner of GitHub Actions interprets two kinds of commands in
//! every line: `::command …::` at its start, after blanks, and `##[command …]` anywhere. The runner compares text by the rules of
//! a culture, which skip characters without weight, so this module skips them too. Both kinds are always broken, not only on
//! Actions: in a container, perfgate may not know where its output goes.

use super::hidden::is_hidden;

/// The colours and weights that perfgate itself uses.
const OWN_CODES: [&str; 11] = ["0", "1", "2", "3", "4", "31", "32", "33", "34", "35", "36"];

/// Text for people: no control characters but the line feed, and no workflow command.
pub fn text(text: &str) -> String {
    without_commands(&without_control(text, false))
}

/// The same with the colours that perfgate uses, for text in which foreign words are already sanitized.
pub fn coloured(text: &str) -> String {
    without_commands(&without_control(text, true))
}

/// JSON keeps its value: unsafe characters are written as escapes. Non-ASCII characters and `#` occur only in strings, where
/// escapes are allowed.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut hashes = 0_usize;
    for c in text.chars() {
        let is_unseen = (c.is_control() && c != '\n') || is_hidden(c) || is_separator(c);
        if is_unseen || (c == '#' && hashes > 0) {
            escape(c, &mut safe);
        } else {
            safe.push(c);
        }
        if c == '#' {
            hashes += 1;
        } else if has_weight(c) || c.is_whitespace() {
            hashes = 0;
        }
    }
    safe
}

fn escape(c: char, into: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        into.push_str(&format!("\\u{unit:04x}"));
    }
}

/// Line and paragraph separators that are not control characters.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether text comparison never skips this character.
fn has_weight(c: char) -> bool {
    c.is_ascii_graphic() || c.is_alphanumeric()
}

fn without_control(text: &str, keep_colours: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\u{1b}' => match keep_colours.then(|| colour(rest)).flatten() {
                Some((colour, behind)) => {
                    clean.push_str(colour);
                    behind
                }
                None => after_escape(after),
            },
            // CSI and OSC in one character.
            '\u{9b}' => after_parameters(after),
            '\u{9d}' => after_title(after),
            '\n' => {
                clean.push('\n');
                after
            }
            // The runner ends a line at either of these two; together they are one line end.
            '\r' if after.starts_with('\n') => after,
            '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                clean.push(' ');
                after
            }
            c if c.is_control() || is_hidden(c) => after,
            c => {
                clean.push(c);
                after
            }
        };
    }
    clean
}

/// A sequence of these codes at the beginning, and the text after it.
fn colour(text: &str) -> Option<(&str, &str)> {
    let sequence = text.strip_prefix("\u{1b}[")?;
    // Only the sequence is read: a text of many ESC and no `m` would else be read to its end for each of them.
    let (codes, behind) = sequence.split_at(sequence.find(|c| !matches!(c, '0'..='9' | ';'))?);
    let behind = behind.strip_prefix('m')?;
    let is_own = |code| OWN_CODES.contains(&code);
    let end = text.len() - behind.len();
    codes.split(';').all(is_own).then(|| text.split_at(end))
}

/// The text after a sequence whose ESC was read.
fn after_escape(text: &str) -> &str {
    let mut characters = text.chars();
    match characters.next() {
        Some('[') => after_parameters(characters.as_str()),
        // OSC, DCS, SOS, PM and APC: text for the terminal itself.
        Some(']' | 'P' | 'X' | '^' | '_') => after_title(characters.as_str()),
        Some(c) if c.is_ascii_graphic() => characters.as_str(),
        Some(_) | None => text,
    }
}

/// The text after `31m`. Anything that is not a sequence is text.
fn after_parameters(text: &str) -> &str {
    let end = text.find(|c: char| !(' '..='?').contains(&c));
    match end {
        Some(end) if text[end..].starts_with(|c| ('@'..='~').contains(&c)) => &text[end + 1..],
        Some(_) | None => text,
    }
}

/// The text after `52;c;…` and its terminator, within its line: an unterminated sequence must not remove the following text.
fn after_title(text: &str) -> &str {
    let line = text.find('\n').unwrap_or(text.len());
    match text[..line].find(['\u{7}', '\u{1b}', '\u{9c}']) {
        Some(end) if text[end..].starts_with("\u{1b}\\") => &text[end + 2..],
        Some(end) if text[end..].starts_with('\u{1b}') => &text[end..],
        Some(end) => {
            let ending = text[end..].chars().next().map_or(0, char::len_utf8);
            &text[end + ending..]
        }
        None => text,
    }
}

/// Text without control characters, in which no line is a command: a blank separates the characters that begin one.
fn without_commands(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Colons at the start of the line, where nothing else with a weight has come before; hashes side by side anywhere.
    let (mut at_start, mut colons, mut hashes) = (true, 0_usize, 0_usize);
    let mut in_colour = false;
    for c in text.chars() {
        if c == '\n' {
            (at_start, colons, hashes, in_colour) = (true, 0, 0, false);
            safe.push(c);
            continue;
        }
        if in_colour || c == '\u{1b}' {
            in_colour = c != 'm';
            safe.push(c);
            continue;
        }
        if at_start && c == ':' {
            if colons == 1 {
                safe.push(' ');
            }
            colons += 1;
        } else if c == '[' && hashes >= 2 {
            safe.push(' ');
        }
        safe.push(c);
        // A blank already separates the first colon from the next one.
        at_start &= if colons == 0 {
            !has_weight(c)
        } else {
            colons == 1 && (c == ':' || !(has_weight(c) || c.is_whitespace()))
        };
        hashes = match c {
            '#' => hashes + 1,
            c if has_weight(c) || c.is_whitespace() => 0,
            _ => hashes,
        };
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The runner's two kinds of commands, matched as loosely as any of its comparisons.
    fn is_command(line: &str) -> bool {
        let weighty: String = line
            .chars()
            .filter(|c| has_weight(*c) || c.is_whitespace())
            .collect();
        weighty.trim_start().starts_with("::") || weighty.contains("##[")
    }

    #[test]
    fn no_command_of_the_runner_is_left() {
        for hostile in [
            "::error::x",
            " \t\u{3000}\u{a0}::set-output name=a::b",
            "\u{200b}:\u{fe0f}:add-mask::x",
            "a\r::stop-commands::x",
            "a\r\n::stop-commands::x",
            "a\u{2028}\u{85}::x::",
            "\u{1b}[31m::x::\u{1b}[0m",
            "words ##[error]x",
            "#\u{ad}#\u{fe0f}[set-env name=a]",
            "###[x]",
        ] {
            for shown in [text(hostile), coloured(hostile)] {
                let found = shown.split(['\n', '\r']).any(is_command);
                assert!(!found, "{hostile:?} became {shown:?}");
            }
        }
        assert_eq!(text("a ##[x]\n  ::b::c"), "a ## [x]\n  : :b::c");
        assert_eq!(text(": : x"), ": : x");
        assert_eq!(text("std::io, a::b ## c"), "std::io, a::b ## c");
    }

    #[test]
    fn control_characters_go_and_perfgates_own_colours_stay_where_they_are_wanted() {
        let hostile =
            "\u{1b}]52;c;ZWNobw==\u{7}a\u{1b}[2Jb\u{9b}31mc\u{202e}\u{200b}d\te\u{1b}(B\u{7f}";
        assert_eq!(text(hostile), "abcd eB");
        let red = "\u{1b}[31mred\u{1b}[0m \u{1b}[1;32mbold\u{1b}[0m";
        assert_eq!(coloured(red), red);
        assert_eq!(text(red), "red bold");
        assert_eq!(coloured("\u{1b}[8mhidden\u{1b}[1;5Hx"), "hiddenx");
        assert_eq!(text("\u{1b}]0;no end\nnext"), "0;no end\nnext");
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_command_or_a_sequence(parts in proptest::collection::vec(
            prop_oneof!["\\PC{0,3}", ".{0,2}", "[:#\\[\\] \r\n\t\u{1b}\u{9b}\u{200b}\u{fe0f}m;0-9]{0,6}"], 0..12)) {
            let hostile = parts.concat();
            let shown = text(&hostile);
            prop_assert!(!shown.split('\n').any(is_command), "{hostile:?} became {shown:?}");
            prop_assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || is_hidden(c)));
            let colour = coloured(&hostile);
            let is_foreign = |c: char| c.is_control() && !matches!(c, '\n' | '\u{1b}');
            prop_assert!(!colour.contains(is_foreign), "{:?}", colour);
            prop_assert_eq!(text(&shown), shown.clone());
        }

        #[test]
        fn json_keeps_its_value_and_shows_nothing_hidden(hostile in "(.|##\\[|#|::|\n|\u{9b}|\u{202e}|\u{e0041}|\u{fe0f}){0,20}") {
            let value = serde_json::json!({"name": hostile, &hostile: [hostile]});
            let written = serde_json::to_string_pretty(&value).unwrap();
            let shown = json(&written);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
            prop_assert!(!shown.split('\n').any(is_command), "{shown}");
            prop_assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || is_hidden(c)));
        }
    }
}
