//! Markdown that is longer than GitHub takes, cut where a reader loses least.

/// The note where something was cut off.
const NOTE: &str = "\nThe rest is in the report.\n";

/// Characters, as GitHub counts a comment.
pub(super) fn characters(text: &str) -> usize {
    text.chars().count()
}

/// Bytes, as GitHub counts a step's summary and a check run's.
pub(super) fn bytes(text: &str) -> usize {
    text.len()
}

/// As it is where it fits; else the part before the first folded one, in whole lines. Nothing where not even the note
/// fits that something is missing.
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
    fn whole_lines_are_kept_by_the_measure_that_counts() {
        let text = format!("ää\n{}", "b\n".repeat(40));
        let room = NOTE.len() + 5;
        assert_eq!(to(&text, room, characters), format!("ää\nb\n{NOTE}"));
        assert_eq!(to(&text, room, bytes), format!("ää\n{NOTE}"));
        assert_eq!(to("aaaa\n", 5, bytes), "aaaa\n");
        assert_eq!(to(&text, 5, bytes), "");
    }

    #[test]
    fn no_folded_part_is_left_open() {
        let text = format!("a\n<details>\n{}</details>\n", "b\n".repeat(99));
        assert_eq!(to(&text, 100, bytes), format!("a{NOTE}"));
    }
}
