//! Objections to accepting a run as the baseline.

use std::fmt;

use super::judged;
use super::look::{Labels, ThisLook};
use super::rule::Policy;
use super::sentence::{percent, signed_percent};
use super::verdict::compare_evidence;
use crate::compare::{self, ComparisonInputs, SideValues};
use crate::metric::Metric;
use crate::record::{Run, ScenarioRun, is_measured_before};
use crate::report::comparison::{Judgement, Status};
use crate::stats::{self, Noise, number};

/// The fewest repeats from which their noise can be estimated.
pub const FEWEST_REPEATS: usize = 3;

/// Sessions further than this many standard deviations from the others are outliers.
const OUTLIER: f64 = 4.0;

/// Outliers nearer than this share of the rule's limit do not matter, however low the noise of the metric is.
const OF_IMPORTANCE: f64 = 0.5;

/// With a larger share of failed requests the server is failing, and latencies cover only the requests that it served.
const MOST_FAILED: f64 = 0.01;

/// One objection.
#[derive(Clone, Debug, PartialEq)]
pub enum Objection {
    /// No repeat of a scenario counts.
    NothingCounts {
        /// The scenario.
        scenario: String,
        /// Why its last repeat does not count.
        reason: Option<String>,
    },
    /// Too few repeats of a scenario count.
    TooFewRepeats {
        /// The scenario.
        scenario: String,
        /// Repeats that count.
        counting: usize,
        /// All repeats.
        all: usize,
    },
    /// A metric that a rule watches has no usable value.
    NotMeasured {
        /// The scenario.
        scenario: String,
        /// The metric.
        metric: Metric,
        /// Why.
        reason: String,
    },
    /// Too many requests failed.
    Failed {
        /// The scenario.
        scenario: String,
        /// Share of requests.
        share: f64,
    },
    /// The run is not of the main branch.
    OtherBranch {
        /// Its branch, where it is known.
        branch: Option<String>,
        /// The main branch.
        main: String,
    },
    /// The work tree had uncommitted changes.
    Dirty,
    /// The measured commit is unknown.
    NoCommit,
    /// It is older than the last accepted run.
    Older {
        /// When the last accepted run was measured.
        accepted: String,
    },
    /// The baseline was accepted into a ledger that no longer exists.
    LedgerGone,
    /// Other hardware or another workload than the baseline's.
    NotComparable {
        /// What differs.
        what: String,
        /// The baseline's, where it is known.
        baseline: Option<String>,
        /// The run's.
        candidate: Option<String>,
    },
    /// It regressed against the baseline by a rule of the policy.
    Regressed {
        /// The scenario.
        scenario: String,
        /// The metric.
        metric: Metric,
        /// By how much, as a ratio.
        change: Option<f64>,
        /// The rule's limit.
        limit: Option<f64>,
    },
    /// It is far from the sessions of the ledger.
    Outlier {
        /// The scenario.
        scenario: String,
        /// The metric.
        metric: Metric,
        /// Distance from their median, as a ratio; positive is worse.
        change: f64,
        /// Standard deviation of a session, as a ratio.
        deviation: f64,
    },
}

impl Objection {
    /// Whether a reason can overrule it. A run without a counting repeat cannot be accepted.
    pub fn can_be_overruled(&self) -> bool {
        !matches!(self, Self::NothingCounts { .. })
    }

    /// The scenario and the metric of a regression or an outlier.
    pub fn row(&self) -> Option<(&str, Metric)> {
        match self {
            Self::Regressed {
                scenario, metric, ..
            }
            | Self::Outlier {
                scenario, metric, ..
            } => Some((scenario, *metric)),
            Self::NothingCounts { .. }
            | Self::TooFewRepeats { .. }
            | Self::NotMeasured { .. }
            | Self::Failed { .. }
            | Self::OtherBranch { .. }
            | Self::Dirty
            | Self::NoCommit
            | Self::Older { .. }
            | Self::LedgerGone
            | Self::NotComparable { .. } => None,
        }
    }

    /// Whether accepting the run begins a new segment of the history.
    pub fn opens_a_segment(&self) -> bool {
        matches!(
            self,
            Self::NotComparable { .. } | Self::Regressed { .. } | Self::Outlier { .. }
        )
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingCounts { scenario, reason } => {
                write!(f, "no repeat of {scenario} counts")?;
                match reason {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            Self::TooFewRepeats {
                scenario,
                counting,
                all,
            } => write!(
                f,
                "{counting} of {all} repeats of {scenario} count, and a baseline needs {FEWEST_REPEATS}"
            ),
            Self::NotMeasured {
                scenario,
                metric,
                reason,
            } => write!(f, "{} at {scenario}: {reason}", metric.label()),
            Self::Failed { scenario, share } => {
                write!(
                    f,
                    "{} of the requests of {scenario} failed",
                    percent(*share)
                )
            }
            Self::OtherBranch {
                branch: Some(branch),
                main,
            } => write!(f, "it was measured on `{branch}`, not on `{main}`"),
            Self::OtherBranch { branch: None, main } => {
                write!(f, "its branch is unknown; a baseline must be measured on `{main}`")
            }
            Self::Dirty => f.write_str("the work tree had uncommitted changes"),
            Self::NoCommit => f.write_str("the measured commit is unknown"),
            Self::Older { accepted } => {
                write!(f, "it was measured before the accepted run of {accepted}")
            }
            Self::LedgerGone => f.write_str(
                "the ledger of the baseline is missing, and accepting this run would start a new one",
            ),
            // Where neither side has a value, `what` is the sentence.
            Self::NotComparable {
                what,
                baseline: None,
                candidate: None,
            } => f.write_str(what),
            Self::NotComparable {
                what,
                baseline,
                candidate,
            } => write!(
                f,
                "{what} differs from the baseline: {} → {}",
                baseline.as_deref().unwrap_or("none"),
                candidate.as_deref().unwrap_or("none")
            ),
            Self::Regressed {
                scenario,
                metric,
                change,
                limit,
            } => {
                let place = format!("{} at {scenario}", metric.label());
                f.write_str(&worse(&place, *change, *limit))
            }
            Self::Outlier {
                scenario,
                metric,
                change,
                deviation,
            } => write!(
                f,
                "{} at {scenario} is {} from the median of the ledger, whose sessions differ by {}",
                metric.label(),
                signed_percent(*change),
                percent(*deviation)
            ),
        }
    }
}

fn worse(place: &str, change: Option<f64>, limit: Option<f64>) -> String {
    let change = change.map(|change| format!(": {}", signed_percent(change)));
    let limit = limit.map(|limit| format!(" (limit {})", percent(limit)));
    format!(
        "{place} is worse than the baseline{}{}",
        change.unwrap_or_default(),
        limit.unwrap_or_default()
    )
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
    let name = || scenario.name.clone();
    let counting = scenario.counting().count();
    if counting == 0 {
        let last = scenario.repeats.last();
        return vec![Objection::NothingCounts {
            scenario: name(),
            reason: last.and_then(|repeat| repeat.void.clone()),
        }];
    }
    let mut found = Vec::new();
    if counting < FEWEST_REPEATS {
        found.push(Objection::TooFewRepeats {
            scenario: name(),
            counting,
            all: scenario.repeats.len(),
        });
    }
    let (failed, all) = compare::failed_and_all(scenario);
    let share = number(failed) / number(all.max(1));
    if share > MOST_FAILED {
        found.push(Objection::Failed {
            scenario: name(),
            share,
        });
    }
    for rule in policy.rules_for(&scenario.name) {
        let side = SideValues::of(rule.metric, Some(scenario));
        found.extend(side.missing.map(|missing| Objection::NotMeasured {
            scenario: name(),
            metric: rule.metric,
            reason: missing.to_string(),
        }));
    }
    found
}

fn of_source(run: &Run, accepted: Accepted<'_>) -> Vec<Objection> {
    let source = run.file.source.as_ref();
    let mut found = Vec::new();
    if source.is_none_or(|source| source.commit.is_none()) {
        found.push(Objection::NoCommit);
    }
    let branch = source.and_then(|source| source.branch.clone());
    if !accepted.is_of_main {
        found.push(Objection::OtherBranch {
            branch,
            main: accepted.main.to_owned(),
        });
    }
    if source.is_some_and(|source| source.dirty == Some(true)) {
        found.push(Objection::Dirty);
    }
    found
}

/// Whether the run is newer than the accepted runs.
fn of_history(run: &Run, baseline: &Run, segment: &[Run]) -> Vec<Objection> {
    let mut found = Vec::new();
    // A baseline written by hand has no ledger.
    if segment.is_empty() && baseline.file.promotion.is_some() {
        found.push(Objection::LedgerGone);
    }
    if is_measured_before(&run.file, &baseline.file) {
        found.push(Objection::Older {
            accepted: baseline.file.created.clone().unwrap_or_default(),
        });
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
    let mismatches = comparison
        .mismatches
        .iter()
        .map(|mismatch| Objection::NotComparable {
            what: mismatch.what.clone(),
            baseline: mismatch.baseline.clone(),
            candidate: mismatch.candidate.clone(),
        });
    let mut found: Vec<Objection> = mismatches.collect();
    if found.is_empty() {
        let regressed = comparison
            .judgements
            .iter()
            .filter(|row| row.status == Status::Regressed);
        found.extend(regressed.map(of_row));
    }
    found
}

fn of_row(row: &Judgement) -> Objection {
    Objection::Regressed {
        scenario: row.scenario.clone(),
        metric: row.metric,
        change: row.change.map(|change| change.value),
        limit: row.rule.regression,
    }
}

/// Far from the sessions of the ledger in either direction, except metrics with an objection already.
fn outliers(policy: &Policy, run: &Run, segment: &[Run], listed: &[Objection]) -> Vec<Objection> {
    let sessions: Vec<&Run> = segment.iter().collect();
    let mut found = Vec::new();
    for scenario in &run.scenarios {
        for rule in policy.rules_for(&scenario.name) {
            let metric = rule.metric;
            let is_listed = listed.iter().any(|objection| {
                matches!(objection, Objection::Regressed { scenario: at, metric: of, .. }
                    if *at == scenario.name && *of == metric)
            });
            let Some(limit) = rule.limits.regression.filter(|_| !is_listed) else {
                continue;
            };
            let logs = judged::ScenarioEvidence {
                name: &scenario.name,
                // Sessions with another definition of the metric are not comparable.
                stored: Some((None, Some(scenario))),
                pairs: None,
                ledger: &sessions,
            }
            .sessions(metric);
            let own = SideValues::of(metric, Some(scenario)).logs;
            let Some((distance, deviation)) = distance(&own, &logs) else {
                continue;
            };
            if distance.abs() > OUTLIER * deviation
                && distance.abs() > OF_IMPORTANCE * limit.ln_1p()
            {
                found.push(Objection::Outlier {
                    scenario: scenario.name.clone(),
                    metric,
                    change: judged::ratio(metric, distance),
                    deviation: deviation.exp_m1(),
                });
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
            .iter()
            .map(ToString::to_string)
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
            &[0.03, 0.0301],
            r#"{"commit":"abc","branch":"feature","dirty":true}"#,
        );
        let ledger = quiet_ledger();
        insta::assert_snapshot!(sentences(&run, ledger.last(), &ledger).join("\n"), @"
        2 of 2 repeats of c count, and a baseline needs 3
        it was measured on `feature`, not on `main`
        the work tree had uncommitted changes
        TPOT P95 at c is worse than the baseline: +50.1 % (limit 5.0 %)
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
        assert_eq!(found[0].to_string(), "no repeat of c counts: GPU throttled");
    }
}
