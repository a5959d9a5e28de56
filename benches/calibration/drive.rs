//! Drives the trial that ships with starts that are drawn.

use std::fmt::Write as _;

use perfgate::compare::ComparisonInputs;
use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, ThisLook, compare_evidence};
use perfgate::record::{self, Run};
use perfgate::report::comparison::{Comparison, Status};
use perfgate::stats::{Outcome, base_starts_first};
use perfgate::trial::{Author, ErrorsLeft, Evidence, Protocol, Step, StoredBaseline, Trial};

use super::rules::GateRun;

/// The machine, as far as a gate can measure it: one start of either version after the other.
pub(crate) struct Measured<F> {
    start: F,
    effect: f64,
    candidate: Vec<f64>,
    pairs: Vec<(f64, f64)>,
}

impl<F: FnMut(f64) -> f64> Measured<F> {
    /// `start` draws the log of one start's P95 at that effect; `effect` is the candidate's.
    pub(crate) fn of(start: F, effect: f64) -> Self {
        Self {
            start,
            effect,
            candidate: Vec::new(),
            pairs: Vec::new(),
        }
    }

    fn repeats(&mut self, count: u32) {
        while self.candidate.len() < count as usize {
            self.candidate.push((self.start)(self.effect));
        }
    }

    /// A B, then B A, so that a drift does not favour one side.
    fn pairs(&mut self, count: u32) {
        while self.pairs.len() < count as usize {
            let pair = u32::try_from(self.pairs.len() + 1).unwrap_or(u32::MAX);
            self.pairs.push(if base_starts_first(42, pair) {
                let base = (self.start)(0.0);
                (base, (self.start)(self.effect))
            } else {
                let candidate = (self.start)(self.effect);
                ((self.start)(0.0), candidate)
            });
        }
    }

    fn starts(&self) -> u32 {
        u32::try_from(self.candidate.len() + 2 * self.pairs.len()).unwrap_or(u32::MAX)
    }
}

/// One whole gate.
pub(crate) fn drive<F: FnMut(f64) -> f64>(
    protocol: &Protocol,
    policy: &Policy,
    stored: Option<&StoredBaseline>,
    mut measured: Measured<F>,
) -> GateRun {
    let mut trial = Trial::new(protocol, policy, Author::default(), None, ErrorsLeft::ALL);
    let mut evidence = Evidence {
        stored: stored.cloned(),
        ..Evidence::default()
    };
    loop {
        match trial.next(&evidence) {
            Step::Tell(_) | Step::Keep(_) => {}
            Step::Measure { repeats } => {
                measured.repeats(repeats);
                evidence.candidate = Some(run(&measured.candidate));
            }
            Step::Pairs { pairs: count } => {
                measured.pairs(count);
                let (base, new): (Vec<f64>, Vec<f64>) = measured.pairs.iter().copied().unzip();
                evidence.pairs = Some((run(&base), run(&new)));
            }
            Step::Done(comparison) => {
                return GateRun {
                    outcome: comparison
                        .map_or(Outcome::Undecided, |comparison| outcome(&comparison)),
                    starts: measured.starts(),
                };
            }
        }
    }
}

/// `perfgate compare`: one look at everything.
pub(crate) fn look_once(policy: &Policy, stored: &StoredBaseline, candidate: &[f64]) -> Outcome {
    let candidate = run(candidate);
    let given = ComparisonInputs {
        stored: Some((&stored.run, &candidate)),
        ledger: &stored.ledger,
        ..ComparisonInputs::default()
    };
    outcome(&compare_evidence(
        policy,
        &given,
        Labels::default(),
        ThisLook::ONLY,
    ))
}

/// The outcome of the one rule.
fn outcome(comparison: &Comparison) -> Outcome {
    match comparison.judgements.first().map(|row| row.status) {
        Some(Status::Pass | Status::Improved) => Outcome::Pass,
        Some(Status::Regressed) => Outcome::Fail,
        Some(Status::Inconclusive | Status::Missing) | None => Outcome::Undecided,
    }
}

/// A baseline and its ledger.
pub(crate) fn stored(baseline: &[f64], ledger: &[Vec<f64>]) -> StoredBaseline {
    StoredBaseline {
        run: run(baseline),
        path: String::new(),
        ledger: sessions(ledger),
        ledger_path: None,
        release: None,
    }
}

/// Accepted sessions.
pub(crate) fn sessions(ledger: &[Vec<f64>]) -> Vec<Run> {
    ledger.iter().map(|session| run(session)).collect()
}

/// A result file with a repeat for each log of a P95 of TPOT.
fn run(logs: &[f64]) -> Run {
    let mut repeats = String::new();
    for log in logs {
        let comma = if repeats.is_empty() { "" } else { "," };
        let _ = write!(
            repeats,
            r#"{comma}{{"metrics":{{"tpot.p95":{:e}}}}}"#,
            log.exp()
        );
    }
    let json = format!(
        r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"simulated","repeats":[{repeats}]}}]}}"#
    );
    record::parse("simulated.json", json.as_bytes())
        .unwrap_or_else(|error| panic!("a result that is written here is valid: {error}"))
}
