//! Reasons, determined without the results, why a repeat does not count or needs a warning.

/// Problems of a repeat. The first reason that voids it is kept; every warning is kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Why the repeat does not count.
    pub void: Option<String>,
    /// Warnings about a repeat that counts.
    pub warnings: Vec<Warning>,
    /// Notes: for information only.
    pub notes: Vec<Warning>,
}

/// A message for the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its topic, the same in every repeat; shown once per run.
    pub about: String,
    /// The sentence.
    pub message: String,
}

impl Concerns {
    /// The repeat does not count.
    pub fn make_void(&mut self, reason: impl Into<String>) {
        self.void.get_or_insert_with(|| reason.into());
    }

    /// The repeat counts, with a warning.
    pub fn warn(&mut self, about: &str, message: impl Into<String>) {
        add(&mut self.warnings, about, message.into());
    }

    /// The repeat counts, with a note for information.
    pub fn note(&mut self, about: &str, message: impl Into<String>) {
        add(&mut self.notes, about, message.into());
    }

    /// Adds the findings of another check.
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

fn add(list: &mut Vec<Warning>, about: &str, message: String) {
    let about = about.to_owned();
    let new = Warning { about, message };
    if !list.contains(&new) {
        list.push(new);
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
        let list: Vec<&str> = concerns
            .warnings
            .iter()
            .map(|warning| warning.message.as_str())
            .collect();
        assert_eq!(list, ["one", "two"]);
    }
}
