//! Drives the trial that ships with starts that are drawn.

use std::collections::BTreeMap;

use perfgate::compare::ComparisonInputs;
use perfgate::metric::Metric;
use perfgate::policy::rule::{Action, Limits, Policy, Rule as Threshold};
use perfgate::policy::{Labels, ThisLook, compare_evidence};
use perfgate::record::{self, RepeatRun, Run};
use perfgate::report::comparison::{Comparison, LookTaken, Status};
use perfgate::stats::Outcome;
use perfgate::trial::{Author, ErrorsLeft, Evidence, Protocol, Step, StoredBaseline, Trial};

use super::model::Today;

/// The limit of the rules that are simulated.
pub(crate) const LIMIT: f64 = 0.05;

/// The machine of every run, unless it is of another one.
pub(crate) const HERE: &str = "here";

/// What came of a simulated gate.
#[derive(Clone, Debug)]
pub(crate) struct GateRun {
    pub(crate) outcome: Outcome,
    /// Server starts that it took.
    pub(crate) starts: u32,
    /// What it spent.
    pub(crate) looks: Vec<LookTaken>,
}

impl GateRun {
    /// What a single look decided.
    pub(crate) fn of_look(outcome: Outcome, starts: usize) -> Self {
        Self {
            outcome,
            starts: u32::try_from(starts).unwrap_or(u32::MAX),
            looks: Vec::new(),
        }
    }

    /// With a later run of the same change, whose outcome counts if it decides.
    pub(crate) fn then(self, second: Self) -> Self {
        Self {
            outcome: match second.outcome {
                Outcome::Undecided => self.outcome,
                Outcome::Pass | Outcome::Fail => second.outcome,
            },
            starts: self.starts + second.starts,
            looks: second.looks,
        }
    }
}

/// What a start measures: the metrics of each scenario. The logs of a start are in this order, scenario by scenario.
pub(crate) struct Form {
    /// A run without repeats.
    empty: Run,
    repeat: RepeatRun,
    metrics: Vec<Metric>,
    /// The value whose log is 0.
    unit: f64,
}

impl Form {
    /// One metric of one scenario.
    pub(crate) fn of_one(metric: Metric, unit: f64) -> Self {
        Self::new(1, &[metric], unit)
    }

    pub(crate) fn new(scenarios: usize, metrics: &[Metric], unit: f64) -> Self {
        let scenarios: Vec<String> = (0..scenarios)
            .map(|number| {
                let metric = metrics[0].id();
                format!(r#"{{"name":"load {number}","repeats":[{{"metrics":{{"{metric}":1}}}}]}}"#)
            })
            .collect();
        let scenarios = scenarios.join(",");
        let mut empty = parse(&format!(
            r#"{{"schema":"perfgate.result/1","environment":{{"machine":"{HERE}"}},"scenarios":[{scenarios}]}}"#
        ));
        let mut repeat = empty.scenarios[0].repeats[0].clone();
        repeat.metrics = BTreeMap::new();
        for scenario in &mut empty.scenarios {
            scenario.repeats.clear();
        }
        // A look reads the checked scenarios; without samples the file has nothing more.
        empty.file.scenarios.clear();
        Self {
            empty,
            repeat,
            metrics: metrics.to_vec(),
            unit,
        }
    }

    /// The rules on all of these metrics.
    pub(crate) fn policy(&self) -> Policy {
        let rule = |metric: &Metric| Threshold {
            metric: *metric,
            limits: Limits {
                regression: Some(LIMIT),
                ..Limits::default()
            },
            action: Action::Block,
            explain: false,
            place: None,
        };
        Policy {
            rules: self.metrics.iter().map(rule).collect(),
            ..Policy::standard()
        }
    }

    /// Values of one start.
    pub(crate) fn width(&self) -> usize {
        self.metrics.len() * self.empty.scenarios.len()
    }

    /// A run of those starts, one after the other. No two runs have the same number.
    pub(crate) fn run(&self, number: usize, starts: &[f64]) -> Run {
        let mut run = self.empty.clone();
        run.file.created = Some(number.to_string());
        for logs in starts.chunks(self.width()) {
            self.push(&mut run, logs, None);
        }
        run
    }

    /// Another repeat of a run; repeats with the same name of a start share a server.
    pub(crate) fn push(&self, run: &mut Run, logs: &[f64], start: Option<&str>) {
        let of_scenarios = logs.chunks(self.metrics.len());
        for (scenario, logs) in run.scenarios.iter_mut().zip(of_scenarios) {
            let values = logs.iter().map(|log| self.unit * log.exp());
            scenario.repeats.push(RepeatRun {
                metrics: self.metrics.iter().copied().zip(values).collect(),
                start: start.map(str::to_owned),
                ..self.repeat.clone()
            });
        }
    }

    /// Accepted sessions.
    pub(crate) fn sessions(&self, ledger: &[Vec<f64>]) -> Vec<Run> {
        let sessions = ledger.iter().enumerate();
        sessions
            .map(|(number, session)| self.run(number, session))
            .collect()
    }

    /// A stored baseline with its ledger, in which it is the last session.
    pub(crate) fn stored(&self, baseline: &[f64], ledger: &[Vec<f64>]) -> StoredBaseline {
        StoredBaseline {
            run: self.run(ledger.len().saturating_sub(1), baseline),
            path: String::new(),
            ledger: self.sessions(ledger),
            ledger_path: None,
            release: None,
        }
    }

    /// One whole gate: `evidence` holds the stored baseline and nothing measured.
    pub(crate) fn drive(
        &self,
        protocol: &Protocol,
        policy: &Policy,
        left: ErrorsLeft,
        evidence: &mut Evidence,
        today: &Today,
    ) -> GateRun {
        let mut trial = Trial::new(protocol, policy, Author::default(), None, left);
        loop {
            match trial.next(evidence) {
                Step::Tell(_) | Step::Keep(_) => {}
                Step::Measure { repeats } => {
                    let measured = &today.candidate[..repeats as usize * self.width()];
                    evidence.candidate = Some(self.run(CANDIDATE, measured));
                }
                Step::Pairs { pairs } => self.measure_pairs(evidence, today, pairs as usize),
                Step::Done(comparison) => {
                    let alone = evidence.candidate.as_ref().map_or(0, Run::counting_repeats);
                    let pairs = evidence.pairs.as_ref();
                    let pairs = pairs.map_or(0, |(_, candidate)| candidate.counting_repeats());
                    return GateRun {
                        outcome: comparison.as_deref().map_or(Outcome::Undecided, outcome),
                        starts: alone + 2 * pairs,
                        looks: comparison.map_or_else(Vec::new, |last| last.decision.looks),
                    };
                }
            }
        }
    }

    fn measure_pairs(&self, evidence: &mut Evidence, today: &Today, pairs: usize) {
        let none = || (self.run(BASE, &[]), self.run(CANDIDATE, &[]));
        let (base, candidate) = evidence.pairs.get_or_insert_with(none);
        let width = self.width();
        let measured = base.counting_repeats() as usize * width;
        let starts = &today.pairs[measured..pairs * width];
        for start in starts.chunks(width) {
            let (base_logs, logs): (Vec<f64>, Vec<f64>) = start.iter().copied().unzip();
            self.push(base, &base_logs, None);
            self.push(candidate, &logs, None);
        }
    }
}

/// Numbers of today's runs, which no session has.
pub(crate) const CANDIDATE: usize = 1000;
pub(crate) const BASE: usize = 1001;

/// `perfgate compare`: one look at everything.
pub(crate) fn look_once(
    policy: &Policy,
    stored: (&Run, &Run),
    pairs: Option<(&Run, &Run)>,
    ledger: &[Run],
) -> Outcome {
    let given = ComparisonInputs {
        stored: Some(stored),
        pairs,
        ledger,
        ..ComparisonInputs::default()
    };
    outcome(&compare_evidence(
        policy,
        &given,
        Labels::default(),
        ThisLook::ONLY,
    ))
}

/// The outcome of all rules: each has passed, or one is broken.
fn outcome(comparison: &Comparison) -> Outcome {
    let worst = comparison.judgements.iter().map(|row| match row.status {
        Status::Pass | Status::Improved => Outcome::Pass,
        Status::Inconclusive | Status::Missing => Outcome::Undecided,
        Status::Regressed => Outcome::Fail,
    });
    let severity = |outcome: &Outcome| match outcome {
        Outcome::Pass => 0,
        Outcome::Undecided => 1,
        Outcome::Fail => 2,
    };
    worst.max_by_key(severity).unwrap_or(Outcome::Undecided)
}

fn parse(json: &str) -> Run {
    record::parse("simulated.json", json.as_bytes())
        .unwrap_or_else(|error| panic!("a result that is written here is valid: {error}"))
}
