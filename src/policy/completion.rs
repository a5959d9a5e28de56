//! Completes a comparison: which files judged it, which of them the change edits, and who accepted its regressions.

use super::acceptance::{with_acceptance, without_acceptance};
use super::outcome::judged_again;
use crate::code::Code;
use crate::report::comparison::{Acceptance, Comparison, Verdict, Warning};
use crate::report::price::{BudgetEnd, VerdictPrice};

/// Which baseline, ledger and thresholds judged a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JudgedBy {
    /// Those of the work tree, which no pull request changes.
    #[default]
    WorkTree,
    /// Those of the change itself, which can edit them; a flag allows it.
    OwnFiles,
    /// Those of another commit.
    Base(Base),
}

/// The commit whose configuration, baseline, ledger and thresholds judge a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its name, as given.
    pub name: String,
    /// Its full object name.
    pub commit: String,
    /// Files that judge the change and that the change edits.
    pub touched: Vec<String>,
    /// What the change edits of the configuration of the measurement.
    pub edits: Vec<String>,
    /// Whether the commit has no configuration, so that the change's own was used.
    pub is_first: bool,
}

/// Facts about a comparison that its runs do not contain.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Which files judged it.
    pub judged_by: JudgedBy,
    /// The warning that copies of the accepted runs were used, because their bucket could not be reached.
    pub copies: Option<String>,
    /// Commits since the baseline's.
    pub commits_since: Option<u64>,
    /// The commit that the verdict is published on, where an event names it.
    pub head: Option<String>,
    /// What the evidence cost.
    pub price: Option<VerdictPrice>,
    /// The budget that ended before the evidence decided.
    pub budget: Option<BudgetEnd>,
}

/// Completes a comparison. Only an acceptance changes it after that ([`accept`]).
#[must_use]
pub fn complete(judged: Comparison, circumstances: Circumstances) -> Comparison {
    let mut comparison = judged;
    comparison.head = circumstances.head;
    comparison.baseline.commits_since = circumstances.commits_since;
    match circumstances.judged_by {
        JudgedBy::WorkTree => {}
        JudgedBy::OwnFiles => comparison.warnings.push(Warning::new(
            Code::JudgedByOwnFiles,
            "the change was judged by files that it can edit itself",
        )),
        JudgedBy::Base(base) => {
            comparison.warnings.extend(of_edits(&base));
            comparison.decision.baseline_ref = Some(base.name);
            comparison.decision.baseline_commit = Some(base.commit);
        }
    }
    let copies = circumstances.copies;
    let copies = copies.map(|sentence| Warning::new(Code::BaselineCopy, sentence));
    comparison.warnings.extend(copies);
    comparison.price = circumstances.price;
    match circumstances.budget {
        Some(end) => with_budget_end(comparison, end),
        None => comparison,
    }
}

/// An undecided comparison that may not pass, because more evidence would have cost more than its budget.
fn with_budget_end(comparison: Comparison, end: BudgetEnd) -> Comparison {
    if comparison.verdict != Verdict::Inconclusive {
        return comparison;
    }
    let mut ended = judged_again(Comparison {
        headline: format!("{}; the budget ended", comparison.headline),
        budget: Some(end),
        ..comparison
    });
    ended
        .warnings
        .retain(|warning| !warning.is(Code::PassedUndecided));
    let warning = Warning::new(Code::BudgetEnded, end.to_string());
    ended.warnings.insert(0, warning);
    ended
}

/// The comparison with this acceptance in place of an earlier one: a label may have been removed meanwhile.
#[must_use]
pub fn accept(comparison: Comparison, acceptance: Option<Acceptance>) -> Comparison {
    let comparison = without_acceptance(comparison);
    match acceptance {
        Some(acceptance) => with_acceptance(comparison, acceptance),
        None => comparison,
    }
}

/// Whether a change was judged by files that it can edit.
pub fn is_judged_by_own_files(comparison: &Comparison) -> bool {
    let mut warnings = comparison.warnings.iter();
    warnings.any(|warning| warning.is(Code::JudgedByOwnFiles))
}

/// Warnings about what the change edits: it takes effect when the change is merged.
fn of_edits(base: &Base) -> Vec<Warning> {
    let name = &base.name;
    let mut found = Vec::new();
    if !base.touched.is_empty() {
        let message = format!(
            "the change edits files that it is judged by ({}); the edits take effect when it is merged, and it was judged by the files of {name}",
            base.touched.join(", ")
        );
        found.push(Warning::new(Code::BarEdited, message));
    }
    if !base.edits.is_empty() {
        let message = format!(
            "the change edits what is measured ({}); the edits take effect when it is merged, and it was measured with the configuration of {name}",
            base.edits.join("; ")
        );
        found.push(Warning::new(Code::QuestionEdited, message));
    }
    if base.is_first {
        let message = format!(
            "{name} has no perfgate configuration, so the change was measured with its own"
        );
        found.push(Warning::new(Code::FirstConfiguration, message));
    }
    found
}
