//! Shortens Markdown to GitHub's limits.

/// The note at the end of shortened text.
const NOTE: &str = "\nThe rest is in the report.\n";

/// Length in characters, as for comments.
pub(super) fn characters(text: &str) -> usize {
    text.chars().count()
}

/// Length in bytes, as for the summaries of steps and check runs.
pub(super) fn bytes(text: &str) -> usize {
    text.len()
}

/// The whole text if it fits; else the whole lines before the first folded part, with a note. Empty if the note does
/// not fit.
pub(super) fn to(markdown: &str, room: usize, measure: fn(&str) -> usize) -> String {
    if measure(markdown) <= room {
        return markdown.to_owned();
    }
    let Some(mut left) = room.checked_sub(measure(NOTE)) else {
        return String::new();
    };
    let unfolded = markdown.split("\n<details>").next().unwrap_or_default();
    let mut kept = String::new();
    for line in unfolded.split_inclusive('\n') {
        let length = measure(line);
        if length > left {
            break;
        }
        left -= length;
        kept.push_str(line);
    }
    kept.push_str(NOTE);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_kept_by_the_given_measure() {
        let text = format!("ää\n{}", "b\n".repeat(40));
        let room = NOTE.len() + 5;
        assert_eq!(to(&text, room, characters), format!("ää\nb\n{NOTE}"));
        assert_eq!(to(&text, room, bytes), format!("ää\n{NOTE}"));
        assert_eq!(to("aaaa\n", 5, bytes), "aaaa\n");
        assert_eq!(to(&text, 5, bytes), "");
    }

    #[test]
    fn every_folded_part_is_closed() {
        let text = format!("a\n<details>\n{}</details>\n", "b\n".repeat(99));
        assert_eq!(to(&text, 100, bytes), format!("a{NOTE}"));
    }
}
