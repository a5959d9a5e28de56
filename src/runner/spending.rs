//! Spending of α and β by the runs of one head commit, and the evidence that a run may extend. Another build, machine or
//! baseline starts new evidence with the remaining looks: deleting evidence does not refund spending.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::evidence::EvidenceFolder;
use super::lock::Lock;
use crate::event::{Events, GateEvent};
use crate::failure::Failure;
use crate::failure::of_adapters::{cannot_keep, unreadable};
use crate::files;
use crate::record::Run;
use crate::report::comparison::LookTaken;
use crate::trial::{ErrorsLeft, StoredBaseline};

/// The value of `schema` in the file.
const SCHEMA: &str = "perfgate.spent/1";

/// Characters of a digest in the name of a file or folder.
const KEY_LENGTH: usize = 12;

/// Placeholder for a missing baseline.
const NO_BASELINE: &str = "none";

/// Finds the accepted runs of the measured machine; `None` if there are none.
pub(crate) type FindStored<'a> = dyn Fn(&Run) -> Result<Option<StoredBaseline>, Failure> + 'a;

/// The file: all interim looks at one head commit under one gate's name.
#[derive(Debug, Serialize, Deserialize)]
struct Spent {
    schema: String,
    head: String,
    gate: String,
    runs: Vec<Series>,
}

/// Evidence that belongs together.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Series {
    /// Name of its folder.
    evidence: String,
    /// Digest of its build.
    build: String,
    /// The machine.
    machine: String,
    /// What it measures, and when it looks; absent in the files of perfgate 0.1, whose evidence is not continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    /// Digest of the baseline of its looks; absent before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<String>,
    /// The looks taken, also if the evidence is gone.
    #[serde(default)]
    looks: Vec<LookTaken>,
}

/// The order of measurements and looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Schedule {
    /// Repeats of the candidate.
    Repeats,
    /// A start of the candidate, then pairs, with a look after each.
    Pairs,
}

/// Identifies a series of evidence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    /// The judged commit: the head of a pull request.
    pub(crate) head: &'a str,
    /// The gate's name.
    pub(crate) gate: &'a str,
    /// The build, as a digest.
    pub(crate) build: &'a str,
    /// The machine.
    pub(crate) machine: &'a str,
    /// The schedule of this run.
    pub(crate) schedule: Schedule,
}

/// The locked spending of one head commit.
#[derive(Debug)]
pub(crate) struct Spending {
    parent: PathBuf,
    path: PathBuf,
    spent: RefCell<Spent>,
    /// The series of this run.
    current: RefCell<usize>,
    build: String,
    machine: String,
    schedule: Schedule,
    events: Events,
    _lock: Lock,
}

impl Spending {
    /// Locks and reads it.
    pub(crate) fn open(parent: &Path, of: Of<'_>, events: &Events) -> Result<Self, Failure> {
        let key = short(&format!("{}\n{}", of.head, of.gate));
        let path = parent.join(format!("spent-{key}.json"));
        let shown = format!("the evidence of this commit in `{}`", parent.display());
        let lock = Lock::take(&parent.join(format!(".spent-{key}.lock")), &shown, events)?;
        let spent = match files::read_if_there(&path).map_err(unreadable)? {
            Some(bytes) => read(&path, &bytes)?,
            None => Spent {
                schema: SCHEMA.to_owned(),
                head: of.head.to_owned(),
                gate: of.gate.to_owned(),
                runs: Vec::new(),
            },
        };
        Ok(Self {
            parent: parent.to_owned(),
            path,
            spent: RefCell::new(spent),
            current: RefCell::new(0),
            build: of.build.to_owned(),
            machine: of.machine.to_owned(),
            schedule: of.schedule,
            events: events.clone(),
            _lock: lock,
        })
    }

    /// The evidence that this run may extend: of this build, machine and current baseline.
    pub(crate) fn evidence(&self, find_stored: &FindStored<'_>) -> Result<EvidenceFolder, Failure> {
        let count = self.spent.borrow().runs.len();
        // Newest first: an older series may belong to another build.
        for index in (0..count).rev() {
            let series = self.spent.borrow().runs[index].clone();
            if series.machine != self.machine {
                continue;
            }
            let folder = EvidenceFolder::at(self.parent.join(&series.evidence));
            if series.schedule != Some(self.schedule) {
                if folder.has_repeats() {
                    self.events.emit(GateEvent::OtherSchedule);
                    break;
                }
                continue;
            }
            if series.build == self.build && is_continued(&series, &folder, find_stored)? {
                self.current.replace(index);
                return Ok(folder);
            }
        }
        self.begin_series()
    }

    /// Begins a new series of evidence.
    pub(crate) fn begin_series(&self) -> Result<EvidenceFolder, Failure> {
        let key = short(&format!("{}\n{}", self.build, self.machine));
        let mut spent = self.spent.borrow_mut();
        let mut name = key.clone();
        let mut number = 1;
        let taken = |name: &str, spent: &Spent| {
            spent.runs.iter().any(|series| series.evidence == name)
                || self.parent.join(name).exists()
        };
        while taken(&name, &spent) {
            number += 1;
            name = format!("{key}-{number}");
        }
        spent.runs.push(Series {
            evidence: name.clone(),
            build: self.build.clone(),
            machine: self.machine.clone(),
            schedule: Some(self.schedule),
            baseline: None,
            looks: Vec::new(),
        });
        self.current.replace(spent.runs.len() - 1);
        drop(spent);
        self.save()?;
        Ok(EvidenceFolder::at(self.parent.join(name)))
    }

    /// What looks at other or deleted evidence of this head commit left.
    pub(crate) fn left(&self) -> ErrorsLeft {
        let current = *self.current.borrow();
        let spent = self.spent.borrow();
        let others = spent.runs.iter().enumerate();
        others
            .filter(|(index, _)| *index != current)
            .fold(ErrorsLeft::ALL, |left, (_, series)| {
                left.after(&series.looks)
            })
    }

    /// Counts the looks at the current evidence before the last result is shown.
    pub(crate) fn note(
        &self,
        looks: &[LookTaken],
        stored: Option<&StoredBaseline>,
    ) -> Result<(), Failure> {
        let digest = digest_of(stored)?;
        let current = *self.current.borrow();
        if let Some(series) = self.spent.borrow_mut().runs.get_mut(current) {
            series.baseline = Some(digest);
            // A restored older folder must not refund what was spent.
            if series.looks.len() <= looks.len() {
                series.looks = looks.to_vec();
            }
        }
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(&*self.spent.borrow())?;
        files::write_atomically(&self.path, &json).map_err(cannot_keep)
    }
}

/// Whether the evidence of a series is complete and valid for the current baseline. Deleted or older evidence is not continued,
/// but its looks count.
fn is_continued(
    series: &Series,
    folder: &EvidenceFolder,
    find_stored: &FindStored<'_>,
) -> Result<bool, Failure> {
    if series.looks.is_empty() {
        return Ok(true);
    }
    let looks = folder
        .last_look()?
        .map_or(0, |last| last.decision.looks.len());
    // A gate that was killed between both files has counted a look that is not in the folder.
    let has_looks = looks + 1 >= series.looks.len();
    let pairs = series
        .looks
        .iter()
        .map(|look| look.pairs)
        .max()
        .unwrap_or(0);
    let (Some(measured), true) = (folder.candidate()?, has_looks && folder.pairs()? >= pairs)
    else {
        return Ok(false);
    };
    let known = series.baseline.as_deref().unwrap_or(NO_BASELINE);
    Ok(digest_of(find_stored(&measured)?.as_ref())? == known)
}

/// The digest of the accepted run, independent of file name and format.
fn digest_of(stored: Option<&StoredBaseline>) -> Result<String, Failure> {
    let Some(stored) = stored else {
        return Ok(NO_BASELINE.to_owned());
    };
    let json = serde_json::to_vec(&stored.run.file)?;
    Ok(format!("sha256:{:x}", Sha256::digest(&json)))
}

fn read(path: &Path, bytes: &[u8]) -> Result<Spent, Failure> {
    let broken = |why: String| {
        let message = format!("`{}` cannot be used: {why}", path.display());
        Failure::usage(message).hint(
            "it counts the interim looks at this commit, which limits the error rate: restore it, or remove it to count from zero",
        )
    };
    let spent: Spent = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if spent.schema != SCHEMA {
        return Err(broken(format!("its schema is `{}`", spent.schema)));
    }
    match spent.runs.iter().find(|series| !is_name(&series.evidence)) {
        Some(series) => Err(broken(format!(
            "`{}` is not the name of an evidence folder",
            series.evidence
        ))),
        None => Ok(spent),
    }
}

/// A short name that identifies a text.
fn short(text: &str) -> String {
    let digest = format!("{:x}", Sha256::digest(text.as_bytes()));
    digest.chars().take(KEY_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::event::Event;
    use crate::exit::ExitStatus;
    use crate::policy::rule::Policy;
    use crate::policy::{Labels, compare_runs};
    use crate::report::comparison::Verdict;
    use crate::runner::evidence::EvidenceFile;

    fn look(pairs: u32, share: f64) -> LookTaken {
        LookTaken {
            repeats: 1,
            pairs,
            alpha: share,
            beta: share,
            verdict: Verdict::Inconclusive,
        }
    }

    fn of<'a>(build: &'a str, machine: &'a str) -> Of<'a> {
        Of {
            head: "abc",
            gate: "demo",
            build,
            machine,
            schedule: Schedule::Pairs,
        }
    }

    fn open(parent: &Path, build: &str, machine: &str) -> Spending {
        Spending::open(parent, of(build, machine), &Events::ignored()).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "the signature of `FindStored`")]
    fn nothing(_: &Run) -> Result<Option<StoredBaseline>, Failure> {
        Ok(None)
    }

    /// Keeps these looks, and as many repeats and pairs as the last one saw.
    fn measured(folder: &EvidenceFolder, looks: &[LookTaken]) {
        folder.create().unwrap();
        let pairs = looks.last().map_or(1, |look| look.pairs.max(1));
        let repeats = vec![r#"{"metrics":{"qps":1}}"#; pairs as usize].join(",");
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{repeats}]}}]}}"#
        );
        for side in EvidenceFile::ALL {
            files::write_atomically(&folder.path(side), json.as_bytes()).unwrap();
        }
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        let (policy, labels) = (Policy::standard(), Labels::default());
        let mut comparison = compare_runs(&policy, &run, &run, labels);
        comparison.decision.looks = looks.to_vec();
        folder.keep(&comparison).unwrap();
    }

    fn share(spending: &Spending) -> f64 {
        let left = spending.left();
        assert!((left.alpha - left.beta).abs() < 1e-12);
        left.alpha
    }

    #[test]
    fn another_build_or_machine_has_other_evidence_and_earlier_spending_counts() {
        let parent = tempfile::tempdir().unwrap();
        let spending = open(parent.path(), "one", "here");
        let first = spending.evidence(&nothing).unwrap();
        assert!(share(&spending) >= 1.0);
        let looks = [look(1, 0.1), look(2, 0.15)];
        measured(&first, &looks);
        spending.note(&looks[..1], None).unwrap();
        spending.note(&looks, None).unwrap();
        // Looks of the current evidence are counted there.
        assert!(share(&spending) >= 1.0);
        drop(spending);
        for (build, machine) in [("two", "here"), ("one", "there")] {
            let spending = open(parent.path(), build, machine);
            let other = spending.evidence(&nothing).unwrap();
            assert_ne!(
                other.path(EvidenceFile::Candidate),
                first.path(EvidenceFile::Candidate)
            );
            assert!((share(&spending) - 0.75).abs() < 1e-12);
        }
        let again = open(parent.path(), "one", "here");
        let folder = again.evidence(&nothing).unwrap();
        assert_eq!(
            folder.path(EvidenceFile::Candidate),
            first.path(EvidenceFile::Candidate)
        );
    }

    #[test]
    fn deleted_evidence_does_not_refund_spending() {
        let parent = tempfile::tempdir().unwrap();
        let spending = open(parent.path(), "one", "here");
        spending.evidence(&nothing).unwrap();
        spending.note(&[look(2, 0.25)], None).unwrap();
        drop(spending);
        let again = open(parent.path(), "one", "here");
        again.evidence(&nothing).unwrap();
        assert!((share(&again) - 0.75).abs() < 1e-12);
        again.note(&[look(2, 0.5)], None).unwrap();
        drop(again);
        let third = open(parent.path(), "one", "here");
        third.evidence(&nothing).unwrap();
        assert!((share(&third) - 0.75 * 0.5).abs() < 1e-12);
    }

    #[test]
    fn deleted_pairs_or_an_older_copy_of_the_evidence_are_not_continued() {
        let looks = [look(1, 0.1), look(2, 0.1), look(3, 0.1)];
        for (kept, pairs) in [(3, 1), (1, 3)] {
            let parent = tempfile::tempdir().unwrap();
            let spending = open(parent.path(), "one", "here");
            let first = spending.evidence(&nothing).unwrap();
            measured(&first, &looks);
            spending.note(&looks, None).unwrap();
            drop(spending);
            let seen: Vec<LookTaken> = looks[..kept].to_vec();
            let of_pairs = LookTaken { pairs, ..looks[0] };
            measured(&first, &[of_pairs]);
            let path = first
                .path(EvidenceFile::Candidate)
                .with_file_name("comparison.json");
            let text = std::fs::read(&path).unwrap();
            let mut comparison: serde_json::Value = serde_json::from_slice(&text).unwrap();
            comparison["decision"]["looks"] = serde_json::to_value(&seen).unwrap();
            files::write_atomically(&path, comparison.to_string().as_bytes()).unwrap();
            let again = open(parent.path(), "one", "here");
            let other = again.evidence(&nothing).unwrap();
            assert_ne!(
                other.path(EvidenceFile::Candidate),
                first.path(EvidenceFile::Candidate)
            );
            assert!((share(&again) - 0.7).abs() < 1e-12);
        }
    }

    #[test]
    fn evidence_of_another_schedule_is_not_continued_and_its_spending_counts() {
        let parent = tempfile::tempdir().unwrap();
        let spending = open(parent.path(), "one", "here");
        let first = spending.evidence(&nothing).unwrap();
        measured(&first, &[look(3, 0.25)]);
        spending.note(&[look(3, 0.25)], None).unwrap();
        drop(spending);
        let file = |name: &str| {
            let found = std::fs::read_dir(parent.path()).unwrap();
            let mut paths = found.map(|entry| entry.unwrap().path());
            paths
                .find(|path| path.to_string_lossy().ends_with(name))
                .unwrap()
        };
        // As an older version wrote it.
        let path = file(".json");
        let text = std::fs::read_to_string(&path).unwrap();
        let old = text.replace("      \"schedule\": \"pairs\",\n", "");
        assert_ne!(old, text);
        files::write_atomically(&path, old.as_bytes()).unwrap();
        let told = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&told);
        let events = Events::to(move |event| {
            if matches!(event, Event::Gate(GateEvent::OtherSchedule)) {
                *counter.lock().unwrap() += 1;
            }
        });
        let spending = Spending::open(parent.path(), of("one", "here"), &events).unwrap();
        let other = spending.evidence(&nothing).unwrap();
        assert_ne!(
            other.path(EvidenceFile::Candidate),
            first.path(EvidenceFile::Candidate)
        );
        assert!((share(&spending) - 0.75).abs() < 1e-12);
        assert_eq!(*told.lock().unwrap(), 1);
    }

    #[test]
    fn an_unreadable_count_is_not_zero() {
        let parent = tempfile::tempdir().unwrap();
        drop(
            open(parent.path(), "one", "here")
                .evidence(&nothing)
                .unwrap(),
        );
        let file = std::fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|ending| ending == "json"))
            .unwrap();
        for text in [
            "",
            "{}",
            r#"{"schema": "x", "head": "", "gate": "", "runs": []}"#,
        ] {
            files::write_atomically(&file, text.as_bytes()).unwrap();
            assert_eq!(
                Spending::open(parent.path(), of("one", "here"), &Events::ignored())
                    .unwrap_err()
                    .status,
                ExitStatus::Usage
            );
        }
    }
}
