//! One search: its ends, its criteria, and its steps so far.

use std::path::{Path, PathBuf};

use super::super::CommandContext;
use super::noise::sessions_of;
use super::session::{Ends, RecordedStep, Session, key};
use crate::bisect::{BisectReport, Step};
use crate::event::BisectEvent;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files;
use crate::git::checkout::{Tree, remove_built};
use crate::git::search::Repository;
use crate::inputs::criteria::{BisectOptions, Criteria};
use crate::record::{self, Run};

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

/// Writes and shows the report of a search with its results in a folder.
pub(crate) type Summarize = fn(&BisectReport, &Path) -> Result<(), Failure>;

/// One search.
pub(crate) struct BisectRun<'a> {
    pub(crate) repository: Repository,
    pub(crate) options: &'a BisectOptions,
    pub(crate) criteria: Criteria,
    pub(crate) good: Good,
    pub(crate) good_commit: Option<String>,
    pub(crate) bad_commit: Option<String>,
    pub(crate) session: Session,
    pub(crate) summarize: Summarize,
    pub(crate) command: CommandContext<'a>,
}

impl<'a> BisectRun<'a> {
    /// The search with these ends, with earlier steps. `asked` is a commit whose files apply if the bad end is unknown.
    pub(crate) fn begin(
        repository: Repository,
        ends: Ends,
        asked: &str,
        options: &'a BisectOptions,
        summarize: Summarize,
        command: CommandContext<'a>,
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
        let criteria = Criteria::read(&repository, options, command.events)?;
        session.save(&repository)?;
        Ok(Self {
            repository,
            options,
            criteria,
            good,
            good_commit: ends.good,
            bad_commit: ends.bad,
            session,
            summarize,
            command,
        })
    }

    /// Adds a step to the search.
    pub(crate) fn remember(&mut self, kept: RecordedStep) -> Result<(), Failure> {
        self.session.take(kept);
        self.session.save(&self.repository)
    }

    pub(crate) fn emit(&self, event: BisectEvent) {
        self.command.events.emit(event);
    }

    /// Emits the result of a step.
    pub(crate) fn emit_judged(&self, step: &Step) {
        self.emit(BisectEvent::Judged(Box::new(step.clone())));
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.repository.state.join("results")
    }

    pub(crate) fn tree(&self, name: &str) -> Tree {
        Tree::named(&self.repository, name)
    }
}

fn no_search() -> Failure {
    Failure::usage("no `git bisect` is running, so the good commit is unknown").hint("begin with `perfgate bisect start GOOD BAD`, or use `--good-image` or `--good-result` to judge the checked-out commit")
}

fn good_of(options: &BisectOptions) -> Result<Good, Failure> {
    if let Some(image) = &options.good_image {
        return Ok(Good::Image(image.clone()));
    }
    let Some(path) = &options.good_result else {
        return Ok(Good::Commit);
    };
    let run = record::load(path)?;
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
    let own = [options.good_result.as_deref(), options.ledger.as_deref()];
    let files = options.files_of_criteria().into_iter().chain(own);
    for path in files.flatten() {
        // A file of the commits is read from them, and differs where git checks them out.
        let is_own = own.contains(&Some(path));
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
