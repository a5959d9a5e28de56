//! Text in columns of a terminal: wide characters take two, combining ones none.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `columns` columns, with an ellipsis where it is cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (begin, _) = split(text, columns.saturating_sub(1));
    format!("{begin}…")
}

/// The sentence on lines with this indent, in at most `columns` columns; a word that is longer than a line is broken.
pub(super) fn wrapped(sentence: &str, indent: &str, columns: usize) -> String {
    let room = columns.saturating_sub(width(indent)).max(2);
    let mut text = String::new();
    let mut line = String::new();
    // A number stays with its percent sign.
    let glued = sentence.replace(" %", "\u{a0}%");
    let words = glued.split(|c: char| c.is_whitespace() && c != '\u{a0}');
    for mut word in words.filter(|word| !word.is_empty()) {
        let space = usize::from(!line.is_empty());
        if width(&line) + space + width(word) > room && !line.is_empty() {
            text.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        while width(word) > room {
            let (begin, rest) = split(word, room);
            text.push_str(&format!("{indent}{begin}\n"));
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&format!("{indent}{line}\n"));
    text.replace('\u{a0}', " ")
}

/// The part that fits into that many columns, and the rest. Characters without width stay with the character before them.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > columns && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_combining_ones_stay_with_theirs() {
        assert_eq!(cut("模型模型", 5), "模型…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(wrapped("模型 abc", "  ", 8), "  模型\n  abc\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(text in "(\\PC| |模|e\u{301}){0,80}", columns in 20_usize..120) {
            let text = crate::text::sanitize::line(&text);
            for line in wrapped(&text, "   ", columns).lines() {
                prop_assert!(width(line) <= columns, "{line:?}");
            }
            prop_assert!(width(&cut(&text, columns)) <= columns);
            let kept: String = wrapped(&text, "", columns).split_whitespace().collect();
            let all: String = text.split_whitespace().collect();
            prop_assert_eq!(kept, all);
        }
    }
}
