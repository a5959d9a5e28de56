//! A gate without a baseline.

use super::look::{Labels, ThisLook};
use super::outcome::{weight, worst};
use super::rule::Policy;
use super::verdict::compare_evidence;
use crate::code::Code;
use crate::compare::ComparisonInputs;
use crate::exit::ExitStatus;
use crate::record::Run;
use crate::report::comparison::{Comparison, Next, Verdict, Warning};

/// A candidate without a baseline, which `first_run: pass` lets pass: its budgets are judged, and a warning reports that
/// nothing was compared. `missing` names the missing baseline.
pub fn first_run(
    policy: &Policy,
    candidate: &Run,
    labels: Labels<'_>,
    missing: &str,
    this_look: ThisLook<'_>,
) -> Comparison {
    let nothing = Run::default();
    let given = ComparisonInputs {
        stored: Some((&nothing, candidate)),
        ..ComparisonInputs::default()
    };
    let judged = compare_evidence(policy, &given, labels, this_look);
    let message = format!("{missing}, so nothing was compared; `first_run: pass` lets it pass");
    let mut comparison = Comparison {
        // Findings about a missing baseline are of no use to the reader.
        warnings: vec![Warning::new(Code::FirstRun, message.clone())],
        mismatches: Vec::new(),
        changes: Vec::new(),
        next: Next::default(),
        ..judged
    };
    let rows = comparison.judgements.iter();
    let of_budgets = worst(rows.map(|row| weight(row, false)));
    let passes = matches!(of_budgets, Verdict::Pass | Verdict::Warn);
    if comparison.judgements.is_empty() || passes {
        comparison.verdict = Verdict::Warn;
        comparison.exit_code = ExitStatus::Pass.code();
        comparison.headline = message;
    }
    comparison
}
