//! `perfgate compare` and `perfgate report`.

use std::path::Path;

use super::publishing::annotations;
use super::{Context, publishing};
use crate::app::output;
use crate::baseline::Location;
use crate::cli::compare::{CompareArgs, Format, OutputArgs, ReportArgs};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::compared::Compared;
use crate::inputs::comparison::read_comparison;
use crate::inputs::justification;
use crate::inputs::outputs::Outputs;
use crate::render;
use crate::report::comparison::Comparison;
use crate::terminal::Output;

pub(super) fn run(args: &CompareArgs, context: &Context) -> Result<ExitStatus, Failure> {
    outputs_of(args).check_names()?;
    let compared = Compared::read(args, context.environment, &context.events)?;
    let author = justification::find(
        &args.author,
        || publishing::current_text(context),
        context.environment,
        &context.events,
    )?;
    let comparison = compared.judged(&author)?;
    annotations::mark_rules(&comparison, context);
    finish(&comparison, args.format, &args.output, None, context)
}

/// The outputs, which must differ from the inputs.
fn outputs_of(args: &CompareArgs) -> Outputs {
    let outputs = Outputs::default()
        .writes_reports(&args.output)
        .reads("--baseline", args.baseline.as_deref())
        .reads("--candidate", args.candidate.as_deref())
        .reads("--ledger", args.ledger.as_deref())
        .reads("--release", args.release.as_deref())
        .reads("--ab-baseline", args.ab_baseline.as_deref())
        .reads("--ab-candidate", args.ab_candidate.as_deref())
        .reads_policy(&args.policy)
        .reads_author(&args.author);
    match &args.baselines {
        Some(Location::Folder(folder)) => outputs.reads_folder(folder),
        Some(Location::Bucket(_)) | None => outputs,
    }
}

/// Renders a stored comparison again, with an analysis if given; exits with the code of the comparison, or the code that
/// results from the analysis.
pub(super) fn report(args: &ReportArgs, context: &Context) -> Result<ExitStatus, Failure> {
    Outputs::default()
        .writes_reports(&args.output)
        .reads("the comparison", args.comparison.as_path())
        .reads("--analysis", args.analysis.as_deref())
        .reads("--explanation", args.explanation.as_deref())
        .check_names()?;
    let comparison = read_comparison(&args.comparison)?;
    let author = justification::from_files(args.analysis.as_deref(), args.explanation.as_deref())?;
    let comparison = author.on(comparison);
    finish(&comparison, args.format, &args.output, None, context)
}

pub(super) fn write_junit(path: &Path, comparison: &Comparison) -> Result<(), Failure> {
    output::write(path, Output::Text, &render::junit::report(comparison)?)
}

/// Writes all requested outputs of a comparison and returns its exit code. `accept_label` is the label that accepts a regression.
pub(super) fn finish(
    comparison: &Comparison,
    format: Format,
    output: &OutputArgs,
    accept_label: Option<&str>,
    context: &Context,
) -> Result<ExitStatus, Failure> {
    let (to_stdout, text) = match format {
        Format::Text => (
            context.output(),
            render::terminal::comparison(comparison, context.screen),
        ),
        Format::Json => (Output::Json, comparison.json()),
        Format::Markdown => (
            Output::Text,
            render::markdown::comparison(comparison, accept_label),
        ),
    };
    output::print(to_stdout, &text)?;
    // First, because a full disk may stop later outputs.
    if let Some(path) = &output.html {
        output::write(path, Output::Text, &render::html::report(comparison)?)?;
    }
    if let Some(path) = &output.markdown {
        let markdown = render::markdown::comparison(comparison, accept_label);
        output::write(path, Output::Text, &markdown)?;
    }
    if let Some(path) = &output.junit {
        write_junit(path, comparison)?;
    }
    if let Some(path) = &output.html {
        output::note_report(path);
    }
    // The file is untrusted.
    let status = ExitStatus::ALL
        .into_iter()
        .find(|(status, _)| status.code() == comparison.exit_code);
    Ok(status.map_or(ExitStatus::NotComparable, |(status, _)| status))
}
