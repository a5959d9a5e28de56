//! One search: its ends, how commits are judged, and what is known so far.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::criteria::Criteria;
use super::judging::is_of_commit;
use super::question::sessions_of;
use super::session::{Kept, Session, key};
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

/// Repeats of a good result from which its own noise is learnt: sessions of three, ten degrees of freedom.
const NOISE_IS_LEARNT_FROM: u32 = 15;

/// What every commit is compared with.
pub(crate) enum Good {
    /// A build of the good commit, measured anew beside each.
    Commit,
    /// An image.
    Image(String),
    /// What was measured before.
    Result(Box<Measured>),
}

/// What was measured of the good end before.
pub(crate) struct Measured {
    pub(crate) path: PathBuf,
    pub(crate) run: Run,
    /// Runs from which its noise is learnt.
    pub(crate) ledger: Vec<Run>,
    /// In the file.
    pub(crate) digest: String,
}

/// The ends of a search, where they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(crate) good: Option<String>,
    pub(crate) bad: Option<String>,
}

impl Ends {
    /// Those that a search was begun with.
    pub(crate) fn of(search: Option<&Search>) -> Self {
        search.map_or_else(Self::default, |search| Self {
            good: Some(search.first_good.clone()),
            bad: Some(search.first_bad.clone()),
        })
    }
}

/// Writes and shows the report of a search, whose results are in that folder.
pub(crate) type Summarize = fn(&BisectReport, &Path) -> Result<(), Failure>;

/// Where everything happens.
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
    pub(crate) bar: Criteria,
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
    /// The search with these ends, as far as it was before. `asked` is a commit whose files hold where no bad end is known.
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
        let bar = Criteria::read(&repository, options, scene.events)?;
        session.save(&repository)?;
        Ok(Self {
            repository,
            options,
            bar,
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

    /// Checks that the good end passes against itself and that the bad end blocks, unless that was done for this search.
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

    /// Takes a step of the search into what is known of it.
    pub(crate) fn remember(&mut self, kept: Kept) -> Result<(), Failure> {
        self.session.take(kept);
        self.session.save(&self.repository)
    }

    /// A good result of few repeats decides little.
    fn with_repeats(&self, failure: Failure) -> Failure {
        match &self.good {
            Good::Result(result) if result.run.counting_repeats() < NOISE_IS_LEARNT_FROM => failure.hint(format!(
                "`{}` has {} repeats: noise is learnt from {NOISE_IS_LEARNT_FROM} and more (`perfgate bench --repeat {NOISE_IS_LEARNT_FROM}`), or from `--ledger`; without `--good-result` the good end is measured alternately with each commit",
                result.path.display(),
                result.run.counting_repeats()
            )),
            Good::Result(_) | Good::Commit | Good::Image(_) => failure,
        }
    }

    /// A server that runs already cannot be the good end and a commit by turns.
    fn refuse_one_server_for_both(&self, good: &str) -> Result<(), Failure> {
        let tree = self.tree("good");
        tree.check_out(&self.repository, good)?;
        let plan = self.bar.of_commit(self.options, &tree, good)?;
        let message = match (&plan.server, &self.good) {
            (Some(ServerPlan::Url(_)), Good::Commit | Good::Image(_)) => {
                "a server that runs already is not started anew for each commit, and not the good end by turns"
            }
            (None, _) => "nothing says which server to measure",
            (Some(_), _) => return Ok(()),
        };
        Err(Failure::message(ExitStatus::Usage, message).hint(
            "let the commit's perfgate.yaml, or `--config FILE`, say how its server is started; or give `--image`",
        ))
    }
}

/// What came of a step.
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
            format!("the good end is not as fast as {}: {said}", step.against),
            "it must pass against itself: something else on this machine, or a server that changes by itself, makes one start slower than another (perfgate selftest, perfgate doctor)",
        ),
        StepOutcome::Undecided
        | StepOutcome::BuildFailed
        | StepOutcome::TargetFailed
        | StepOutcome::NoConfiguration => (
            format!("the good end cannot be told from {}: {said}", step.against),
            "the noise is too large for these limits: send more requests, take a quieter metric (P50), raise the limit, or see `perfgate doctor`",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

fn bad_end_is_bad(step: &Step) -> Result<(), Failure> {
    let said = &step.reason;
    let (message, hint) = match step.answer {
        // That it does not serve is an answer only where that is what is searched for.
        StepOutcome::Bad | StepOutcome::TargetFailed => return Ok(()),
        StepOutcome::Good => (
            format!("the bad end is not bad: {said}"),
            "there is nothing to search for: compare other commits, or lower the limit (`--threshold 3%`)",
        ),
        StepOutcome::Undecided | StepOutcome::BuildFailed | StepOutcome::NoConfiguration => (
            format!("the bad end is not certainly bad: {said}"),
            "a search needs ends that are clear: send more requests, allow more pairs (`--max-pairs`), quieten the machine (`perfgate doctor`), or take a worse commit",
        ),
    };
    Err(Failure::message(ExitStatus::NotComparable, message).hint(hint))
}

/// A bad end that does not serve is for another search.
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
        "git searches for nothing here, so nothing says which commit is good",
    )
    .hint("begin with `perfgate bisect start GOOD BAD`; or give `--good-image` or `--good-result` to judge the commit that is checked out")
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
