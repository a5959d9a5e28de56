//! One check of the machine: its finding, and the command that fixes the problem.

use serde::Serialize;

use crate::text::count::count as count_of;
use crate::text::sanitize;

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// Not needed here, or for information.
    Note,
    /// Measuring works, but noisier or with a risk.
    Warning,
    /// The plan cannot be measured here.
    Failure,
}

impl Level {
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "ok  ",
            Self::Note => "    ",
            Self::Warning => "WARN",
            Self::Failure => "FAIL",
        }
    }
}

/// One line of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// The subject: `container engine`.
    pub(crate) name: &'static str,
    /// Severity.
    pub(crate) level: Level,
    /// The finding; may contain text from other programs.
    pub(crate) finding: String,
    /// The fix, as a command if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Check {
    /// A check without a fix: it found no problem, or no command fixes it.
    pub(crate) fn new(name: &'static str, level: Level, finding: impl Into<String>) -> Self {
        Self {
            name,
            level,
            finding: finding.into(),
            remedy: None,
        }
    }

    pub(crate) fn good(name: &'static str, finding: impl Into<String>) -> Self {
        Self::new(name, Level::Good, finding)
    }

    /// A check that found a problem, with its fix.
    pub(crate) fn warning(
        name: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(name, Level::Warning, finding).with_remedy(remedy)
    }

    /// The same finding as a warning with its fix, if it is a problem.
    pub(crate) fn warn_if(self, is_problem: bool, remedy: impl Into<String>) -> Self {
        if is_problem {
            Self::warning(self.name, self.finding, remedy)
        } else {
            self
        }
    }

    /// Adds the fix.
    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// Checks of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    /// `machine`, `container engine`, `GPU`, `load generator`.
    pub(crate) name: &'static str,
    /// Its checks.
    pub(crate) checks: Vec<Check>,
}

/// The worst level of all checks.
pub(crate) fn worst(groups: &[Group]) -> Level {
    let all = groups.iter().flat_map(|group| &group.checks);
    all.map(|check| check.level).max().unwrap_or(Level::Good)
}

/// The output for the terminal.
pub(crate) fn page(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups.iter().filter(|group| !group.checks.is_empty()) {
        text.push_str(&format!("{}\n", group.name));
        for check in &group.checks {
            let mut lines = check.finding.lines().map(sanitize::line);
            text.push_str(&format!(
                "  {} {:<16} {}\n",
                check.level.sign(),
                check.name,
                lines.next().unwrap_or_default()
            ));
            for line in lines {
                text.push_str(&format!("       {:<16}   {line}\n", ""));
            }
            if let Some(remedy) = &check.remedy {
                text.push_str(&format!("       {:<16} → {}\n", "", sanitize::line(remedy)));
            }
        }
        text.push('\n');
    }
    let count = |level| {
        let all = groups.iter().flat_map(|group| &group.checks);
        all.filter(|check| check.level == level).count()
    };
    let (failures, warnings) = (count(Level::Failure), count(Level::Warning));
    text.push_str(&match worst(groups) {
        Level::Good | Level::Note => "This machine can measure.".to_owned(),
        Level::Warning => format!(
            "This machine can measure, with {} above.",
            count_of(warnings, "warning")
        ),
        Level::Failure => format!(
            "This machine cannot measure: {} above.",
            count_of(failures, "failure")
        ),
    });
    text
}
