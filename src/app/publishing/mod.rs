//! Telling GitHub: where to, whether the regression was accepted, and then comment, status and check run. Nothing here
//! changes what was decided but an acceptance.

mod telling;

use std::path::Path;
use std::time::Duration;

use super::progress::note;
use super::{Context, Failure, Interrupt};
pub(super) use telling::{Told, Trust};

use crate::cli::publish::{CommentWhen, PublishArgs};
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::{Comparison, Verdict};
use crate::policy::{with_acceptance, without_acceptance};
use crate::publish::acceptance::{Found, PullRequest, Question};
use crate::publish::client::{Client, ClientError, Patience};
use crate::publish::event::{self, Moment, Occasion, Pull, Repository, RunId, Sha};
use crate::publish::pulls::{self, Nowhere};
use crate::render::inert;

/// Where the API is where nobody says otherwise.
const USUAL_API: &str = "https://api.github.com";

/// Where the pages are.
const USUAL_SERVER: &str = "https://github.com";

/// Whether there is anybody to tell.
pub(super) enum Publishing<'a> {
    /// Nobody; why.
    Off(&'static str),
    /// GitHub.
    On(Box<Publisher<'a>>),
}

/// One step's word to GitHub.
pub(super) struct Publisher<'a> {
    args: &'a PublishArgs,
    runtime: tokio::runtime::Runtime,
    client: Client,
    repository: Repository,
    occasion: Occasion,
    /// The commit that was checked out (`GITHUB_SHA`): for a pull request, a merge.
    checked_out: Option<String>,
    run: RunId,
    /// The page of the run that measured.
    run_page: Option<String>,
    /// Whether the token is one of a person.
    of_a_person: bool,
}

/// The commit and the pull request, asked for where the event does not say them.
#[derive(Default)]
pub(super) struct Place {
    head: Option<Sha>,
    number: Option<u64>,
    /// Why it was asked for and there is none.
    nowhere: Option<Nowhere>,
    /// Why something of that is not known.
    problem: Option<ClientError>,
}

impl Place {
    /// Why there is no pull request to comment on; `None` where there is one.
    pub(super) fn why_nowhere(&self) -> Option<String> {
        let why = match (&self.number, &self.problem) {
            (Some(_), _) => return None,
            (None, Some(problem)) => problem.to_string(),
            (None, None) => self.nowhere.as_ref().unwrap_or(&Nowhere::None).to_string(),
        };
        Some(inert::line(&why))
    }
}

impl<'a> Publishing<'a> {
    /// From flags and environment, before anything is measured. A failure where publishing is required and cannot be.
    pub(super) fn prepare(args: &'a PublishArgs, context: &Context) -> Result<Self, Failure> {
        let publishing = Publisher::prepare(args, context)?;
        let required = args.require_publish || args.comment == CommentWhen::Always;
        match &publishing {
            Self::Off(why) if required => Err(Failure::message(
                ExitStatus::SurroundingsFailed,
                format!("nothing can be published: {why}"),
            )
            .hint("give the step `env: {GITHUB_TOKEN: ${{ github.token }}}`, or leave out `--require-publish` and `--comment always`")),
            Self::Off(_) | Self::On(_) => Ok(publishing),
        }
    }
}

impl Publishing<'_> {
    /// The commit on which the verdict will be published, where the event names it.
    pub(super) fn head(&self) -> Option<String> {
        match self {
            Self::Off(_) => None,
            Self::On(publisher) => publisher
                .occasion
                .head
                .as_ref()
                .map(|head| head.text().to_owned()),
        }
    }

    /// [`Publisher::accept`] at the place, which is asked for first.
    pub(super) fn accept(&self, comparison: Comparison) -> (Comparison, Vec<String>, Place) {
        let Self::On(publisher) = self else {
            return (comparison, Vec::new(), Place::default());
        };
        let place = publisher.place();
        let (comparison, notes) = publisher.accept(comparison, &place);
        (comparison, notes, place)
    }

    /// [`Publisher::accept_label`] there.
    pub(super) fn accept_label(&self, place: &Place) -> Option<&str> {
        match self {
            Self::Off(_) => None,
            Self::On(publisher) => publisher.accept_label(place),
        }
    }

    /// [`Publisher::publish`] there.
    pub(super) fn publish(
        &self,
        comparison: &Comparison,
        notes: Vec<String>,
        place: &Place,
    ) -> Told {
        match self {
            Self::Off(_) => Told::default(),
            Self::On(publisher) => publisher.publish(comparison, notes, place, Trust::Ours),
        }
    }
}

impl Publishing<'_> {
    /// Says on the commit that the gate ended without a verdict: a status that must be there may not be an earlier run's.
    pub(super) fn without_verdict(&self, failure: &Failure) {
        if let Self::On(publisher) = self
            && failure.status != ExitStatus::Interrupted
        {
            publisher.without_verdict(failure);
        }
    }
}

impl<'a> Publisher<'a> {
    fn prepare(args: &'a PublishArgs, context: &Context) -> Result<Publishing<'a>, Failure> {
        let variable = |name: &str| (context.environment)(name).filter(|value| !value.is_empty());
        let usage = |message: String| Failure::message(ExitStatus::Usage, message);
        let Some(token) = variable("GITHUB_TOKEN") else {
            return Ok(Publishing::Off("there is no GITHUB_TOKEN"));
        };
        let Some(repository) = variable("GITHUB_REPOSITORY") else {
            return Ok(Publishing::Off("there is no GITHUB_REPOSITORY"));
        };
        let repository = Repository::parse(&repository).ok_or_else(|| {
            usage(format!(
                "`{}` is no repository (GITHUB_REPOSITORY)",
                inert::line(&repository)
            ))
        })?;
        let event = variable("GITHUB_EVENT_NAME").zip(variable("GITHUB_EVENT_PATH"));
        let commit = variable("GITHUB_SHA");
        let occasion = match &event {
            Some((name, path)) => {
                let json = files::read(Path::new(path))
                    .map_err(|error| Failure::new(ExitStatus::Usage, error))?;
                event::occasion(name, &json, &repository, commit.as_deref())
                    .map_err(|error| usage(inert::line(&error.to_string())))?
            }
            None if args.pull_request.is_some() => Occasion {
                head: None,
                pull: Pull::None,
                from_fork: false,
                moment: Moment::Other,
                measured_by: None,
                queued: None,
            },
            None => {
                return Ok(Publishing::Off(
                    "there is no event (GITHUB_EVENT_NAME) and no `--pull-request`",
                ));
            }
        };
        let patience = Patience {
            second: Duration::from_millis(args.github_second_ms),
            request: Duration::from_millis(args.github_timeout_ms),
            ..Patience::default()
        };
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| USUAL_API.to_owned());
        let client = Client::new(&api, &token, patience, |wait| note(&inert::line(wait)))
            .map_err(|error| usage(error.to_string()))?;
        let number = |name: &str| variable(name).and_then(|value| value.parse().ok());
        let this_run = RunId {
            run: number("GITHUB_RUN_ID").unwrap_or(0),
            attempt: number("GITHUB_RUN_ATTEMPT").unwrap_or(1),
        };
        let run = occasion.measured_by.unwrap_or(this_run);
        let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| USUAL_SERVER.to_owned());
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
            runtime: super::runtime(|| {})?,
            client,
            repository,
            occasion,
            checked_out: commit,
            run,
            run_page,
            of_a_person,
        })))
    }

    /// Asks for what the event does not say.
    pub(super) fn place(&self) -> Place {
        let head = self.occasion.head.clone();
        let number = match &self.occasion.pull {
            Pull::Known(number) => Some(*number),
            Pull::OfHead | Pull::OfBranch(_) | Pull::None => None,
        };
        let number = self.args.pull_request.or(number);
        let mut place = Place {
            head,
            number,
            nowhere: None,
            problem: None,
        };
        let asked = self.until_interrupted(async {
            match (&place.head, place.number) {
                (Some(head), None) => match self.pull_of(head).await? {
                    Ok(number) => place.number = Some(number),
                    Err(why) => place.nowhere = Some(why),
                },
                (None, Some(number)) => {
                    let path = format!("repos/{}/pulls/{number}", self.repository.name());
                    let pull: PullRequest = self.client.get(&path, &[]).await?;
                    place.head = Sha::parse(&pull.head.sha);
                }
                (_, _) => {}
            }
            Ok(())
        });
        place.problem = asked.unwrap_or_else(|| Err(interrupted())).err();
        place
    }

    /// What comes of it; nothing where a signal comes first. GitHub may have to be waited for for minutes.
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

    /// The pull request of which the event does not say the number.
    async fn pull_of(&self, head: &Sha) -> Result<Result<u64, Nowhere>, ClientError> {
        let (client, ours) = (&self.client, &self.repository);
        match &self.occasion.pull {
            Pull::OfHead => pulls::of_commit(client, ours, head).await,
            Pull::OfBranch(branch) => pulls::of_branch(client, ours, branch, head).await,
            Pull::Known(number) => Ok(Ok(*number)),
            Pull::None => Ok(Err(Nowhere::None)),
        }
    }

    /// Whether the comparison is of the commit that this step is about; why not.
    pub(super) fn check_commit(
        &self,
        comparison: &Comparison,
        place: &Place,
    ) -> Result<(), String> {
        let Some(head) = &place.head else {
            return Ok(());
        };
        let measured = comparison
            .head
            .as_deref()
            .or(comparison.candidate.commit.as_deref());
        let is = |commit: &str| Some(commit) == measured;
        match measured {
            None => Err("the comparison does not say of which commit it is".to_owned()),
            Some(_) if is(head.text()) => Ok(()),
            Some(_) if comparison.head.is_none() && self.checked_out.as_deref().is_some_and(is) => {
                Ok(())
            }
            Some(measured) => Err(format!(
                "the comparison is of {}, and this is about {}",
                inert::line(&measured.chars().take(10).collect::<String>()),
                head.short()
            )),
        }
    }

    /// The label that takes a regression there; none where it is switched off or there is no pull request to set it on.
    pub(super) fn accept_label(&self, place: &Place) -> Option<&str> {
        let label = self.args.accept_label.trim();
        let is_there = place.number.is_some() && place.head.is_some();
        (is_there && !label.is_empty()).then_some(label)
    }

    /// The comparison with the regression accepted, where somebody did so; else what is to be said of it.
    pub(super) fn accept(
        &self,
        comparison: Comparison,
        place: &Place,
    ) -> (Comparison, Vec<String>) {
        // Whatever was accepted earlier is asked for again: the label may be off by now.
        let comparison = without_acceptance(comparison);
        let blocked = matches!(comparison.verdict, Verdict::Block | Verdict::Report);
        let (Some(number), Some(head), Some(label), true) =
            (place.number, &place.head, self.accept_label(place), blocked)
        else {
            return (comparison, Vec::new());
        };
        let question = Question {
            client: &self.client,
            repository: &self.repository,
            number,
            head,
            label,
            moment: &self.occasion.moment,
        };
        let shown = inert::line(label);
        let asked = self.until_interrupted(question.ask());
        match asked.unwrap_or_else(|| Err(interrupted())) {
            Ok(Found::Accepted(acceptance)) => {
                (with_acceptance(comparison, acceptance), Vec::new())
            }
            // How to ask for it stands in the Markdown.
            Ok(Found::NotAsked) => (comparison, Vec::new()),
            Ok(Found::Lacking(why)) => {
                let said = format!(
                    "the label `{shown}` is set and does not count: {}",
                    inert::line(&why)
                );
                note(&format!("warning: {said}"));
                (comparison, vec![said])
            }
            Err(error) => {
                let said = format!(
                    "it is not known whether the regression was accepted: {}",
                    inert::line(&error.to_string())
                );
                note(&format!("warning: {said}"));
                (comparison, vec![said])
            }
        }
    }
}

fn interrupted() -> ClientError {
    ClientError::Setup("interrupted".to_owned())
}
