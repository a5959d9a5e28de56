//! Text with a limited length.

/// Text that never exceeds a limit; it contains only whole lines.
pub(super) struct Limited {
    pub(super) text: String,
    /// Characters that are left.
    pub(super) room: usize,
    /// Whether something was left out.
    pub(super) cut: bool,
    /// How many lines were left out.
    pub(super) lines_cut: usize,
}

impl Limited {
    pub(super) fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            room,
            cut: false,
            lines_cut: 0,
        }
    }

    pub(super) fn push(&mut self, line: &str) {
        let length = line.chars().count();
        if length > self.room {
            self.cut = true;
            self.lines_cut += 1;
        } else {
            self.room -= length;
            self.text.push_str(line);
        }
    }

    /// Appends text that was written within this one's room.
    pub(super) fn append(&mut self, other: &Self) {
        self.room = self.room.saturating_sub(other.text.chars().count());
        self.text.push_str(&other.text);
        self.cut |= other.cut;
    }
}

/// A folded part. Room for its end is reserved, so that it is always closed.
pub(super) fn fold(title: &str, text: &mut Limited, fill: impl FnOnce(&mut Limited)) {
    const END: &str = "\n</details>\n";
    let begin = format!("\n<details><summary>{title}</summary>\n\n");
    if text.room < begin.chars().count() + END.len() {
        text.cut = true;
        return;
    }
    text.room -= END.len();
    text.push(&begin);
    fill(text);
    text.room += END.len();
    text.push(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_closed_however_little_room_there_is() {
        for room in 0..120 {
            let mut text = Limited::new(room);
            fold("More", &mut text, |text| {
                for _ in 0..9 {
                    text.push("a line\n");
                }
            });
            let count = |tag: &str| text.text.matches(tag).count();
            assert_eq!(count("<details>"), count("</details>"), "{}", text.text);
            assert!(text.text.chars().count() <= room);
            assert_eq!(text.cut, text.text.matches("a line").count() < 9);
        }
    }
}
