//! Reasons, found beside the results and before they are looked at, why a repeat does not count or wants a word.

/// What is wrong, and what a reader should know. The first reason to void wins; every warning is kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Why the repeat does not count.
    pub void: Option<String>,
    /// What does not make it worthless.
    pub warnings: Vec<Warning>,
    /// The same of what nobody asked for: it is told, and no cause for alarm.
    pub notes: Vec<Warning>,
}

/// Something that a reader should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about, the same in every repeat; said once a run.
    pub about: String,
    /// A sentence.
    pub message: String,
}

impl Concerns {
    /// The repeat does not count.
    pub fn make_void(&mut self, reason: impl Into<String>) {
        self.void.get_or_insert_with(|| reason.into());
    }

    /// It counts, and its reader should know.
    pub fn warn(&mut self, about: &str, message: impl Into<String>) {
        add(&mut self.warnings, about, message.into());
    }

    /// It counts, and who looks for more than was asked for should know.
    pub fn note(&mut self, about: &str, message: impl Into<String>) {
        add(&mut self.notes, about, message.into());
    }

    /// Takes what another look found.
    pub fn take(&mut self, other: Self) {
        if let Some(reason) = other.void {
            self.make_void(reason);
        }
        for warning in other.warnings {
            self.warn(&warning.about, warning.message);
        }
        for note in other.notes {
            self.note(&note.about, note.message);
        }
    }
}

fn add(said: &mut Vec<Warning>, about: &str, message: String) {
    let about = about.to_owned();
    let new = Warning { about, message };
    if !said.contains(&new) {
        said.push(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_to_void_wins_and_a_warning_is_kept_once() {
        let mut concerns = Concerns::default();
        concerns.make_void("first");
        concerns.warn("a", "one");
        let mut other = Concerns::default();
        other.make_void("second");
        other.warn("a", "one");
        other.warn("b", "two");
        concerns.take(other);
        assert_eq!(concerns.void.as_deref(), Some("first"));
        let said: Vec<&str> = concerns
            .warnings
            .iter()
            .map(|warning| warning.message.as_str())
            .collect();
        assert_eq!(said, ["one", "two"]);
    }
}
