//! Objections to accepting a run as the baseline.

use ObjectionKind::{Change, Doubt, NoEvidence, Older};

use super::judged;
use super::look::{Labels, ThisLook};
use super::rule::Policy;
use super::sentence::{percent, signed_percent};
use super::verdict::compare_evidence;
use crate::compare::{self, ComparisonInputs, SideValues};
use crate::metric::Metric;
use crate::record::{Run, ScenarioRun, is_measured_before};
use crate::report::comparison::{Difference, Judgement, Status};
use crate::stats::{self, Noise, number};

/// The fewest repeats from which their noise can be estimated.
pub const FEWEST_REPEATS: usize = 2;

/// Sessions further than this many standard deviations from the others are outliers.
const OUTLIER: f64 = 4.0;

/// Outliers nearer than this share of the rule's limit do not matter, however low the noise of the metric is.
const OF_IMPORTANCE: f64 = 0.5;

/// With a larger share of failed requests the server is failing, and latencies cover only the requests that it served.
const MOST_FAILED: f64 = 0.01;

/// What an objection means for the promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectionKind {
    /// No repeat of a scenario counts, which no reason can overrule.
    NoEvidence,
    /// The evidence is weak or incomplete, or its origin is in doubt.
    Doubt,
    /// The run was measured before the last accepted run.
    Older,
    /// The run differs from the accepted runs, so accepting it begins a new segment of the history.
    Change,
}

/// One objection.
#[derive(Clone, Debug, PartialEq)]
pub struct Objection {
    /// What it means for the promotion.
    pub kind: ObjectionKind,
    /// The scenario and the metric of a regression or an outlier.
    pub row: Option<(String, Metric)>,
    /// The objection, in a sentence.
    pub reason: String,
}

impl Objection {
    fn new(kind: ObjectionKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            row: None,
            reason: reason.into(),
        }
    }

    fn of_row(scenario: &str, metric: Metric, reason: String) -> Self {
        Self {
            kind: Change,
            row: Some((scenario.to_owned(), metric)),
            reason,
        }
    }

    /// Whether a reason can overrule it. A run without a counting repeat cannot be accepted.
    pub fn can_be_overruled(&self) -> bool {
        self.kind != NoEvidence
    }
}

/// The accepted runs that the run is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    /// The baseline, if any.
    pub baseline: Option<&'a Run>,
    /// The sessions of the ledger's last segment, oldest first.
    pub segment: &'a [Run],
    /// Name of the main branch.
    pub main: &'a str,
    /// Whether the run is of the main branch.
    pub is_of_main: bool,
}

/// All objections to accepting `run`, the most serious first.
pub fn objections(policy: &Policy, run: &Run, accepted: Accepted<'_>) -> Vec<Objection> {
    let mut found = Vec::new();
    for scenario in &run.scenarios {
        found.extend(of_scenario(policy, scenario));
    }
    found.extend(of_source(run, accepted));
    if let Some(baseline) = accepted.baseline {
        found.extend(of_history(run, baseline, accepted.segment));
        found.extend(against_baseline(policy, run, baseline, accepted.segment));
    }
    found.extend(outliers(policy, run, accepted.segment, &found));
    found.sort_by_key(Objection::can_be_overruled);
    found
}

fn of_scenario(policy: &Policy, scenario: &ScenarioRun) -> Vec<Objection> {
    let name = &scenario.name;
    let (counting, all) = (scenario.counting().count(), scenario.repeats.len());
    if counting == 0 {
        let last = scenario.repeats.last();
        let reason = last.and_then(|repeat| repeat.void.as_ref());
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let reason = format!("no repeat of {name} counts{reason}");
        return vec![Objection::new(NoEvidence, reason)];
    }
    let mut found = Vec::new();
    let mut doubt = |reason| found.push(Objection::new(Doubt, reason));
    if counting < FEWEST_REPEATS {
        doubt(format!(
            "{counting} of {all} repeats of {name} count, and a baseline needs {FEWEST_REPEATS}"
        ));
    }
    let (failed, all) = compare::failed_and_all(scenario);
    let share = number(failed) / number(all.max(1));
    if share > MOST_FAILED {
        let share = percent(share);
        doubt(format!("{share} of the requests of {name} failed"));
    }
    for rule in policy.rules_for(name) {
        if let Some(missing) = SideValues::of(rule.metric, Some(scenario)).missing {
            doubt(format!("{} at {name}: {missing}", rule.metric.label()));
        }
    }
    found
}

fn of_source(run: &Run, accepted: Accepted<'_>) -> Vec<Objection> {
    let source = run.file.source.as_ref();
    let main = accepted.main;
    let mut found = Vec::new();
    let mut doubt = |reason: String| found.push(Objection::new(Doubt, reason));
    if source.is_none_or(|source| source.commit.is_none()) {
        doubt("the measured commit is unknown".to_owned());
    }
    if !accepted.is_of_main {
        doubt(match source.and_then(|source| source.branch.as_ref()) {
            Some(branch) => format!("it was measured on `{branch}`, not on `{main}`"),
            None => format!("its branch is unknown; a baseline must be measured on `{main}`"),
        });
    }
    if source.is_some_and(|source| source.dirty == Some(true)) {
        doubt("the work tree had uncommitted changes".to_owned());
    }
    found
}

/// Whether the run is newer than the accepted runs.
fn of_history(run: &Run, baseline: &Run, segment: &[Run]) -> Vec<Objection> {
    let mut found = Vec::new();
    // A baseline written by hand has no ledger.
    if segment.is_empty() && baseline.file.promotion.is_some() {
        found.push(Objection::new(
            Doubt,
            "the ledger of the baseline is missing, and accepting this run would start a new one",
        ));
    }
    if is_measured_before(&run.file, &baseline.file) {
        let accepted = baseline.file.created.as_deref().unwrap_or_default();
        let reason = format!("it was measured before the accepted run of {accepted}");
        found.push(Objection::new(Older, reason));
    }
    found
}

/// The run, judged as a candidate with all evidence.
fn against_baseline(policy: &Policy, run: &Run, baseline: &Run, segment: &[Run]) -> Vec<Objection> {
    let given = ComparisonInputs {
        stored: Some((baseline, run)),
        ledger: segment,
        ..ComparisonInputs::default()
    };
    let comparison = compare_evidence(policy, &given, Labels::default(), ThisLook::ONLY);
    if !comparison.mismatches.is_empty() {
        let mismatches = comparison.mismatches.iter();
        return mismatches
            .map(|mismatch| Objection::new(Change, not_comparable(mismatch)))
            .collect();
    }
    let rows = comparison.judgements.iter();
    rows.filter(|row| row.status == Status::Regressed)
        .map(|row| Objection::of_row(&row.scenario, row.metric, regressed(row)))
        .collect()
}

fn not_comparable(mismatch: &Difference) -> String {
    let Difference {
        what,
        baseline,
        candidate,
    } = mismatch;
    // Where neither side has a value, `what` is the sentence.
    if baseline.is_none() && candidate.is_none() {
        return what.clone();
    }
    let [baseline, candidate] = [baseline, candidate].map(|side| side.as_deref().unwrap_or("none"));
    format!("{what} differs from the baseline: {baseline} → {candidate}")
}

fn regressed(row: &Judgement) -> String {
    let change = row
        .change
        .map(|change| format!(": {}", signed_percent(change.value)));
    let limit = row
        .rule
        .regression
        .map(|limit| format!(" (limit {})", percent(limit)));
    format!(
        "{} at {} is worse than the baseline{}{}",
        row.metric.label(),
        row.scenario,
        change.unwrap_or_default(),
        limit.unwrap_or_default()
    )
}

/// Far from the sessions of the ledger in either direction, except metrics with an objection already.
fn outliers(policy: &Policy, run: &Run, segment: &[Run], listed: &[Objection]) -> Vec<Objection> {
    let sessions: Vec<&Run> = segment.iter().collect();
    let mut found = Vec::new();
    for scenario in &run.scenarios {
        let name = &scenario.name;
        for rule in policy.rules_for(name) {
            let metric = rule.metric;
            let is_here = |row: &(String, Metric)| row.0 == *name && row.1 == metric;
            let is_listed = listed
                .iter()
                .any(|objection| objection.row.as_ref().is_some_and(is_here));
            let Some(limit) = rule.limits.regression.filter(|_| !is_listed) else {
                continue;
            };
            // Sessions with another definition of the metric are not comparable.
            let logs: Vec<Vec<f64>> = judged::sessions(metric, name, Some(scenario), &sessions)
                .into_iter()
                .map(|session| session.repeats.into_iter().map(|(log, _)| log).collect())
                .collect();
            let own = SideValues::of(metric, Some(scenario)).logs;
            let Some((distance, deviation)) = distance(&own, &logs) else {
                continue;
            };
            if distance.abs() > OUTLIER * deviation
                && distance.abs() > OF_IMPORTANCE * limit.ln_1p()
            {
                let reason = format!(
                    "{} at {name} is {} from the median of the ledger, whose sessions differ by {}",
                    metric.label(),
                    signed_percent(judged::ratio(metric, distance)),
                    percent(deviation.exp_m1())
                );
                found.push(Objection::of_row(name, metric, reason));
            }
        }
    }
    found
}

/// Distance of a session from the median of others, and the standard deviation of one, on the log scale. `None` where there
/// are too few others.
fn distance(own: &[f64], sessions: &[Vec<f64>]) -> Option<(f64, f64)> {
    let noise = Noise::learn(sessions, 0.0)?;
    let locations: Vec<f64> = sessions
        .iter()
        .filter_map(|session| stats::huber_location(session, noise.repeat))
        .collect();
    let middle = stats::median(&locations)?;
    let location = stats::huber_location(own, noise.repeat)?;
    let of_repeats = noise.repeat.powi(2) / number(own.len() as u64);
    // The median of the others has an error too.
    let of_middle = (noise.host.powi(2) + of_repeats) / number(locations.len() as u64);
    let deviation = (noise.host.powi(2) + of_repeats + of_middle).sqrt();
    Some((location - middle, deviation))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "main";

    fn run(tpot: &[f64], source: &str) -> Run {
        let repeat = |tpot: &f64| {
            format!(
                r#"{{"requests":{{"completed":200}},"metrics":{{"tpot.p95":{tpot},"throughput":3000,"ttft.p95":0.1,"gpu_memory.peak":7e10}}}}"#
            )
        };
        let repeats: Vec<String> = tpot.iter().map(repeat).collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","source":{source},"scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    const OF_MAIN: &str = r#"{"commit":"abc","branch":"main","dirty":false}"#;

    fn sentences(run: &Run, baseline: Option<&Run>, segment: &[Run]) -> Vec<String> {
        let accepted = Accepted {
            baseline,
            segment,
            main: MAIN,
            is_of_main: run
                .file
                .source
                .as_ref()
                .is_some_and(|source| source.branch.as_deref() == Some(MAIN)),
        };
        objections(&Policy::standard(), run, accepted)
            .into_iter()
            .map(|objection| objection.reason)
            .collect()
    }

    fn quiet_ledger() -> Vec<Run> {
        let session = |index: u32| {
            let level = 0.02 * (1.0 + 0.001 * f64::from(index % 3));
            run(&[level, level * 1.002, level * 0.998], OF_MAIN)
        };
        (0..8).map(session).collect()
    }

    #[test]
    fn a_run_of_main_like_those_before_has_no_objection() {
        let ledger = quiet_ledger();
        let run = run(&[0.02, 0.02004, 0.01997], OF_MAIN);
        assert_eq!(
            sentences(&run, ledger.last(), &ledger),
            Vec::<String>::new()
        );
        assert_eq!(sentences(&run, None, &[]), Vec::<String>::new());
    }

    #[test]
    fn all_objections_are_listed_at_once() {
        let run = run(
            &[0.03],
            r#"{"commit":"abc","branch":"feature","dirty":true}"#,
        );
        let ledger = quiet_ledger();
        insta::assert_snapshot!(sentences(&run, ledger.last(), &ledger).join("\n"), @r"
        1 of 1 repeats of c count, and a baseline needs 2
        it was measured on `feature`, not on `main`
        the work tree had uncommitted changes
        TPOT P95 at c is worse than the baseline: +49.9 % (limit 5.0 %)
        ");
    }

    #[test]
    fn a_much_faster_run_is_an_outlier_too() {
        let ledger = quiet_ledger();
        let run = run(&[0.016, 0.01604, 0.01597], OF_MAIN);
        insta::assert_snapshot!(sentences(&run, ledger.last(), &ledger).join("\n"), @"TPOT P95 at c is −20.1 % from the median of the ledger, whose sessions differ by 0.2 %");
    }

    #[test]
    fn a_run_in_which_nothing_counts_can_never_be_accepted() {
        let json = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[
            {"metrics":{"tpot.p95":1},"void":"GPU throttled"}]}]}"#;
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        let accepted = Accepted {
            baseline: None,
            segment: &[],
            main: MAIN,
            is_of_main: true,
        };
        let found = objections(&Policy::standard(), &run, accepted);
        assert!(!found[0].can_be_overruled(), "{found:?}");
        assert_eq!(found[0].reason, "no repeat of c counts: GPU throttled");
    }
}
