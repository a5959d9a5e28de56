//! One look at one metric of one scenario: estimates, bounds and the outcome (`docs/concepts/mathematics.md`, "Two estimates").
//!
//! All values are natural logs of what one server start measured, signed so that larger is worse. The start is the unit of
//! evidence: repeats that share a server are not replicates (see `starts`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::anytime::e_value;
use super::decision::{ErrorLevels, IndifferenceZone, Outcome};
use super::estimate::{Estimate, Test};
use super::huber::huber_location;
use super::noise::Noise;
use super::number;
use super::today::{DoubtBelow, TodaysNoise, clip_one};

/// Variance of a Huber location over that of a mean.
pub(super) const HUBER_INFLATION: f64 = 1.05;

/// While today has at most this many degrees of freedom, only a clear change is decided.
pub(super) const FEW_DEGREES: f64 = 7.0;

/// Today's base and the stored baseline disagree if they differ by more than this many of their joint standard errors.
const DISAGREEMENT: f64 = 2.5;

/// The least τ of a host that the ledger does not know.
const UNKNOWN_HOST: f64 = 0.03;

/// The evidence of one metric in one scenario.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Starts of the stored baseline; empty without a comparable one.
    pub stored: &'a [f64],
    /// Starts of the candidate beside the pairs.
    pub candidate: &'a [f64],
    /// Alternating starts (baseline, candidate) on one machine.
    pub pairs: &'a [(f64, f64)],
    /// The noise from the ledger, or assumed.
    pub noise: Noise,
    /// Whether the ledger knows the stored baseline's host and today's.
    pub is_host_known: bool,
    /// The metric is reported in steps of this relative size; 0 for a continuous one.
    pub step: f64,
    /// Variance to add where only the stored baseline counts and each side is one start (`starts`).
    pub start_variance: f64,
}

/// The estimate from all evidence of today and of before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AllEvidence {
    /// Deviation between the stored baseline's session and today (τ).
    pub host_noise: f64,
    /// Location of the candidate's starts.
    pub candidate: f64,
    /// Location of today's base starts.
    pub base: f64,
    /// Location of the stored starts.
    pub stored: f64,
    /// Variance of `base`.
    pub base_variance: f64,
    /// Variance of `stored`.
    pub stored_variance: f64,
    /// Weight of today's base; the stored baseline has the rest.
    pub base_weight: f64,
    /// Whether the two bases agree: if not, the stored baseline is outdated or of another host.
    pub agrees: bool,
    /// Whether the estimate may decide.
    pub counts: bool,
    /// The estimate, which may pass and not block.
    pub estimate: Estimate,
    /// The change against the stored baseline alone, for readers: it decides nothing.
    pub against_stored: Estimate,
}

/// The evidence that a change is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A stored baseline of another session.
    StoredBaseline,
    /// Repeats of baseline and candidate measured alternately on one machine.
    Pairs,
    /// Both together.
    PairsAndStoredBaseline,
}

/// A look with every intermediate value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Today's noise.
    pub today: TodaysNoise,
    /// One isolated start was clipped.
    pub is_clipped: bool,
    /// From the pairs alone, which may pass and block; from two pairs on.
    pub pairs: Option<Estimate>,
    /// From everything together; with pairs and a stored baseline.
    pub all: Option<AllEvidence>,
    /// From the candidate's starts against the stored baseline; without pairs.
    pub stored: Option<StoredEvidence>,
    /// The outcome of the look.
    pub outcome: Outcome,
    /// What the outcome is based on; `None` while undecided with pairs.
    pub basis: Option<Basis>,
    /// What the estimates are tested against.
    pub test: Test,
}

/// The estimate against a stored baseline alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredEvidence {
    /// Deviation between the stored baseline's session and today (τ).
    pub host_noise: f64,
    /// Variance of the stored baseline's location.
    pub stored_variance: f64,
    /// The estimate.
    pub estimate: Estimate,
}

impl Look {
    /// The estimate that is shown, with its evidence and the host noise in it: the one that decides; while undecided that of the
    /// pairs alone, because the stored baseline may be of another host. `None` for a single pair without a stored baseline.
    pub fn shown(&self) -> Option<Shown> {
        let of_pairs = self.pairs.map(|estimate| Shown {
            basis: Basis::Pairs,
            estimate,
            host_noise: 0.0,
        });
        let of_all = self.all.map(|all| Shown {
            basis: Basis::PairsAndStoredBaseline,
            estimate: all.estimate,
            host_noise: all.host_noise,
        });
        let of_stored = self.stored.map(|stored| Shown {
            basis: Basis::StoredBaseline,
            estimate: stored.estimate,
            host_noise: stored.host_noise,
        });
        match self.basis {
            Some(Basis::PairsAndStoredBaseline) => of_all,
            Some(Basis::Pairs | Basis::StoredBaseline) | None => of_pairs.or(of_all).or(of_stored),
        }
    }
}

/// An estimate with the evidence that it is based on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The evidence.
    pub basis: Basis,
    /// The estimate.
    pub estimate: Estimate,
    /// The noise between hosts or days in its standard error; 0 where pairs cancel it.
    pub host_noise: f64,
}

impl Evidence<'_> {
    /// One look at the evidence; `None` where a side has no start.
    pub fn look(&self, zone: IndifferenceZone, levels: ErrorLevels) -> Option<Look> {
        if self.pairs.is_empty() {
            self.look_at_stored(zone, levels)
        } else {
            Some(self.look_at_pairs(zone, levels))
        }
    }

    fn look_at_pairs(&self, zone: IndifferenceZone, levels: ErrorLevels) -> Look {
        let (base, halves): (Vec<f64>, Vec<f64>) = self.pairs.iter().copied().unzip();
        let mut arms = [self.candidate.to_vec(), base];
        arms[0].extend(halves);
        let is_clipped = self.noise.is_learnt() && clip_one(&mut arms, self.noise.repeat);
        let differences: Vec<f64> = arms[0][self.candidate.len()..]
            .iter()
            .zip(&arms[1])
            .map(|(candidate, base)| candidate - base)
            .collect();
        let doubt = DoubtBelow::WITH_PAIRS;
        let today = TodaysNoise::of(&arms, &differences, self.stored, &self.noise, doubt);
        let is_clear_only = today.degrees <= FEW_DEGREES;
        let test = Test {
            zone,
            levels,
            is_clear_only,
            degrees_of_freedom: today.degrees_of_freedom,
            step: self.step,
        };
        let pairs = number(self.pairs.len() as u64);
        let alone = (self.pairs.len() >= 2)
            .then(|| {
                let delta = huber_location(&differences, (2.0 * today.variance).sqrt())?;
                let variance = 2.0 * HUBER_INFLATION * today.variance * today.caution / pairs;
                let baseline = huber_location(&arms[1], today.variance.sqrt())?;
                Some(test.of(baseline, delta, variance))
            })
            .flatten();
        let [candidate, base] = &arms;
        let all = self.all_evidence(candidate, base, &today, test);
        let (outcome, basis) = match (alone, all.filter(|all| all.counts)) {
            (Some(alone), _) if alone.outcome == Outcome::Fail => {
                (Outcome::Fail, Some(Basis::Pairs))
            }
            (_, Some(all)) if all.estimate.outcome == Outcome::Pass => {
                (Outcome::Pass, Some(Basis::PairsAndStoredBaseline))
            }
            (Some(alone), _) if alone.outcome == Outcome::Pass => {
                (Outcome::Pass, Some(Basis::Pairs))
            }
            _ => (Outcome::Undecided, None),
        };
        Look {
            today,
            is_clipped,
            pairs: alone,
            all,
            stored: None,
            outcome,
            basis,
            test,
        }
    }

    /// Candidate against today's base and the stored baseline, weighted by their variances; `None` without a stored baseline.
    fn all_evidence(
        &self,
        candidate: &[f64],
        base: &[f64],
        today: &TodaysNoise,
        test: Test,
    ) -> Option<AllEvidence> {
        let v = today.variance;
        let host_noise = self.host_noise(v);
        let stored = huber_location(self.stored, self.noise.repeat)?;
        let base_variance = HUBER_INFLATION * v / number(base.len() as u64);
        let stored_variance = self.stored_variance(v, host_noise);
        let location_of_candidate = huber_location(candidate, v.sqrt())?;
        let location_of_base = huber_location(base, v.sqrt())?;
        let precision = 1.0 / base_variance + 1.0 / stored_variance;
        let base_weight = 1.0 / base_variance / precision;
        let apart = (location_of_base - stored).abs();
        let agrees = apart <= DISAGREEMENT * (base_variance + stored_variance).sqrt();
        let of_candidate = HUBER_INFLATION * v / number(candidate.len() as u64);
        let baseline = base_weight * location_of_base + (1.0 - base_weight) * stored;
        // A slower stored host must not pass a regression silently, and a faster one must not block a good change.
        let test = test.without_block();
        Some(AllEvidence {
            host_noise,
            candidate: location_of_candidate,
            base: location_of_base,
            stored,
            base_variance,
            stored_variance,
            base_weight,
            agrees,
            counts: agrees && !today.is_doubted() && (self.is_host_known || base.len() >= 2),
            estimate: test.of(
                baseline,
                location_of_candidate - baseline,
                today.caution * (of_candidate + 1.0 / precision),
            ),
            against_stored: test.of(
                stored,
                location_of_candidate - stored,
                today.caution * (of_candidate + stored_variance),
            ),
        })
    }

    fn look_at_stored(&self, zone: IndifferenceZone, levels: ErrorLevels) -> Option<Look> {
        let mut arms = [self.candidate.to_vec()];
        let may_clip = self.noise.is_learnt() && self.is_host_known;
        let is_clipped = may_clip && clip_one(&mut arms, self.noise.repeat);
        let doubt = DoubtBelow::WITHOUT_BASE;
        let today = TodaysNoise {
            caution: 1.0,
            ..TodaysNoise::of(&arms, &[], self.stored, &self.noise, doubt)
        };
        let v = today.variance;
        let host_noise = self.host_noise(v);
        let stored_variance = self.stored_variance(v, host_noise);
        let baseline = huber_location(self.stored, self.noise.repeat)?;
        let delta = huber_location(&arms[0], v.sqrt())? - baseline;
        let of_candidate = HUBER_INFLATION * v / number(arms[0].len() as u64);
        let test = Test {
            zone,
            levels,
            is_clear_only: false,
            degrees_of_freedom: today.degrees_of_freedom,
            step: self.step,
        };
        let estimate = test.of(
            baseline,
            delta,
            of_candidate + stored_variance + self.start_variance,
        );
        // On a day noisier than the ledger the stored baseline decides nothing.
        let outcome = if today.is_doubted() {
            Outcome::Undecided
        } else {
            estimate.outcome
        };
        Some(Look {
            today,
            is_clipped,
            pairs: None,
            all: None,
            stored: Some(StoredEvidence {
                host_noise,
                stored_variance,
                estimate,
            }),
            outcome,
            basis: Some(Basis::StoredBaseline),
            test,
        })
    }

    /// τ. Without a ledger at least half of today's noise: what is noisy from start to start is hardly steady from day to day.
    fn host_noise(&self, variance: f64) -> f64 {
        let host = if self.noise.is_learnt() {
            self.noise.host
        } else {
            self.noise.host.max(variance.sqrt() / 2.0)
        };
        if self.is_host_known {
            host
        } else {
            host.max(UNKNOWN_HOST)
        }
    }

    fn stored_variance(&self, variance: f64, host_noise: f64) -> f64 {
        let of_start = if self.noise.is_learnt() {
            self.noise.repeat.powi(2)
        } else {
            variance
        };
        HUBER_INFLATION * of_start / number(self.stored.len() as u64) + 2.0 * host_noise.powi(2)
    }

    /// The look after more pairs than the levels are for: all pairs together as anytime-valid evidence, with the error
    /// probabilities of the whole trial. `None` for fewer than two pairs.
    pub fn look_beyond(&self, zone: IndifferenceZone, total: ErrorLevels) -> Option<Beyond> {
        let differences: Vec<f64> = self
            .pairs
            .iter()
            .map(|(base, candidate)| candidate - base)
            .collect();
        let opposite: Vec<f64> = differences.iter().map(|difference| -difference).collect();
        let delta = self.look(zone, ErrorLevels::NONE)?.pairs?.delta;
        let against_low = e_value(&differences, zone.low);
        let against_high = e_value(&opposite, -zone.high);
        let outcome = if delta >= zone.limit && against_low >= 1.0 / total.alpha {
            Outcome::Fail
        } else if delta < zone.limit && against_high >= 1.0 / total.beta {
            Outcome::Pass
        } else {
            Outcome::Undecided
        };
        Some(Beyond {
            delta,
            against_low,
            against_high,
            outcome,
        })
    }
}

/// A look beyond the last scheduled one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    /// δ̂ of the pairs.
    pub delta: f64,
    /// The e-value against a change at the low edge.
    pub against_low: f64,
    /// The e-value against a change at the high edge.
    pub against_high: f64,
    /// The outcome.
    pub outcome: Outcome,
}
