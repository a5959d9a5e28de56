//! The question and the server of a gate: the base of a change sets the question, the change provides the server.

use std::path::{Path, PathBuf};

use super::base_ref::{AtRef, BaseRef};
use super::plan;
use crate::cli::bench::{RunArgs, TargetArgs};
use crate::config::{self, CombinedPlan, Dataset, Plan, ServerPlan};
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;

/// Pattern of a line that every perfgate configuration has.
const MODEL_LINE: &str = "^[{ ]*[\"']?model[\"']?[[:space:]]*:";

/// What to measure.
pub(crate) struct Question {
    /// The question of the base with the server of the change and the flags.
    pub(crate) plan: Plan,
    /// The plan of the base version with its own framework, if available.
    pub(crate) base_plan: Option<Plan>,
    /// Edits of the question in the change, which take effect after the merge.
    pub(crate) edits: Vec<String>,
    /// Whether the change adds the first configuration of its repository and is judged by it.
    pub(crate) is_first: bool,
}

/// The flags.
#[derive(Clone, Copy)]
struct Asked<'a> {
    run: &'a RunArgs,
    /// Container of the base version.
    base_image: Option<&'a str>,
}

/// From the file of the flags, read at the base if there is one.
pub(crate) fn of(
    run: &RunArgs,
    base_image: Option<&str>,
    base_ref: Option<&BaseRef>,
    events: &Events,
) -> Result<Question, Failure> {
    let args = Asked { run, base_image };
    let path = plan::path(run.config.as_deref());
    let Some(base_ref) = base_ref else {
        let own = plan::of_file(run.config.as_deref())?;
        return from_parts(args, own.clone().as_ref(), own, None, events);
    };
    let at_base = at_base(path, base_ref)?;
    let own = match (run.config.as_deref(), &at_base) {
        // The change may have deleted the file.
        (Some(given), Some(_)) if !given.exists() => None,
        (given, _) => plan::of_file(given)?,
    };
    let is_outside = matches!(base_ref.read(path)?, AtRef::Outside);
    let (at_base, is_first) = match (at_base, &own) {
        (None, Some(own)) if is_outside => (Some(own.clone()), false),
        (None, Some(own)) => {
            let moved = moved(path, own, base_ref)?;
            let is_first = moved.is_none();
            (Some(moved.unwrap_or_else(|| own.clone())), is_first)
        }
        (at_base, _) => (at_base, false),
    };
    let mut question = from_parts(args, at_base.as_ref(), own, Some(base_ref), events)?;
    question.is_first = is_first;
    let called = path.display();
    if !question.edits.is_empty() {
        question.edits = vec![format!("{called}: {}", question.edits.join(", "))];
    }
    if let Some(Dataset::File(file)) = at_base.map(|plan| plan.dataset) {
        question
            .edits
            .extend(base_ref.touched([file.path.as_path()])?);
    }
    Ok(question)
}

/// The configuration at the base.
fn at_base(path: &Path, base_ref: &BaseRef) -> Result<Option<Plan>, Failure> {
    let AtRef::There(bytes) = base_ref.read(path)? else {
        return Ok(None);
    };
    let called = format!("{} of {}", path.display(), base_ref.name);
    plan::of_text(path, &called, &String::from_utf8_lossy(&bytes))
        .map(Some)
        .map_err(|failure| {
            failure.hint(format!(
                "perfgate uses this file of {}; select another commit with `--baseline-ref`",
                base_ref.name
            ))
        })
}

/// The configuration of the same gate at another path of the base; `None` if the base has no configuration. An additional
/// configuration of a change does not judge it.
fn moved(path: &Path, own: &Plan, base_ref: &BaseRef) -> Result<Option<Plan>, Failure> {
    let mut known: Vec<PathBuf> = Vec::new();
    let mut same: Vec<Plan> = Vec::new();
    for (other, text) in base_ref.with_line(MODEL_LINE)? {
        match plan::of_text(&other, &other.display().to_string(), &text) {
            Ok(plan) => {
                known.push(other);
                same.extend((plan.name == own.name).then_some(plan));
            }
            Err(_) if other.file_stem().is_some_and(|stem| stem == "perfgate") => known.push(other),
            Err(_) => {}
        }
    }
    match (same.pop(), same.is_empty(), known.first()) {
        (Some(plan), true, _) => Ok(Some(plan)),
        (_, _, None) => Ok(None),
        (_, _, Some(first)) => {
            let message = format!(
                "{} has no `{}`, but another perfgate configuration (`{}`): a change cannot set the configuration it is measured by",
                base_ref.name,
                path.display(),
                first.display()
            );
            Err(Failure::message(ExitStatus::EnvironmentFailed, message)
                .hint(format!("use that one: `--config {}`", first.display()))
                .hint("a new configuration takes effect after the merge; one that keeps its `name` can move at any time"))
        }
    }
}

/// The question of one plan and the server of another.
fn from_parts(
    args: Asked<'_>,
    question: Option<&Plan>,
    answer: Option<Plan>,
    base_ref: Option<&BaseRef>,
    events: &Events,
) -> Result<Question, Failure> {
    let (file, edits) = match (question.cloned(), answer) {
        (Some(question), Some(answer)) => {
            let CombinedPlan { plan, edits } = config::combine(question, answer);
            (Some(plan), edits.into_iter().map(str::to_owned).collect())
        }
        (Some(question), None) => {
            let without_server = Plan {
                server: None,
                engine_args: Vec::new(),
                ..question
            };
            (Some(without_server), vec!["the file is deleted".to_owned()])
        }
        (None, _) => (None, Vec::new()),
    };
    let mut plan = plan::overlaid(file, args.run, base_ref, events)?;
    if let Some(image) = args.base_image {
        plan.base = Some(base_container(args, question, &plan, image)?);
    }
    let base_plan = match (question, base_ref) {
        (Some(question), Some(_)) if plan.base.is_some() => Some(Plan {
            server: plan.base.clone(),
            engine_args: question.engine_args.clone(),
            expectations: question.expectations.clone(),
            ..plan.clone()
        }),
        _ => None,
    };
    Ok(Question {
        plan,
        base_plan,
        edits,
        is_first: false,
    })
}

/// The container of the base version with that image; the rest is from the base.
fn base_container(
    args: Asked<'_>,
    question: Option<&Plan>,
    plan: &Plan,
    image: &str,
) -> Result<ServerPlan, Failure> {
    let own = question.and_then(|question| question.base.as_ref().or(question.server.as_ref()));
    let is_docker = |server: &&ServerPlan| matches!(server, ServerPlan::Docker(_));
    // Only flags may define the container.
    let from = own
        .filter(is_docker)
        .or(plan.server.as_ref().filter(is_docker));
    let Some(from) = from else {
        return Err(Failure::usage(
            "`--base-image` needs a server in a container (`server.docker`)",
        )
        .hint("write the server of the base version as `server.base` in perfgate.yaml"));
    };
    let mut container = Plan {
        server: Some(from.clone()),
        ..plan.clone()
    };
    let target = TargetArgs {
        image: Some(image.to_owned()),
        gpus: args.run.target.gpus.clone(),
        ..TargetArgs::default()
    };
    plan::lay_target(&target, &mut container)?;
    container
        .server
        .ok_or_else(|| Failure::usage("perfgate.yaml has no `server`"))
}
