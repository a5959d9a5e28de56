//! `perfgate comment`: publishes an existing comparison, without measuring.

use std::path::Path;

use super::Context;
use super::compare::finish;
use super::publishing::{PublishResult, Publishing, Trust, step};
use crate::app::output;
use crate::cli::comment::CommentArgs;
use crate::cli::compare::Format;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::comparison::read_comparison;
use crate::inputs::outputs::Outputs;
use crate::inputs::plan::DEFAULT_FILE;
use crate::policy::accept;
use crate::publish::artifact;
use crate::report::comparison::Comparison;
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::{files, limits, render};

pub(super) fn run(args: &CommentArgs, context: &Context) -> Result<ExitStatus, Failure> {
    Outputs::default()
        .writes("--json", args.json.as_ref())
        .writes_reports(&args.output)
        .reads("the comparison", args.comparison.as_deref())
        .reads("--artifact", args.artifact.as_deref())
        .check_names()?;
    match (&args.comparison, &args.artifact) {
        (_, Some(path)) => of_artifact(path, args, context),
        (Some(path), None) => of_comparison(path, args, context),
        (None, None) => Err(Failure::usage("no comparison file is given")),
    }
}

fn of_comparison(
    path: &Path,
    args: &CommentArgs,
    context: &Context,
) -> Result<ExitStatus, Failure> {
    let comparison = read_comparison(path)?;
    let publishing = Publishing::prepare(&args.publish, DEFAULT_FILE, context)?;
    let (comparison, published, label) = match &publishing {
        Publishing::Off(why, _) => {
            note(&format!("nothing is published: {why}"));
            (comparison, PublishResult::default(), None)
        }
        Publishing::On(publisher) => {
            let place = publisher.place();
            publisher.check_commit(&comparison, &place).map_err(|why| {
                Failure::usage(format!("`{}` is not published: {why}", path.display()))
                    .hint("use the comparison file of this commit, or measure this commit")
            })?;
            let (acceptance, notes) = publisher.acceptance(&comparison, &place);
            let comparison = accept(comparison, acceptance);
            let published = publisher.publish(&comparison, notes, &place, Trust::Ours);
            (comparison, published, publisher.accept_label(&place))
        }
    };
    keep(&comparison, args)?;
    step::write_outputs(&comparison, None, label, path, context);
    let status = finish(&comparison, Format::Text, &args.output, label, context)?;
    published.finish(&args.publish, status, context)
}

fn of_artifact(path: &Path, args: &CommentArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let refused = |why: artifact::Refused| {
        Failure::usage(format!("the artifact `{}` is refused: {why}", path.display()))
            .hint("a fork's run uploads comparison.json of `perfgate gate`, made by the same version (docs/reference/github.md)")
    };
    let archive = files::read_within(path, limits::ARCHIVE)
        .map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let text = artifact::comparison_text(archive).map_err(refused)?;
    let comparison = artifact::comparison_of(&text).map_err(refused)?;
    let unpublished =
        |why: &str| Failure::environment(format!("the artifact's result was not published: {why}"));
    let publisher = match Publishing::prepare(&args.publish, DEFAULT_FILE, context)? {
        Publishing::Off(why, _) => return Err(unpublished(why)),
        Publishing::On(publisher) => publisher,
    };
    // The commit comes from GitHub, never from the artifact.
    let place = publisher.place();
    if let Some(why) = place.no_pull_request_reason() {
        return Err(unpublished(&why));
    }
    // The artifact may come from a run of another commit.
    publisher
        .check_commit(&comparison, &place)
        .map_err(|why| unpublished(&why))?;
    keep(&comparison, args)?;
    let markdown = render::markdown::comparison(&comparison, None);
    step::summarize(&format!("> {}\n\n{markdown}", publisher.banner()), context);
    let published = publisher.publish(&comparison, Vec::new(), &place, Trust::Stranger);
    published.finish(&args.publish, ExitStatus::Pass, context)
}

fn keep(comparison: &Comparison, args: &CommentArgs) -> Result<(), Failure> {
    match &args.json {
        Some(path) => output::write(path, Output::Json, &comparison.json()),
        None => Ok(()),
    }
}
