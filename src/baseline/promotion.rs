//! Promotion of a run to the baseline, safe against concurrent promotions, crashes and full disks.
//!
//! The ledger is written first, then the baseline, each atomically: after the first write the ledger contains the run, and a
//! repeated promotion completes the rest. In a folder a lock excludes concurrent promotions. A bucket has no locks: the
//! ledger is replaced only if it has not changed since it was judged; otherwise the promotion reads and judges it again.
//! The baseline follows the ledger: it is replaced only while this session is the last of the ledger, and only if it is
//! the one that was read *before* the ledger, so that a slow promotion cannot overwrite a later one.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::bucket::{Bucket, BucketError};
use super::folder::lock;
use super::place::{Backend, BaselineError, Part, Place, StoredRuns};
use crate::event::StorageEvent;
use crate::files;
use crate::record::format::ResultFile;
use crate::record::{self, is_same_run};

/// How long to retry while other promotions finish first.
const PATIENCE: Duration = Duration::from_mins(1);

/// The first wait after a conflict, about the time of one promotion, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const MAX_WAIT: Duration = Duration::from_secs(2);

/// What a promotion changes.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The new session of the ledger.
    pub session: Option<ResultFile>,
    /// The run that becomes the baseline.
    pub baseline: Option<ResultFile>,
    /// The run that becomes the last release.
    pub release: Option<ResultFile>,
}

impl Change {
    /// The files that follow the ledger.
    fn runs(&self) -> impl Iterator<Item = (Part, &ResultFile)> {
        let runs = [
            (Part::Baseline, &self.baseline),
            (Part::Release, &self.release),
        ];
        let runs = runs.into_iter();
        runs.filter_map(|(part, run)| Some((part, run.as_ref()?)))
    }
}

/// How a promotion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is the baseline.
    Current,
    /// The run is in the ledger, but another run was accepted right after it and is the baseline.
    Overtaken,
}

/// Growing random waits between retries.
struct Waiting {
    began: Instant,
    rounds: u32,
}

impl Place {
    /// Calls `decide` with the stored runs and applies its change. After a conflict it calls `decide` again with the new
    /// stored runs.
    pub fn promote<T, E: From<BaselineError>>(
        &self,
        mut decide: impl FnMut(&StoredRuns) -> Result<(T, Change), E>,
    ) -> Result<(T, Ended), E> {
        match &self.backend {
            Backend::Folder(folder) => self.promote_in_folder(folder, decide),
            Backend::Bucket(bucket) => self.promote_in_bucket(bucket, &mut decide),
        }
    }

    fn promote_in_folder<T, E: From<BaselineError>>(
        &self,
        folder: &Path,
        mut decide: impl FnMut(&StoredRuns) -> Result<(T, Change), E>,
    ) -> Result<(T, Ended), E> {
        let file = |part| folder.join(self.object(part));
        let baseline = file(Part::Baseline);
        // A second promotion judges the state after the first.
        let _lock = lock(baseline.parent().unwrap_or(folder))?;
        let (value, change) = decide(&self.read()?)?;
        if let Some(session) = &change.session {
            let ledger = with_session(self.bytes(Part::Ledger)?, session)?;
            files::write_atomically(&file(Part::Ledger), &ledger).map_err(BaselineError::from)?;
        }
        for (part, run) in change.runs() {
            files::write_atomically(&file(part), &written(run)?)
                .map_err(|error| unfinished(error.into()))?;
        }
        Ok((value, Ended::Current))
    }

    fn promote_in_bucket<T, E: From<BaselineError>>(
        &self,
        bucket: &Bucket,
        decide: &mut impl FnMut(&StoredRuns) -> Result<(T, Change), E>,
    ) -> Result<(T, Ended), E> {
        bucket.check().map_err(BaselineError::from)?;
        let ledger_object = self.object(Part::Ledger);
        let mut tried: Option<(T, Change)> = None;
        let mut waiting = Waiting::new();
        let (value, change) = loop {
            let fetch = |part| {
                bucket
                    .fetch(&self.object(part))
                    .map_err(BaselineError::from)
            };
            let baseline = fetch(Part::Baseline)?;
            let ledger = fetch(Part::Ledger)?;
            let release = fetch(Part::Release)?;
            let replaced = ledger.as_ref().map(|ledger| ledger.version.clone());
            let ledger = ledger.map(|ledger| ledger.bytes);
            let stored_runs = self.stored_runs(
                baseline.map(|baseline| baseline.bytes),
                ledger.clone(),
                release.map(|release| release.bytes),
            )?;
            // An earlier attempt may have succeeded although its answer was lost.
            let is_stored = |session: &ResultFile| {
                let mut ledger = stored_runs.ledger.iter();
                ledger.any(|there| is_same_run(&there.file, session))
            };
            if let Some(stored) =
                tried.take_if(|(_, change)| change.session.as_ref().is_some_and(is_stored))
            {
                break stored;
            }
            let (value, change) = decide(&stored_runs)?;
            let Some(session) = &change.session else {
                break (value, change);
            };
            let won = bucket
                .put(
                    &ledger_object,
                    with_session(ledger, session)?,
                    replaced.as_ref(),
                )
                .map_err(|error| {
                    // It is unknown whether the server stored it.
                    let is_unclear = matches!(error, BucketError::Unreachable(_));
                    let error = BaselineError::from(error);
                    if is_unclear { unfinished(error) } else { error }
                })?;
            if won {
                break (value, change);
            }
            tried = Some((value, change));
            waiting.again(bucket, &self.shown(Part::Ledger))?;
        };
        let ended = self.follow(bucket, &change).map_err(unfinished)?;
        Ok((value, ended))
    }

    /// The steps after the ledger: the baseline, if its session is still the last, and the release.
    fn follow(&self, bucket: &Bucket, change: &Change) -> Result<Ended, BaselineError> {
        let mut ended = Ended::Current;
        for (part, run) in change.runs() {
            let mut waiting = Waiting::new();
            let object = self.object(part);
            loop {
                let there = bucket.fetch(&object)?;
                let replaced = there.as_ref().map(|there| there.version.clone());
                if part == Part::Baseline {
                    // In this order: a program that changes the ledger after this read also writes the baseline.
                    let ledger = bucket.fetch(&self.object(Part::Ledger))?;
                    let [there, ledger] = [there, ledger].map(|file| file.map(|file| file.bytes));
                    let stored_runs = self.stored_runs(there, ledger, None)?;
                    let is_last = |last: &record::Run| is_same_run(&last.file, run);
                    if !stored_runs.ledger.last().is_some_and(is_last) {
                        ended = Ended::Overtaken;
                        break;
                    }
                    if stored_runs.baseline.as_ref().is_some_and(is_last) {
                        break;
                    }
                }
                if bucket.put(&object, written(run)?, replaced.as_ref())? {
                    break;
                }
                waiting.again(bucket, &self.shown(part))?;
            }
        }
        Ok(ended)
    }
}

impl Waiting {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            rounds: 0,
        }
    }

    /// Waits before the next attempt; an error after the time limit.
    fn again(&mut self, bucket: &Bucket, object: &str) -> Result<(), BaselineError> {
        self.rounds += 1;
        let elapsed = self.began.elapsed();
        if elapsed > PATIENCE {
            return Err(BaselineError::from(BucketError::Contended {
                object: object.to_owned(),
                rounds: self.rounds,
                seconds: elapsed.as_secs(),
            }));
        }
        if self.rounds == 1 {
            bucket.events().emit(StorageEvent::PromotionAgain {
                file: object.to_owned(),
            });
        }
        let most = MAX_WAIT.min(FIRST_WAIT * 2_u32.pow(self.rounds.min(6)));
        // Seeded per process, so that two processes do not collide again.
        let chance = RandomState::new().build_hasher().finish() % 1000;
        std::thread::sleep(most / 1000 * u32::try_from(chance).unwrap_or(0));
        Ok(())
    }
}

fn unfinished(error: BaselineError) -> BaselineError {
    BaselineError::Unfinished {
        source: Box::new(error),
    }
}

/// The ledger with another session at its end.
fn with_session(ledger: Option<Vec<u8>>, session: &ResultFile) -> Result<Vec<u8>, BaselineError> {
    let mut text = ledger.unwrap_or_default();
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(record::line(session)?.as_bytes());
    Ok(text)
}

fn written(run: &ResultFile) -> Result<Vec<u8>, BaselineError> {
    Ok(record::readable(run)?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::{Repeat, SCHEMA, Scenario};

    fn session(qps: f64) -> ResultFile {
        let repeat = Repeat {
            metrics: [("qps".to_owned(), Some(qps))].into(),
            ..Repeat::default()
        };
        ResultFile {
            schema: SCHEMA.to_owned(),
            scenarios: vec![Scenario {
                name: "c".to_owned(),
                repeats: vec![repeat],
                ..Scenario::default()
            }],
            ..ResultFile::default()
        }
    }

    fn accept(place: &Place, qps: f64) {
        let run = session(qps);
        let change = Change {
            session: Some(run.clone()),
            baseline: Some(run),
            release: None,
        };
        let decided = |_: &StoredRuns| Ok::<_, BaselineError>(((), change.clone()));
        assert_eq!(place.promote(decided).unwrap().1, Ended::Current);
    }

    #[test]
    fn sessions_are_added_as_lines_also_after_a_missing_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        accept(&place, 1.0);
        let ledger = place.file(Part::Ledger).unwrap();
        let text = files::read_text(&ledger).unwrap();
        files::write_atomically(&ledger, text.trim_end().as_bytes()).unwrap();
        accept(&place, 2.0);
        let stored_runs = place.read().unwrap();
        assert_eq!(stored_runs.ledger.len(), 2);
        assert_eq!(stored_runs.baseline.unwrap().file, session(2.0));
        assert!(stored_runs.release.is_none());
    }

    #[test]
    fn two_concurrent_promotions_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        std::thread::scope(|scope| {
            for writer in 0..4_u32 {
                let place = &place;
                scope.spawn(move || {
                    for round in 0..25_u32 {
                        accept(place, f64::from(writer * 100 + round) + 1.0);
                    }
                });
            }
        });
        assert_eq!(place.read().unwrap().ledger.len(), 100);
    }

    #[test]
    fn between_two_writes_the_ledger_has_the_last_accepted_run() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        accept(&place, 1.0);
        let before = files::read(&place.file(Part::Baseline).unwrap()).unwrap();
        accept(&place, 2.0);
        files::write_atomically(&place.file(Part::Baseline).unwrap(), &before).unwrap();
        let stored_runs = place.read().unwrap();
        assert_eq!(stored_runs.accepted_last().unwrap().file, session(2.0));
        assert_eq!(stored_runs.baseline.unwrap().file, session(1.0));
    }
}
