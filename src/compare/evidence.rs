//! Which of the given runs are comparable, and what they are used for.

use std::collections::HashSet;

use super::comparability::{Comparability, comparability, same_fingerprint};
use crate::code::Code;
use crate::record::{Content, Mark, Run, is_same_run, marks, marks_of};
use crate::report::comparison::Difference;
use crate::text::count::count;

/// All runs that were given.
#[derive(Clone, Copy, Debug, Default)]
pub struct ComparisonInputs<'a> {
    /// A stored baseline and the candidate's repeats that are compared with it.
    pub stored: Option<(&'a Run, &'a Run)>,
    /// Baseline and candidate measured alternately on one machine: repeats *i* of both form a pair.
    pub pairs: Option<(&'a Run, &'a Run)>,
    /// Without a stored baseline: repeats of the candidate beside the pairs.
    pub beside: Option<&'a Run>,
    /// Accepted sessions, oldest first.
    pub ledger: &'a [Run],
    /// The last release, if it is kept.
    pub release: Option<&'a Run>,
    /// The same run was given for both sides: one file twice, or a copy.
    pub is_one_run: bool,
}

/// The runs that are comparable.
#[derive(Clone, Debug, Default)]
pub struct ComparableInputs<'a> {
    /// As given; `None` if it is not comparable and there are pairs.
    pub stored: Option<(&'a Run, &'a Run)>,
    /// As given.
    pub pairs: Option<(&'a Run, &'a Run)>,
    /// The candidate's repeats beside the pairs, if they are of the same build and machine as its repeats in pairs.
    pub beside: Option<&'a Run>,
    /// The sessions with the candidate's fingerprint.
    pub ledger: Vec<&'a Run>,
    /// The comparability of the runs that decide: the pairs if any, else the stored baseline.
    pub comparability: Comparability,
}

impl<'a> ComparableInputs<'a> {
    /// The runs whose figures are shown: the pairs if any.
    pub fn shown(&self) -> Option<(&'a Run, &'a Run)> {
        self.pairs.or(self.stored)
    }
}

/// Checks everything except the values of the metrics.
pub fn usable<'a>(given: &ComparisonInputs<'a>) -> ComparableInputs<'a> {
    let mut usable = ComparableInputs {
        stored: given.stored,
        pairs: given.pairs,
        ..ComparableInputs::default()
    };
    let against = |(baseline, candidate): (&Run, &Run)| comparability(baseline, candidate);
    let of_stored = given.stored.map(against).unwrap_or_default();
    if let Some(pairs) = given.pairs {
        let beside = given.stored.map(|(_, candidate)| candidate);
        let beside = beside.or(given.beside);
        usable.beside = beside.filter(|run| {
            // The same starts must not count twice.
            !is_same_run(&run.file, &pairs.1.file) && of_other_candidate(run, pairs.1).is_none()
        });
        usable.comparability = against(pairs);
        let machines = two_machines(pairs);
        usable.comparability.mismatches.extend(machines);
        unpaired(pairs, &mut usable.comparability);
        if let Some(stored) = given.stored {
            match why_not_used(stored, &of_stored, pairs.1) {
                Some(difference) => {
                    usable.stored = None;
                    let sentence = stored_not_used(&difference);
                    usable
                        .comparability
                        .warn(Code::StoredBaselineNotUsed, sentence);
                }
                None => usable.comparability.take_warnings(of_stored),
            }
        }
    } else {
        usable.comparability = of_stored;
    }
    if let Some(shown) = usable.shown() {
        let copied = compared_with_itself(shown, given.is_one_run);
        usable.comparability.mismatches.extend(copied);
        let (ledger, repeated) = sessions(given.ledger, shown.1);
        usable.ledger = ledger;
        if repeated > 0 {
            let lines = count(repeated, "line");
            usable.comparability.warn(
                Code::LedgerLinesRepeated,
                format!("the ledger contains the same session more than once, and it counts once: {lines} left out; `perfgate baseline verify` lists them"),
            );
        }
        let all = given.ledger.len();
        let skipped = all - usable.ledger.len() - repeated;
        if skipped > 0 {
            usable.comparability.warn(
                Code::LedgerLinesNotUsed,
                format!("{skipped} of {all} sessions in the ledger are not used for the noise: other hardware, workload or model, or this same run"),
            );
        }
    }
    usable
}

/// Why the stored baseline does not count beside pairs: it is not comparable, or the candidate's repeats against it are of
/// another build than `candidate`, its repeats in pairs.
fn why_not_used(
    stored: (&Run, &Run),
    of_stored: &Comparability,
    candidate: &Run,
) -> Option<Difference> {
    let mismatch = of_stored.mismatches.first().cloned();
    mismatch
        .or_else(|| compared_with_itself(stored, false))
        .or_else(|| of_other_candidate(stored.1, candidate))
}

/// Why two runs are not of one candidate on one machine.
fn of_other_candidate(one: &Run, other: &Run) -> Option<Difference> {
    let between = comparability(one, other);
    let builds = between.changes.into_iter().filter(is_another_build);
    let mut differences = between
        .mismatches
        .into_iter()
        .chain(another_commit(one, other))
        .chain(builds);
    differences.next()
}

/// Pairs cancel the noise of machines only if both versions were measured on one.
fn two_machines((baseline, candidate): (&Run, &Run)) -> Option<Difference> {
    let of = |run: &Run| run.file.environment.as_ref()?.machine.clone();
    let (baseline, candidate) = (of(baseline)?, of(candidate)?);
    (baseline != candidate).then(|| Difference {
        what: "the machine of the alternating repeats".to_owned(),
        baseline: Some(baseline),
        candidate: Some(candidate),
    })
}

fn stored_not_used(difference: &Difference) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!(
        "the stored baseline is not used, only the alternating repeats decide: {} is {} in the stored baseline and {} here",
        difference.what,
        side(&difference.baseline),
        side(&difference.candidate)
    )
}

/// Differences that are allowed between baseline and candidate, but not between two runs of one candidate.
fn is_another_build(change: &Difference) -> bool {
    let parts = ["image", "image digest", "arguments", "server version"];
    change.baseline.is_some() && change.candidate.is_some() && parts.contains(&change.what.as_str())
}

fn another_commit(one: &Run, other: &Run) -> Option<Difference> {
    let of = |run: &Run| run.file.source.as_ref()?.commit.clone();
    let (baseline, candidate) = (of(one)?, of(other)?);
    (baseline != candidate).then(|| Difference {
        what: "the candidate's commit".to_owned(),
        baseline: Some(baseline),
        candidate: Some(candidate),
    })
}

/// The sessions of a ledger that apply to this candidate's noise, each once and without the candidate itself, and the number
/// of duplicates.
fn sessions<'a>(ledger: &'a [Run], candidate: &Run) -> (Vec<&'a Run>, usize) {
    let of_candidate = marks_of(&candidate.file);
    let mut marks: HashSet<(&str, Mark)> = HashSet::new();
    let mut contents = HashSet::new();
    let mut repeated = 0;
    let mut found = Vec::new();
    for session in ledger {
        let own = marks_of(&session.file);
        let is_candidate =
            !own.is_disjoint(&of_candidate) || is_same_run(&session.file, &candidate.file);
        if is_candidate || !same_fingerprint(session, candidate) {
            continue;
        }
        // Both are kept, because the next session may match either.
        let is_known = own.iter().any(|mark| marks.contains(mark));
        if is_known | !contents.insert(Content::of(&session.file)) {
            repeated += 1;
            continue;
        }
        marks.extend(own);
        found.push(session);
    }
    (found, repeated)
}

fn unpaired((baseline, candidate): (&Run, &Run), found: &mut Comparability) {
    for scenario in &candidate.scenarios {
        let name = &scenario.name;
        let Some(other) = baseline.scenario(name) else {
            continue;
        };
        let (base, new) = (other.repeats.len(), scenario.repeats.len());
        if base != new {
            found.warn(
                Code::UnpairedRepeats,
                format!("scenario `{name}`: {base} alternating repeats of the baseline and {new} of the candidate; those without a partner are not used"),
            );
        }
    }
}

/// The beginning of the mismatch of a run with itself.
const SAME_MEASUREMENT: &str = "both sides contain the same measurement";

/// Whether this mismatch is that of a run with itself.
pub fn is_same_measurement(difference: &Difference) -> bool {
    difference.baseline.is_none()
        && difference.candidate.is_none()
        && difference.what.starts_with(SAME_MEASUREMENT)
}

/// Whether both sides contain the same measurement: then nothing was compared.
fn compared_with_itself(
    (baseline, candidate): (&Run, &Run),
    is_one_run: bool,
) -> Option<Difference> {
    let accepted = marks_of(&baseline.file);
    let mut new = candidate.file.scenarios.iter();
    let copied = new.find(|scenario| {
        let mut repeats = scenario.repeats.iter();
        repeats.any(|repeat| {
            let mut marks = marks(repeat).into_iter();
            marks.any(|mark| accepted.contains(&(scenario.name.as_str(), mark)))
        })
    });
    let what = match copied {
        Some(scenario) => format!("of scenario `{}`", scenario.name),
        None if is_one_run => "throughout".to_owned(),
        None => return None,
    };
    Some(Difference {
        what: format!("{SAME_MEASUREMENT} {what}, so nothing is compared"),
        baseline: None,
        candidate: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::Warning;

    fn run(gpu: &str, repeats: usize) -> Run {
        let repeats = vec![r#"{"metrics":{"qps":1}}"#; repeats].join(",");
        let json = format!(
            r#"{{"schema":"perfgate.result/1","environment":{{"gpus":[{{"name":"{gpu}"}}]}},
                "workload":{{"digest":"sha256:a"}},"scenarios":[{{"name":"c","repeats":[{repeats}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn codes<'a>(usable: &'a ComparableInputs<'_>) -> Vec<&'a str> {
        usable
            .comparability
            .warnings
            .iter()
            .map(Warning::code)
            .collect()
    }

    #[test]
    fn without_pairs_another_gpu_is_a_mismatch_and_with_pairs_only_the_stored_baseline_is_left_out()
    {
        let (old, new) = (run("A100", 3), run("H100", 3));
        let given = ComparisonInputs {
            stored: Some((&old, &new)),
            ..ComparisonInputs::default()
        };
        assert!(!usable(&given).comparability.mismatches.is_empty());
        let given = ComparisonInputs {
            pairs: Some((&new, &new)),
            ..given
        };
        let usable = usable(&given);
        assert!(usable.comparability.mismatches.is_empty() && usable.stored.is_none());
        assert_eq!(codes(&usable), ["stored-baseline-not-used"]);
    }

    #[test]
    fn sessions_of_other_hardware_do_not_count_for_the_noise() {
        let (here, elsewhere) = (run("H100", 3), run("A100", 3));
        let ledger = [here.clone(), elsewhere];
        let candidate = run("H100", 4);
        let usable = usable(&ComparisonInputs {
            stored: Some((&here, &candidate)),
            ledger: &ledger,
            ..ComparisonInputs::default()
        });
        assert_eq!(usable.ledger.len(), 1);
        assert_eq!(codes(&usable), ["ledger-lines-not-used"]);
    }

    #[test]
    fn repeats_without_a_partner_are_a_warning() {
        let (base, candidate) = (run("H100", 3), run("H100", 2));
        let usable = usable(&ComparisonInputs {
            pairs: Some((&base, &candidate)),
            ..ComparisonInputs::default()
        });
        assert_eq!(codes(&usable), ["unpaired-repeats"]);
    }
}
