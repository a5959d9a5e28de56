//! How a simulated gate decides: the trial that ships in its forms, `compare`, and plain rules.

use perfgate::metric::Metric;
use perfgate::policy::rule::Policy;
use perfgate::record::Run;
use perfgate::stats::Outcome;
use perfgate::trial::{ErrorsLeft, Evidence, Protocol};

use super::drive::{BASE, CANDIDATE, Form, GateRun, look_once};
use super::model::{Drawn, STORED, Today, World};
use super::plain::Plain;
use super::several::{Family, Shared};

/// Pairs of a gate, unless its rule has more.
const PAIRS: u32 = 12;

/// Bytes of a step of GPU memory.
const ALLOCATION_UNIT: f64 = 2_097_152.0;

/// How a simulated gate decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// perfgate with the base version and at most that many pairs.
    WithBase(u32),
    /// The same with that many pairs, then on a second machine unless it passed.
    Retried(u32),
    /// Many rules on the same starts.
    Family(Family),
    /// perfgate with nothing but the stored baseline.
    WithoutBase,
    /// `perfgate compare` of files with that many pairs; 0: with three starts a side.
    Compare(usize),
    /// `perfgate compare` of files whose measurements share server starts.
    Shared(Shared),
    /// A rule without a model of noise.
    Plain(Plain),
}

impl Rule {
    /// How many times fewer gates are simulated, because each of them judges many rules.
    pub(crate) fn cost(self) -> u64 {
        match self {
            Self::Family(_) => 4,
            Self::WithBase(_)
            | Self::Retried(_)
            | Self::WithoutBase
            | Self::Compare(_)
            | Self::Shared(_)
            | Self::Plain(_) => 1,
        }
    }
}

/// All gates of one rule in one world.
pub(crate) struct Gates {
    rule: Rule,
    world: World,
    form: Form,
    policy: Policy,
    protocol: Protocol,
    second: Protocol,
}

impl Gates {
    pub(crate) fn new(rule: Rule, world: World) -> Self {
        let form = match (rule, world.rounding) {
            (Rule::Family(_), _) => Family::form(),
            (_, Some((size, _))) if world.is_declared => {
                Form::of_one(Metric::GPU_MEMORY_PEAK, ALLOCATION_UNIT / size)
            }
            _ => Form::of_one(Metric::TPOT_P95, 1.0),
        };
        let policy = form.policy();
        let protocol = match rule {
            Rule::WithBase(pairs) | Rule::Retried(pairs) => Protocol::with_base(pairs),
            Rule::WithoutBase => Protocol::without_base(3, policy.noise.max_repeats),
            Rule::Family(_) | Rule::Compare(_) | Rule::Shared(_) | Rule::Plain(_) => {
                Protocol::with_base(PAIRS)
            }
        };
        Self {
            rule,
            world,
            form,
            policy,
            protocol,
            second: Protocol::with_base(PAIRS),
        }
    }

    /// The gates of that seed, one for each effect, on the same draws.
    pub(crate) fn run(&self, seed: u64, effects: &[f64]) -> Vec<GateRun> {
        let pairs = match self.rule {
            Rule::Family(family) => {
                let drawn = Family::draw(seed, self.world.noise);
                let mut evidence = self.before(&drawn);
                let gate =
                    |effect: &f64| self.drive(&mut evidence, &family.slower(&drawn.today, *effect));
                return effects.iter().map(gate).collect();
            }
            Rule::Shared(shared) => {
                let files = shared.draw(&self.form, seed, self.world.noise);
                let gate = |effect: &f64| {
                    let candidate = files.candidate(&self.form, *effect);
                    let stored = (&files.baseline, &candidate);
                    let outcome = look_once(&self.policy, stored, None, &files.ledger);
                    GateRun::of_look(outcome, shared.starts())
                };
                return effects.iter().map(gate).collect();
            }
            Rule::WithBase(pairs) => pairs.max(PAIRS),
            Rule::Retried(_) | Rule::WithoutBase | Rule::Compare(_) | Rule::Plain(_) => PAIRS,
        };
        let drawn = self.world.draw(seed, pairs);
        let mut evidence = self.before(&drawn);
        let gate = |effect: &f64| self.gate(&drawn, &mut evidence, *effect);
        effects.iter().map(gate).collect()
    }

    /// One gate with one rule in it.
    fn gate(&self, drawn: &Drawn, evidence: &mut Evidence, effect: f64) -> GateRun {
        let slower = |today: &Today| today.slower(&self.world, effect);
        match self.rule {
            Rule::Retried(_) => {
                let first = self.drive(evidence, &slower(&drawn.today));
                if first.outcome == Outcome::Pass {
                    return first;
                }
                let left = ErrorsLeft::ALL.after(&first.looks);
                let again = slower(&drawn.again);
                (evidence.candidate, evidence.pairs) = (None, None);
                let second = (self.form).drive(&self.second, &self.policy, left, evidence, &again);
                first.then(second)
            }
            Rule::WithoutBase => self.drive(evidence, &slower(&drawn.alone)),
            Rule::Compare(pairs) => self.compare(pairs, evidence, &slower, drawn),
            Rule::Plain(plain) => {
                let candidate = &slower(&drawn.alone).candidate[..STORED];
                let outcome = if plain.blocks(&drawn.baseline, candidate) {
                    Outcome::Fail
                } else {
                    Outcome::Pass
                };
                GateRun::of_look(outcome, STORED)
            }
            Rule::WithBase(_) | Rule::Family(_) | Rule::Shared(_) => {
                self.drive(evidence, &slower(&drawn.today))
            }
        }
    }

    fn drive(&self, evidence: &mut Evidence, today: &Today) -> GateRun {
        (evidence.candidate, evidence.pairs) = (None, None);
        let left = ErrorsLeft::ALL;
        (self.form).drive(&self.protocol, &self.policy, left, evidence, today)
    }

    /// One look of files with that many pairs and a candidate start beside them, or with three candidate starts.
    fn compare(
        &self,
        pairs: usize,
        evidence: &Evidence,
        slower: &dyn Fn(&Today) -> Today,
        drawn: &Drawn,
    ) -> GateRun {
        let Some(stored) = &evidence.stored else {
            return GateRun::of_look(Outcome::Undecided, 0);
        };
        let today = slower(if pairs > 0 {
            &drawn.today
        } else {
            &drawn.alone
        });
        let beside = if pairs > 0 { 1 } else { STORED };
        let candidate = self.form.run(CANDIDATE, &today.candidate[..beside]);
        let (base, new): (Vec<f64>, Vec<f64>) = today.pairs.iter().take(pairs).copied().unzip();
        let halves = [(BASE, base), (CANDIDATE, new)];
        let [base, new] = halves.map(|(number, values)| self.form.run(number, &values));
        let pairs_given = (pairs > 0).then_some((&base, &new));
        let files = (&stored.run, &candidate);
        let outcome = look_once(&self.policy, files, pairs_given, &stored.ledger);
        GateRun::of_look(outcome, beside + 2 * pairs)
    }

    /// The evidence before the first start.
    fn before(&self, drawn: &Drawn) -> Evidence {
        let mut stored = self.form.stored(&drawn.baseline, &drawn.ledger);
        let is_fleet = self.world.fleet > 0.0;
        if is_fleet {
            for (number, session) in stored.ledger.iter_mut().enumerate() {
                set_machine(session, format!("host {number}"));
            }
        }
        if self.world.is_host_unknown || is_fleet {
            let last = stored.ledger.last_mut();
            for run in last.into_iter().chain([&mut stored.run]) {
                set_machine(run, "another host".to_owned());
            }
        }
        Evidence {
            stored: Some(stored),
            ..Evidence::default()
        }
    }
}

fn set_machine(run: &mut Run, name: String) {
    if let Some(environment) = &mut run.file.environment {
        environment.machine = Some(name);
    }
}
