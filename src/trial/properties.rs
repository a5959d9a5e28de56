//! Properties of every trial, with any order of void repeats, interruptions, discarded evidence and re-runs.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::metric::Metric;
use crate::policy::rule::{Action, Limits, Policy, Rule};
use crate::record::{self, Run};
use crate::report::comparison::{Comparison, Status, Verdict};

/// Steps after which a trial is endless: far more than the longest one needs.
const ENDLESS: usize = 200;

/// One run of the gate on the commit.
#[derive(Clone, Debug)]
struct Invocation {
    /// It is killed after this number of steps.
    killed_after: usize,
    /// This many of the requested repeats stay void.
    void: u32,
    /// Its evidence is of another build, so that earlier measurements do not count.
    is_another_build: bool,
}

/// A commit under a gate.
#[derive(Clone, Debug)]
struct Commit {
    has_base: bool,
    has_stored: bool,
    first: u32,
    most: u32,
    effect: f64,
    noise: f64,
    seed: u64,
    invocations: Vec<Invocation>,
}

fn commits() -> impl Strategy<Value = Commit> {
    let invocation = (0..40_usize, 0..3_u32, prop::bool::weighted(0.2)).prop_map(
        |(killed_after, void, is_another_build)| Invocation {
            killed_after,
            void,
            is_another_build,
        },
    );
    let kind = (any::<bool>(), any::<bool>(), 1..6_u32, 1..12_u32);
    let world = (
        prop::sample::select(vec![0.0, 0.04, 0.08, 0.2]),
        prop::sample::select(vec![0.001, 0.01, 0.04]),
        any::<u64>(),
    );
    let invocations = prop::collection::vec(invocation, 1..6);
    (kind, world, invocations).prop_map(
        |((has_base, has_stored, first, most), (effect, noise, seed), invocations)| Commit {
            has_base,
            has_stored,
            first,
            most,
            effect,
            noise,
            seed,
            invocations,
        },
    )
}

fn policy() -> Policy {
    Policy {
        rules: vec![Rule {
            metric: Metric::parse("tpot.p95").unwrap(),
            limits: Limits {
                regression: Some(0.05),
                ..Limits::default()
            },
            action: Action::Block,
            explain: false,
            place: None,
        }],
        first_run: crate::policy::rule::FirstRun::Pass,
        ..Policy::standard()
    }
}

fn run(logs: &[f64]) -> Option<Run> {
    let repeats: Vec<String> = logs
        .iter()
        .map(|log| format!(r#"{{"metrics":{{"tpot.p95":{:e}}}}}"#, log.exp()))
        .collect();
    let json = format!(
        r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
        repeats.join(",")
    );
    (!logs.is_empty()).then(|| record::parse("a.json", json.as_bytes()).unwrap())
}

/// The machine and the disk of a commit.
struct World {
    commit: Commit,
    random: Pcg64Mcg,
    stored: Option<StoredBaseline>,
    candidate: Vec<f64>,
    base_halves: Vec<f64>,
    candidate_halves: Vec<f64>,
    /// The last look at the evidence at hand.
    before: Option<Comparison>,
    /// What looks at evidence that does not count any more left.
    left: ErrorsLeft,
    /// The sums of the shares of α and β that all looks spent, of the whole.
    spent: (f64, f64),
}

impl World {
    fn new(commit: Commit) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(commit.seed);
        let mut session = |count| -> Vec<f64> {
            (0..count)
                .map(|_| commit.noise * normal(&mut random))
                .collect()
        };
        let ledger: Vec<Run> = (0..8).filter_map(|_| run(&session(3))).collect();
        let stored = commit.has_stored.then(|| StoredBaseline {
            run: run(&session(3)).unwrap(),
            path: "baseline.json".to_owned(),
            ledger,
            ledger_path: None,
            release: None,
        });
        Self {
            commit,
            random,
            stored,
            candidate: Vec::new(),
            base_halves: Vec::new(),
            candidate_halves: Vec::new(),
            before: None,
            left: ErrorsLeft::ALL,
            spent: (0.0, 0.0),
        }
    }

    fn protocol(&self) -> Protocol {
        let Commit {
            has_base,
            first,
            most,
            ..
        } = self.commit;
        if has_base {
            Protocol::with_base(most)
        } else {
            Protocol::without_base(first, most)
        }
    }

    fn measure(&mut self, effect: f64) -> f64 {
        effect.ln_1p() + self.commit.noise * normal(&mut self.random)
    }

    /// One run of the gate; the comparison with which it ended, unless it was killed.
    fn invoke(&mut self, invocation: &Invocation) -> Option<Comparison> {
        if invocation.is_another_build {
            if let Some(before) = self.before.take() {
                self.left = self.left.after(&before.decision.looks);
            }
            self.candidate.clear();
            self.base_halves.clear();
            self.candidate_halves.clear();
        }
        let (protocol, policy) = (self.protocol(), policy());
        let before = self.before.clone();
        let mut trial = Trial::new(&protocol, &policy, Author::default(), before, self.left);
        for step in 0..ENDLESS {
            if step == invocation.killed_after {
                return None;
            }
            let evidence = Evidence {
                candidate: run(&self.candidate),
                pairs: run(&self.base_halves).zip(run(&self.candidate_halves)),
                stored: self.stored.clone(),
                missing_baseline: "there is no baseline yet".to_owned(),
                ..Evidence::default()
            };
            match trial.next(&evidence) {
                Step::Tell(_) => {}
                Step::Measure { repeats } => {
                    let have = u32::try_from(self.candidate.len()).unwrap();
                    assert!(
                        repeats > have,
                        "it requests existing repeats: {repeats} of {have}"
                    );
                    for _ in have..repeats.saturating_sub(invocation.void) {
                        let value = self.measure(self.commit.effect);
                        self.candidate.push(value);
                    }
                }
                Step::Pairs { pairs } => {
                    let have = u32::try_from(self.base_halves.len()).unwrap();
                    assert!(
                        pairs > have,
                        "it requests existing pairs: {pairs} of {have}"
                    );
                    for _ in have..pairs.saturating_sub(invocation.void) {
                        let base = self.measure(0.0);
                        let candidate = self.measure(self.commit.effect);
                        self.base_halves.push(base);
                        self.candidate_halves.push(candidate);
                    }
                }
                Step::Keep(comparison) => {
                    if let Some(look) = comparison.decision.looks.last() {
                        self.spent.0 += self.left.alpha * look.alpha;
                        self.spent.1 += self.left.beta * look.beta;
                    }
                    self.before = Some(*comparison);
                }
                Step::Done(comparison) => return comparison.map(|comparison| *comparison),
            }
        }
        panic!("the trial does not end");
    }
}

fn normal(random: &mut Pcg64Mcg) -> f64 {
    // Box and Muller.
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn spending_never_exceeds_the_error_probabilities(commit in commits()) {
        let mut world = World::new(commit.clone());
        for invocation in &commit.invocations {
            world.invoke(invocation);
            let (alpha, beta) = world.spent;
            prop_assert!(alpha <= 1.0 + 1e-9 && beta <= 1.0 + 1e-9, "α {alpha}, β {beta}");
        }
    }

    #[test]
    fn a_decision_once_taken_stays_while_the_evidence_does_not_contradict_it(commit in commits()) {
        let mut world = World::new(commit.clone());
        let mut decided = None;
        for invocation in &commit.invocations {
            let ended = world.invoke(invocation);
            if invocation.is_another_build {
                decided = None;
            }
            let Some(comparison) = ended else { continue };
            let Some(row) = comparison.judgements.first() else { continue };
            if let Some(status) = decided {
                prop_assert!(row.status != Status::Inconclusive, "{status:?} was forgotten");
            }
            if matches!(row.status, Status::Pass | Status::Improved | Status::Regressed) {
                decided = Some(row.status);
            }
        }
    }

    #[test]
    fn a_trial_that_is_not_killed_ends_with_a_verdict_or_with_nothing_measured(commit in commits()) {
        let mut world = World::new(commit);
        let invocation = Invocation { killed_after: ENDLESS, void: 0, is_another_build: false };
        let comparison = world.invoke(&invocation);
        let stored = world.commit.has_stored;
        let comparison = comparison.expect("a verdict");
        // Without any baseline the first run warns that nothing was compared.
        if !stored && !world.commit.has_base {
            prop_assert_eq!(comparison.verdict, Verdict::Warn);
        }
    }
}
