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

#[cfg(test)]
mod tests {
    use super::super::fixture::run_of;
    use super::super::rule::{OnInconclusive, Policy};
    use super::super::{Labels, compare_runs, parse_comparison};
    use super::*;
    use crate::record::Run;
    use crate::report::comparison::Analysis;
    use crate::report::price::{Budget, Price};

    fn run(tpot: [f64; 3]) -> Run {
        let repeat = |tpot: &f64| {
            format!(
                r#"{{"metrics": {{"tpot.p95": {tpot}, "throughput": 3000, "ttft.p95": 0.15, "gpu_memory.peak": 76e9}}}}"#
            )
        };
        run_of(&tpot.iter().map(repeat).collect::<Vec<_>>())
    }

    /// The comparison of a gate whose budget ended.
    fn ended(candidate: [f64; 3]) -> Comparison {
        let mut policy = Policy::standard();
        policy.noise.on_inconclusive = OnInconclusive::Pass;
        let baseline = run([0.0200, 0.0201, 0.0199]);
        let judged = compare_runs(&policy, &baseline, &run(candidate), Labels::default());
        let pair = Price {
            starts: 2,
            load: 60.0,
            ..Price::default()
        };
        let end = BudgetEnd {
            budget: Budget::Seconds(600.0),
            spent: Price::default(),
            next: pair,
            expected: None,
            most: pair,
        };
        let circumstances = Circumstances {
            budget: Some(end),
            ..Circumstances::default()
        };
        complete(judged, circumstances)
    }

    #[test]
    fn an_undecided_gate_without_budget_fails_whatever_the_policy_is() {
        let comparison = ended([0.012, 0.021, 0.035]);
        let summary = (comparison.verdict, comparison.exit_code);
        assert_eq!(summary, (Verdict::Inconclusive, 3));
        let codes = comparison.warnings.iter().map(Warning::code);
        let codes: Vec<&str> = codes.collect();
        assert_eq!(codes[0], "budget-ended");
        assert!(!codes.contains(&"passed-undecided"), "{codes:?}");
        assert!(comparison.headline.ends_with("; the budget ended"));
        let json = serde_json::to_vec(&comparison).unwrap();
        assert_eq!(parse_comparison(&json).unwrap(), comparison);
        assert_eq!(accept(comparison.clone(), None), comparison);
        // The author's texts do not decide it either.
        let analysis = Analysis {
            source: "why.md".to_owned(),
            text: "the new sampler".to_owned(),
        };
        assert_eq!(
            super::super::with_analysis(comparison, analysis).exit_code,
            3
        );
    }

    #[test]
    fn a_settled_verdict_is_not_changed_by_a_budget() {
        for (tpot, verdict) in [(0.0200, Verdict::Pass), (0.0220, Verdict::Block)] {
            let comparison = ended([tpot, tpot * 1.004, tpot * 0.996]);
            assert_eq!((comparison.verdict, comparison.budget), (verdict, None));
        }
    }
}
