//! The warnings of a comparison.

use super::judged::Judged;
use super::look::ThisLook;
use super::outcome::weight;
use super::rule::{Action, OnInconclusive, Policy};
use super::sentence::percent;
use super::too_good;
use crate::code::Code;
use crate::compare::{self, Comparability};
use crate::exit::ExitStatus;
use crate::metric::Metric;
use crate::record::Run;
use crate::record::format::SWEEP;
use crate::report::comparison::{Judgement, Status, Verdict, Warning};
use crate::stats::{self, TodaysNoise};

/// p-value of the candidate's noise under the ledger below which its starts are unstable.
const UNSTABLE: f64 = 0.001;

/// p-value of today's noise under the ledger below which it is clearly noisier.
const NOISIER: f64 = 0.01;

pub(super) fn warnings(
    comparability: &Comparability,
    judged: &[Judged],
    this_look: ThisLook<'_>,
    on_inconclusive: OnInconclusive,
    exit: ExitStatus,
    pairs: u32,
) -> Vec<Warning> {
    let mut warnings = comparability.warnings.clone();
    let analysed = this_look.analysis.is_some();
    let undecided = |judged: &Judged| weight(&judged.judgement, analysed) == Verdict::Inconclusive;
    if exit == ExitStatus::Pass && judged.iter().any(undecided) {
        let because = match on_inconclusive {
            OnInconclusive::Auto => "no estimate reaches its limit",
            OnInconclusive::Pass | OnInconclusive::Fail => "thresholds.yaml sets `on_inconclusive`",
        };
        let message = format!(
            "passes although undecided, because {because}; the noise may hide a regression"
        );
        warnings.push(Warning::new(Code::PassedUndecided, message));
    }
    warnings.extend(of_host(judged, pairs));
    warnings.extend(judged.iter().flat_map(of_noise));
    let rows = || judged.iter().map(|judged| &judged.judgement);
    warnings.extend(rows().filter_map(not_judged));
    warnings.extend(rows().filter_map(too_good::warning));
    let explained = this_look.explanation.is_some();
    warnings.extend(rows().filter_map(|row| of_explanation(row, explained)));
    warnings
}

fn not_judged(row: &Judgement) -> Option<Warning> {
    if row.status != Status::Missing || row.rule.action != Action::Warn {
        return None;
    }
    let message = format!(
        "{} at {} is not judged: {}",
        row.metric, row.scenario, row.reason
    );
    Some(Warning::new(Code::NotJudged, message))
}

/// A regression that needs an explanation by the author, or has one.
pub(super) fn of_explanation(row: &Judgement, explained: bool) -> Option<Warning> {
    if row.status != Status::Regressed || !row.rule.explain {
        return None;
    }
    let (code, what) = if explained {
        (Code::Explained, "is explained by the author")
    } else {
        (
            Code::ExplanationWanted,
            "needs an explanation by the author",
        )
    };
    let message = format!("{} at {} {what}", row.metric.label(), row.scenario);
    Some(Warning::new(code, message))
}

pub(super) fn is_about_explanation(warning: &Warning) -> bool {
    warning.is(Code::Explained) || warning.is(Code::ExplanationWanted)
}

/// A smaller loss of capacity is not reported: it is a block of tokens more or less.
const CAPACITY_LOST: f64 = 0.01;

/// A growth of memory that no rule covers, and changes of the KV cache with another cause.
pub(super) fn of_memory(policy: &Policy, baseline: &Run, candidate: &Run) -> Vec<Warning> {
    let mut found = Vec::new();
    let watched = |metric: Metric| {
        candidate.scenarios.iter().any(|scenario| {
            let rules = policy.rules_for(&scenario.name);
            rules.iter().any(|rule| rule.metric == metric)
        })
    };
    let tokens = |run: &Run| {
        let scenarios = run.scenarios.iter();
        let values = scenarios.flat_map(|scenario| scenario.values(Metric::KV_CACHE_TOKENS));
        stats::median(&values.collect::<Vec<f64>>())
    };
    let sides = baseline.scenarios.iter().chain(&candidate.scenarios);
    if let (Some(accepted), Some(new)) = (tokens(baseline), tokens(candidate))
        && !compare::cache_figures_differ(sides.map(Some))
        && new < accepted * (1.0 - CAPACITY_LOST)
        && !watched(Metric::KV_CACHE_TOKENS)
        && !watched(Metric::ENGINE_MEMORY_PEAK)
    {
        found.push(Warning::new(
            Code::MemoryGrowthNotJudged,
            format!(
                "the KV cache has room for {new:.0} tokens instead of {accepted:.0}, so something else uses more memory, and no rule covers it; add `kv_cache.tokens: {{regression: 1%, action: report}}`"
            ),
        ));
    }
    if compare::cache_is_sized_differently(baseline, candidate) {
        found.push(Warning::new(
            Code::CacheSizedDifferently,
            "since 0.21, vLLM counts the memory of CUDA graphs before it sizes the KV cache; only one of the two versions does, which alone changes the KV-cache capacity",
        ));
    }
    found
}

/// Both sweeps found a capacity, and no rule covers it.
pub(super) fn unwatched_capacity(
    policy: &Policy,
    baseline: &Run,
    candidate: &Run,
) -> Option<Warning> {
    let found = |run: &Run, metric: &Metric| {
        run.scenario(SWEEP).is_some_and(|sweep| {
            let mut counting = sweep.counting();
            counting.any(|repeat| {
                repeat.metrics.contains_key(metric) || repeat.not_measured.contains_key(metric)
            })
        })
    };
    let watched = policy.rules_for(SWEEP);
    let searched = [Metric::CAPACITY_CONCURRENCY, Metric::CAPACITY_REQUEST_RATE];
    let metric = searched.into_iter().find(|metric| {
        found(baseline, metric)
            && found(candidate, metric)
            && watched.iter().all(|rule| !rule.metric.is_capacity())
    })?;
    Some(Warning::new(
        Code::CapacityNotJudged,
        format!(
            "both runs searched for their {}, and no rule covers it; add `{metric}: {{regression: 5%, action: block}}`",
            metric.label()
        ),
    ))
}

/// Warnings about the noise of one judgement.
fn of_noise(judged: &Judged) -> Vec<Warning> {
    let Some(estimates) = &judged.estimates else {
        return Vec::new();
    };
    let row = &judged.judgement;
    let place = format!("{} at {}", row.metric, row.scenario);
    let mut found = Vec::new();
    let mut warn = |code, message: String| found.push(Warning::new(code, message));
    let today = &estimates.look.today;
    if estimates.candidate_noise.is_some_and(|p| p < UNSTABLE) {
        warn(
            Code::UnstableStarts,
            format!(
                "{place}: the candidate's starts differ far more from each other than those in the ledger; check the candidate's server logs"
            ),
        );
    } else if is_noisier(today) {
        warn(
            Code::NoisierThanLedger,
            format!(
                "{place}: today's repeats are noisier than the ledger, {} instead of {}; the noise of the ledger is not used",
                percent(today.variance.sqrt()),
                percent(estimates.noise.repeat)
            ),
        );
    }
    if estimates.look.is_clipped {
        warn(
            Code::OutlierRepeat,
            format!(
                "{place}: one repeat is far from the others and was clipped to 4 × the ledger's noise"
            ),
        );
    }
    if estimates.look.all.is_some_and(|all| !all.agrees) {
        warn(
            Code::StoredBaselineDisagrees,
            format!(
                "{place}: the stored baseline differs from today's measurements of the base version, so it is outdated or from another host; only today's measurements decide"
            ),
        );
    }
    found
}

/// Whether today is clearly noisier than the ledger. A rule stops using the ledger much earlier, which costs a few starts and needs
/// no warning.
fn is_noisier(today: &TodaysNoise) -> bool {
    let probabilities = [today.arms_probability, today.differences_probability];
    let mut known = probabilities.into_iter().flatten();
    today.is_doubted() && known.any(|p| p < NOISIER)
}

/// A stored baseline of a machine that the ledger does not know.
fn of_host(judged: &[Judged], pairs: u32) -> Option<Warning> {
    let is_unknown = |judged: &Judged| {
        let estimates = judged.estimates.as_ref();
        estimates.is_some_and(|estimates| {
            !estimates.is_host_known
                && (estimates.look.stored.is_some() || estimates.look.all.is_some())
        })
    };
    if !judged.iter().any(is_unknown) {
        return None;
    }
    let what = "the ledger has too few sessions of the stored baseline's machine or of this one to tell how much they differ";
    let then = if pairs == 0 {
        "at least 3 % of noise between them is assumed, which leaves most changes undecided; measure the base version on this machine too (`--base-image`, `server.base`)"
    } else {
        "today's measurements of the base version count more"
    };
    Some(Warning::new(
        Code::UnknownMachine,
        format!("{what}: {then}"),
    ))
}
