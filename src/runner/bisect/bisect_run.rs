//! One search: its ends, its criteria, and its steps so far.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::criteria::Criteria;
use super::judging::is_of_commit;
use super::question::sessions_of;
use super::session::{RecordedStep, Session, key};
use crate::bisect::{BisectReport, Role, Step, StepOutcome};
use crate::cli::bisect::BisectOptions;
use crate::config::ServerPlan;
use crate::environment::Environment;
use crate::event::{BisectEvent, Events, JudgedChange};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::record_failure;
use crate::files;
use crate::git::checkout::{Tree, remove_built};
use crate::git::search::{Repository, Search};
use crate::interrupt::Interrupt;
use crate::record::{self, Run};

/// Minimum repeats of a good result to estimate its own noise: sessions of three, ten degrees of freedom.
const MIN_REPEATS_FOR_NOISE: u32 = 15;

/// The base of every comparison.
pub(crate) enum Good {
    /// A build of the good commit, measured again beside each.
    Commit,
    /// An image.
    Image(String),
    /// An earlier result.
    Result(Box<Measured>),
}

/// An earlier result of the good end.
pub(crate) struct Measured {
    pub(crate) path: PathBuf,
    pub(crate) run: Run,
    /// Runs from which its noise is estimated.
    pub(crate) ledger: Vec<Run>,
    /// In the file.
    pub(crate) digest: String,
}

/// The ends of a search, if known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(crate) good: Option<String>,
    pub(crate) bad: Option<String>,
}

impl Ends {
    /// The ends at the start of a search.
    pub(crate) fn of(search: Option<&Search>) -> Self {
        search.map_or_else(Self::default, |search| Self {
            good: Some(search.first_good.clone()),
            bad: Some(search.first_bad.clone()),
        })
    }
}

/// Writes and shows the report of a search with its results in a folder.
pub(crate) type Summarize = fn(&BisectReport, &Path) -> Result<(), Failure>;

/// Context of a search.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) environment: &'static Environment,
    pub(crate) events: &'a Events,
    pub(crate) summarize: Summarize,
    pub(crate) interrupt: &'a Interrupt,
}

/// One search.
pub(crate) struct BisectRun<'a> {
    pub(crate) repository: Repository,
    pub(crate) options: &'a BisectOptions,
    pub(crate) criteria: Criteria,
    pub(crate) good: Good,
    pub(crate) good_commit: Option<String>,
    bad_commit: Option<String>,
    pub(crate) session: Session,
    pub(crate) environment: &'static Environment,
    pub(crate) events: &'a Events,
    pub(crate) summarize: Summarize,
    pub(crate) interrupt: &'a Interrupt,
}

impl<'a> BisectRun<'a> {
    /// The search with these ends, with earlier steps. `asked` is a commit whose files apply if the bad end is unknown.
    pub(crate) fn begin(
        repository: Repository,
        ends: Ends,
        asked: &str,
        options: &'a BisectOptions,
        scene: Scene<'a>,
    ) -> Result<Self, Failure> {
        let good = good_of(options)?;
        if matches!(good, Good::Commit) && ends.good.is_none() {
            return Err(no_search());
        }
        if options.build.is_none() {
            remove_built(&repository)?;
        }
        let key = session_key(options, &ends)?;
        let last = Session::last(&repository).filter(|last| last.is_of(&key));
        let session = if let Some(session) = last {
            session
        } else {
            let tree = Tree::named(&repository, "commit");
            tree.check_out(&repository, ends.bad.as_deref().unwrap_or(asked))?;
            Criteria::keep(&repository, options, &tree)?;
            Session::new(key)
        };
        let criteria = Criteria::read(&repository, options, scene.events)?;
        session.save(&repository)?;
        Ok(Self {
            repository,
            options,
            criteria,
            good,
            good_commit: ends.good,
            bad_commit: ends.bad,
            session,
            environment: scene.environment,
            events: scene.events,
            summarize: scene.summarize,
            interrupt: scene.interrupt,
        })
    }

    /// Checks that the good end passes against itself and that the bad end blocks, unless this search already did.
    pub(crate) async fn check_ends(&mut self) -> Result<(), Failure> {
        if let Some(good) = self.good_commit.clone()
            && self.session.good_end.is_none()
        {
            self.refuse_one_server_for_both(&good)?;
            let kept = Box::pin(self.judge(Role::GoodEnd, &good, None)).await?;
            self.events.emit(judged(&kept.step));
            good_end_is_good(&kept.step)?;
            self.session.good_end = Some(kept);
            self.session.save(&self.repository)?;
        }
        if let Some(bad) = self.bad_commit.clone()
            && self.session.bad_end.is_none()
        {
            let kept = Box::pin(self.judge(Role::BadEnd, &bad, None))
                .await
                .map_err(with_other_search)?;
            self.events.emit(judged(&kept.step));
            bad_end_is_bad(&kept.step).map_err(|failure| self.with_repeats(failure))?;
            self.session.bad_end = Some(kept);
            self.session.save(&self.repository)?;
        }
        Ok(())
    }

    /// Adds a step to the search.
    pub(crate) fn remember(&mut self, kept: RecordedStep) -> Result<(), Failure> {
        self.session.take(kept);
        self.session.save(&self.repository)
    }

    /// Adds a hint if the good result has few repeats.
    fn with_repeats(&self, failure: Failure) -> Failure {
        match &self.good {
            Good::Result(result) if result.run.counting_repeats() < MIN_REPEATS_FOR_NOISE => failure.hint(format!(
                "`{}` has {} repeats: a noise estimate needs at least {MIN_REPEATS_FOR_NOISE} (`perfgate bench --repeat {MIN_REPEATS_FOR_NOISE}`) or `--ledger`; without `--good-result` the good end is measured alternately with each commit",
                result.path.display(),
                result.run.counting_repeats()
            )),
            Good::Result(_) | Good::Commit | Good::Image(_) => failure,
        }
    }

    /// An external server cannot alternate between the good end and a commit.
    fn refuse_one_server_for_both(&self, good: &str) -> Result<(), Failure> {
        let tree = self.tree("good");
        tree.check_out(&self.repository, good)?;
        let plan = self.criteria.of_commit(self.options, &tree, good)?;
        let message = match (&plan.server, &self.good) {
            (Some(ServerPlan::Url(_)), Good::Commit | Good::Image(_)) => {
                "an external server cannot be restarted for each commit and for the good end"
            }
            (None, _) => "no server is configured",
            (Some(_), _) => return Ok(()),
        };
        Err(Failure::message(ExitStatus::Usage, message).hint(
            "set how the server starts in the commit's perfgate.yaml or in `--config FILE`, or use `--image`",
        ))
    }
}

/// The result of a step.
pub(crate) fn judged(step: &Step) -> BisectEvent {
    BisectEvent::Judged {
        commit: step.commit.short().to_owned(),
        answer: step.answer.word(),
        change: step.change.as_ref().map(|change| JudgedChange {
            metric: change.metric,
            value: change.value,
            low: change.low,
            high: change.high,
        }),
        server_starts: step.server_starts,
        seconds: step.seconds,
        reason: match step.answer {
            StepOutcome::Good | StepOutcome::Bad | StepOutcome::Undecided => None,
            StepOutcome::BuildFailed | StepOutcome::TargetFailed | StepOutcome::NoConfiguration => {
                Some(step.reason.clone())
            }
        },
    }
}

fn good_end_is_good(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        StepOutcome::Good => return Ok(()),
        StepOutcome::Bad => (
            format!("the good end is slower than {}: {said}", step.against),
            "it must pass against itself: other load on this machine or a varying server makes one start slower than another (see `perfgate selftest` and `perfgate doctor`)",
        ),
        StepOutcome::Undecided
        | StepOutcome::BuildFailed
        | StepOutcome::TargetFailed
        | StepOutcome::NoConfiguration => (
            format!(
                "the comparison of the good end with {} is undecided: {said}",
                step.against
            ),
            "the noise is too large for these limits: send more requests, use a metric with less noise (P50), raise the limit, or see `perfgate doctor`",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

fn bad_end_is_bad(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        // A target that does not start counts only with `--startup-failure bad`.
        StepOutcome::Bad | StepOutcome::TargetFailed => return Ok(()),
        StepOutcome::Good => (
            format!("the bad end has no regression: {said}"),
            "select other commits, or lower the limit (`--threshold 3%`)",
        ),
        StepOutcome::Undecided | StepOutcome::BuildFailed | StepOutcome::NoConfiguration => (
            format!("the bad end is undecided: {said}"),
            "a search needs decided ends: send more requests, allow more pairs (`--max-pairs`), reduce noise on the machine (`perfgate doctor`), or use a slower commit",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

/// Adds a hint for a bad end that does not start.
fn with_other_search(failure: Failure) -> Failure {
    if is_of_commit(&failure) {
        failure.hint("`--startup-failure bad` searches for the commit that broke the start")
    } else {
        failure
    }
}

fn no_search() -> Failure {
    Failure::message(
        ExitStatus::Usage,
        "no `git bisect` is running, so the good commit is unknown",
    )
    .hint("begin with `perfgate bisect start GOOD BAD`, or use `--good-image` or `--good-result` to judge the checked-out commit")
}

fn good_of(options: &BisectOptions) -> Result<Good, Failure> {
    if let Some(image) = &options.good_image {
        return Ok(Good::Image(image.clone()));
    }
    let Some(path) = &options.good_result else {
        return Ok(Good::Commit);
    };
    let run = record::load(path).map_err(|error| record_failure(&error))?;
    let ledger = sessions_of(&run, options.ledger.as_deref())?;
    Ok(Good::Result(Box::new(Measured {
        digest: digest(path)?,
        path: path.clone(),
        run,
        ledger,
    })))
}

/// What distinguishes a search from another one: ends and options, and the files outside of the repository.
fn session_key(options: &BisectOptions, ends: &Ends) -> Result<String, Failure> {
    let mut text = format!("{} {ends:?} {options:?}", env!("CARGO_PKG_VERSION"));
    let files = [
        &options.run.config,
        &options.policy.thresholds,
        &options.good_result,
        &options.ledger,
    ];
    for path in files.into_iter().flatten() {
        // A file of the commits is read from them, and differs where git checks them out.
        let is_own = [&options.good_result, &options.ledger]
            .iter()
            .any(|own| own.as_ref() == Some(path));
        if is_own || path.is_absolute() || path.starts_with("..") {
            text.push_str(&digest(path)?);
        }
    }
    Ok(key(&text))
}

fn digest(path: &Path) -> Result<String, Failure> {
    let opened = files::open(path).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    opened
        .sha256()
        .map_err(|error| Failure::new(ExitStatus::Usage, error))
}
