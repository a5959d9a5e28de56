//! Publishing on GitHub: the destination, the acceptance of a regression, then comment, status and check run. It never
//! changes the decision.

pub(super) mod annotations;
mod channels;
pub(super) mod step;

use std::path::Path;
use std::time::Duration;

use crate::app::Context;
use crate::failure::Failure;
use crate::git::work_tree;
use crate::inputs::plan::DEFAULT_FILE;
use crate::interrupt::Interrupt;
use crate::terminal::progress::note;
pub(super) use channels::{PublishResult, Trust};

use crate::cli::publish::{CommentWhen, PublishArgs};
use crate::exit::ExitStatus;
use crate::policy::{accept, is_judged_by_own_files};
use crate::publish::acceptance::{Found, Question};
use crate::publish::change::{Change, Target};
use crate::publish::client::{Client, ClientError, Patience};
use crate::publish::event::{self, Occasion, Pull, Repository, RunId};
use crate::publish::payload::Event;
use crate::publish::pulls::{self, NoPullRequest, PullRequest};
use crate::publish::sha::Sha;
use crate::report::comparison::{Acceptance, Comparison, Verdict};
use crate::text::sanitize;

/// Default address of the API.
const DEFAULT_API: &str = "https://api.github.com";

/// Default address of the web pages.
const DEFAULT_SERVER: &str = "https://github.com";

/// Whether to publish.
pub(super) enum Publishing<'a> {
    /// No, with the reason and the commit of the verdict, if the event contains it and it is checked out.
    Off(&'static str, Option<Sha>),
    /// GitHub.
    On(Box<Publisher<'a>>),
}

/// The publisher of a step.
pub(super) struct Publisher<'a> {
    args: &'a PublishArgs,
    /// The configuration file of the gate, its name until its real name is known.
    configuration: String,
    runtime: tokio::runtime::Runtime,
    client: Client,
    repository: Repository,
    occasion: Occasion,
    /// The checked-out commit (`GITHUB_SHA`): a merge for a pull request.
    checked_out: Option<String>,
    /// The GraphQL endpoint.
    graphql: String,
    run: RunId,
    /// The page of the measuring run.
    run_page: Option<String>,
    /// Whether the token belongs to a person.
    of_a_person: bool,
}

/// The commit and the pull request, queried if the event does not contain them.
#[derive(Default)]
pub(super) struct Place {
    head: Option<Sha>,
    pub(super) number: Option<u64>,
    /// The base branch.
    base: Option<String>,
    /// Why a query found none.
    nowhere: Option<NoPullRequest>,
    /// Why a part is unknown.
    problem: Option<ClientError>,
}

impl Place {
    /// The change on which the verdict is published, in its current state on GitHub.
    pub(super) fn change(&self) -> Option<Change> {
        self.number?;
        let target = self.base.clone();
        Some(Change {
            target: target.map_or(Target::Main, Target::Branch),
            head: self.head.clone(),
            base: None,
        })
    }

    /// Why there is no pull request for a comment; `None` if there is one.
    pub(super) fn no_pull_request_reason(&self) -> Option<String> {
        let why = match (&self.number, &self.problem, &self.nowhere) {
            (Some(_), _, _) => return None,
            (None, Some(problem), _) => problem.to_string(),
            (None, None, why) => why.as_ref().unwrap_or(&NoPullRequest::None).to_string(),
        };
        Some(sanitize::line(&why))
    }
}

impl<'a> Publishing<'a> {
    /// From flags and environment, before any measurement. A failure if publishing is required but impossible.
    /// `configuration` is the gate's configuration file.
    pub(super) fn prepare(
        args: &'a PublishArgs,
        configuration: &str,
        context: &Context,
    ) -> Result<Self, Failure> {
        let publishing = Publisher::prepare(args, configuration, context)?;
        let required = args.require_publish || args.comment == CommentWhen::Always;
        match &publishing {
            Self::Off(why, _) if required => Err(Failure::environment(format!("cannot publish: {why}"))
            .hint("set `env: {GITHUB_TOKEN: ${{ github.token }}}` in the step, or remove `--require-publish` and `--comment always`")),
            Self::Off(..) | Self::On(_) => Ok(publishing),
        }
    }
}

impl Publishing<'_> {
    /// Where to publish the result of the next measurement. A failure if that is not the checked-out commit: a verdict is
    /// published only on the measured commit.
    pub(super) fn place_of_checkout(&self) -> Result<Place, Failure> {
        let Self::On(publisher) = self else {
            return Ok(Place::default());
        };
        let place = publisher.place();
        check_checkout(&place)?;
        Ok(place)
    }

    /// GitHub, if perfgate publishes.
    pub(super) fn publisher(&self) -> Option<&Publisher<'_>> {
        match self {
            Self::Off(..) => None,
            Self::On(publisher) => Some(publisher),
        }
    }

    /// The commit of the verdict, if known.
    pub(super) fn head(&self, place: &Place) -> Option<String> {
        let head = match self {
            Self::Off(_, head) => head.as_ref(),
            Self::On(_) => place.head.as_ref(),
        };
        head.map(|head| head.text().to_owned())
    }

    /// [`Publisher::acceptance`] at the place. Queries again what was unknown before the measurement; a failure if the commit
    /// is not the measured one.
    pub(super) fn acceptance(
        &self,
        comparison: &Comparison,
        place: Place,
    ) -> Result<(Option<Acceptance>, Vec<String>, Place), Failure> {
        let Self::On(publisher) = self else {
            return Ok((None, Vec::new(), place));
        };
        let place = if place.problem.is_some() {
            let place = publisher.place();
            check_checkout(&place)?;
            check_question(comparison, &place).inspect_err(|failure| {
                publisher.without_verdict(failure, &place, comparison.name.as_deref());
            })?;
            place
        } else {
            publisher.client.begin();
            place
        };
        let (acceptance, notes) = publisher.acceptance(comparison, &place);
        Ok((acceptance, notes, place))
    }

    /// Sets a status for a gate without a verdict, so that an earlier run's status does not stay. `name` is the gate's name,
    /// if known.
    pub(super) fn without_verdict(&self, failure: &Failure, place: &Place, name: Option<&str>) {
        if let Self::On(publisher) = self
            && failure.status != ExitStatus::Interrupted
        {
            publisher.without_verdict(failure, place, name);
        }
    }
}

impl<'a> Publisher<'a> {
    fn prepare(
        args: &'a PublishArgs,
        configuration: &str,
        context: &Context,
    ) -> Result<Publishing<'a>, Failure> {
        let variable = |name: &str| (context.environment)(name).filter(|value| !value.is_empty());
        let Some(repository) = variable("GITHUB_REPOSITORY") else {
            return Ok(Publishing::Off("GITHUB_REPOSITORY is not set", None));
        };
        let repository = Repository::parse(&repository).ok_or_else(|| {
            Failure::usage(format!(
                "`{}` is not a valid repository (GITHUB_REPOSITORY)",
                sanitize::line(&repository)
            ))
        })?;
        let Some(token) = variable("GITHUB_TOKEN") else {
            let head = head_of_event(&repository, &variable);
            return Ok(Publishing::Off("GITHUB_TOKEN is not set", head));
        };
        let occasion = match occasion(&repository, &variable)? {
            Some(occasion) => occasion,
            None if args.pull_request.is_some() => Occasion::default(),
            None => {
                return Ok(Publishing::Off(
                    "neither an event (GITHUB_EVENT_NAME) nor `--pull-request` is set",
                    None,
                ));
            }
        };
        let patience = Patience {
            second: Duration::from_millis(args.github_second_ms),
            request: Duration::from_millis(args.github_timeout_ms),
            most: args.publish_timeout.as_secs(),
        };
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| DEFAULT_API.to_owned());
        let client = Client::new(&api, &token, patience, note)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let graphql = variable("GITHUB_GRAPHQL_URL").unwrap_or_else(|| graphql_beside(&api));
        let number = |name: &str| variable(name).and_then(|value| value.parse().ok());
        let this_run = RunId {
            run: number("GITHUB_RUN_ID").unwrap_or(0),
            attempt: number("GITHUB_RUN_ATTEMPT").unwrap_or(1),
        };
        let run = occasion.measured_by.unwrap_or(this_run);
        let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let run_page = (run.run > 0).then(|| {
            format!(
                "{}/{}/actions/runs/{}",
                server.trim_end_matches('/'),
                repository.name(),
                run.run
            )
        });
        let of_a_person = ["ghp_", "github_pat_", "gho_", "ghu_"]
            .iter()
            .any(|kind| token.starts_with(kind));
        Ok(Publishing::On(Box::new(Self {
            args,
            configuration: configuration.to_owned(),
            runtime: crate::runner::runtime(|| {})?,
            client,
            repository,
            occasion,
            checked_out: variable("GITHUB_SHA"),
            graphql,
            run,
            run_page,
            of_a_person,
        })))
    }

    /// Queries what the event does not contain. Starts the time limit of publishing.
    pub(super) fn place(&self) -> Place {
        self.client.begin();
        let occasion = &self.occasion;
        let known = match &occasion.pull {
            Pull::Known(number) => Some(*number),
            Pull::OfHead | Pull::OfBranch(_) | Pull::None => None,
        };
        let named = self.args.pull_request;
        // Another pull request than the event's has another head and base.
        let is_of_event = named.is_none() || named == known;
        let mut place = Place {
            head: occasion.head.clone().filter(|_| is_of_event),
            number: named.or(known),
            base: occasion.base.clone().filter(|_| is_of_event),
            nowhere: None,
            problem: None,
        };
        // The event of a fork's run has its commit but no pull request; the commit stays the same.
        if named.is_some() && matches!(occasion.pull, Pull::OfBranch(_)) {
            place.head.clone_from(&occasion.head);
        }
        let asked = self.until_interrupted(async {
            match (&place.head, place.number) {
                (Some(head), None) => match self.pull_of(head).await? {
                    Ok(found) => {
                        place.number = Some(found.number);
                        place.base = Some(found.base.branch).filter(|base| !base.is_empty());
                    }
                    Err(why) => place.nowhere = Some(why),
                },
                (None, Some(number)) => {
                    let pull = pulls::numbered(&self.client, &self.repository, number).await?;
                    place.head = Sha::parse(&pull.head.sha);
                    place.base = Some(pull.base.branch).filter(|base| !base.is_empty());
                }
                (_, _) => {}
            }
            Ok(())
        });
        place.problem = asked.unwrap_or_else(|| Err(interrupted())).err();
        place
    }

    /// Its current text; `None` with a warning if it cannot be read.
    pub(super) fn current_text(&self, number: u64) -> Option<String> {
        self.client.begin();
        let asked =
            self.until_interrupted(pulls::numbered(&self.client, &self.repository, number))?;
        match asked {
            Ok(pull) => Some(pull.body.unwrap_or_default()),
            Err(error) => {
                note(&format!(
                    "warning: cannot read the current text of the pull request; perfgate uses the event's text: {}",
                    sanitize::line(&error.to_string())
                ));
                None
            }
        }
    }

    /// The result of `work`, or `None` after a signal. Waits for GitHub can last minutes.
    fn until_interrupted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            let Ok(interrupt) = Interrupt::listen() else {
                return Some(work.await);
            };
            let token = interrupt.token();
            tokio::select! {
                done = work => Some(done),
                () = token.cancelled() => None,
            }
        })
    }

    /// The pull request, if the event does not contain its number.
    async fn pull_of(&self, head: &Sha) -> Result<Result<PullRequest, NoPullRequest>, ClientError> {
        let (client, ours) = (&self.client, &self.repository);
        match &self.occasion.pull {
            Pull::OfHead => pulls::of_commit(client, ours, head).await,
            Pull::OfBranch(branch) => pulls::of_branch(client, ours, branch, head).await,
            Pull::Known(_) | Pull::None => Ok(Err(NoPullRequest::None)),
        }
    }

    /// Checks that the comparison is of the commit of this step.
    pub(super) fn check_commit(
        &self,
        comparison: &Comparison,
        place: &Place,
    ) -> Result<(), String> {
        let Some(head) = &place.head else {
            return Ok(());
        };
        let candidate = &comparison.candidate;
        let measured = comparison.head.as_ref().or(candidate.commit.as_ref());
        let Some(measured) = measured else {
            return Err("the comparison contains no commit".to_owned());
        };
        let is_checked_out = self.checked_out.as_ref() == Some(measured);
        if measured == head.text() || comparison.head.is_none() && is_checked_out {
            return Ok(());
        }
        Err(format!(
            "the comparison is of {}, but this step is for {}",
            sanitize::line(&measured.chars().take(10).collect::<String>()),
            head.short()
        ))
    }

    /// The label that accepts a regression; `None` if it is disabled or there is no pull request.
    pub(super) fn accept_label(&self, place: &Place) -> Option<&str> {
        let label = self.args.accept_label.trim();
        let is_there = place.number.is_some() && place.head.is_some();
        (is_there && !label.is_empty()).then_some(label)
    }

    /// The acceptance of the regression, if any; else a note for the report.
    pub(super) fn acceptance(
        &self,
        comparison: &Comparison,
        place: &Place,
    ) -> (Option<Acceptance>, Vec<String>) {
        // Query an earlier acceptance again: the label may have been removed.
        let judged = accept(comparison.clone(), None);
        let blocked = matches!(judged.verdict, Verdict::Block | Verdict::Report);
        let (Some(number), Some(head), Some(label), true) =
            (place.number, &place.head, self.accept_label(place), blocked)
        else {
            return (None, Vec::new());
        };
        let question = Question {
            client: &self.client,
            repository: &self.repository,
            number,
            head,
            label,
            moment: &self.occasion.moment,
        };
        let shown = sanitize::line(label);
        let asked = self.until_interrupted(question.ask());
        let warning = match asked.unwrap_or_else(|| Err(interrupted())) {
            Ok(Found::Accepted(acceptance)) => return (Some(acceptance), Vec::new()),
            // The Markdown explains how to request it.
            Ok(Found::NotAsked) => return (None, Vec::new()),
            Ok(Found::Lacking(why)) => format!(
                "the label `{shown}` is set but does not count: {}",
                sanitize::line(&why)
            ),
            Err(error) => format!(
                "unknown whether the regression was accepted: {}",
                sanitize::line(&error.to_string())
            ),
        };
        note(&format!("warning: {warning}"));
        (None, vec![warning])
    }
}

/// The current text of the event's pull request, for a command that does not publish.
pub(super) fn current_text(context: &Context) -> Option<String> {
    let defaults = PublishArgs::defaults()?;
    match Publisher::prepare(&defaults, DEFAULT_FILE, context).ok()? {
        Publishing::On(publisher) => match publisher.occasion.pull {
            Pull::Known(number) => publisher.current_text(number),
            Pull::OfHead | Pull::OfBranch(_) | Pull::None => None,
        },
        Publishing::Off(..) => None,
    }
}

/// The event of this step, if any.
fn occasion(
    repository: &Repository,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Occasion>, Failure> {
    let event = variable("GITHUB_EVENT_NAME").zip(variable("GITHUB_EVENT_PATH"));
    let Some((name, path)) = event else {
        return Ok(None);
    };
    let content = Event::read(Path::new(&path));
    let commit = variable("GITHUB_SHA");
    content
        .and_then(|content| event::occasion(&name, &content, repository, commit.as_deref()))
        .map(Some)
        .map_err(|error| Failure::usage(sanitize::line(&error.to_string())))
}

/// The head of an event, if it or a merge of it is checked out.
fn head_of_event(
    repository: &Repository,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<Sha> {
    let head = occasion(repository, variable).ok()??.head?;
    is_or_merges(&work_tree::commit_and_parents()?, &head).then_some(head)
}

/// Checks that the work tree is at the commit of this step or at a merge of it.
fn check_checkout(place: &Place) -> Result<(), Failure> {
    let Some(head) = &place.head else {
        return Ok(());
    };
    let why = match work_tree::commit_and_parents() {
        None => "git reports no checked-out commit".to_owned(),
        Some(checked_out) if is_or_merges(&checked_out, head) => return Ok(()),
        Some((commit, _)) => {
            let short: String = commit.chars().take(10).collect();
            format!("{short} is checked out")
        }
    };
    Err(Failure::environment(format!(
        "the verdict would be published on {}, but another commit would be measured: {why}",
        head.short()
    ))
    .hint("check out the pull request's head or its merge with actions/checkout (`ref: refs/pull/N/merge`), or measure without GITHUB_TOKEN"))
}

/// Checks that the base set the question, if GitHub reported the change only after the measurement.
fn check_question(comparison: &Comparison, place: &Place) -> Result<(), Failure> {
    let is_asked =
        comparison.decision.baseline_commit.is_some() || is_judged_by_own_files(comparison);
    match place.number {
        Some(number) if !is_asked => Err(Failure::environment(format!(
            "the verdict would be published on pull request {number}, which GitHub reported only after the measurement, so the change was judged by its own files"
        ))
        .hint("run it again: the base of the pull request is now known")),
        Some(_) | None => Ok(()),
    }
}

/// Whether the commit is that head or a merge of it.
fn is_or_merges((commit, parents): &(String, Vec<String>), head: &Sha) -> bool {
    commit == head.text() || (parents.len() > 1 && parents.iter().any(|one| one == head.text()))
}

/// The GraphQL endpoint of a REST API: an Enterprise server has both below `/api`.
fn graphql_beside(api: &str) -> String {
    let api = api.trim_end_matches('/');
    format!("{}/graphql", api.strip_suffix("/v3").unwrap_or(api))
}

fn interrupted() -> ClientError {
    ClientError::Setup("interrupted".to_owned())
}
