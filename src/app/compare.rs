//! `perfgate compare` and `perfgate report`.

use std::path::{Path, PathBuf};

use super::publishing::annotations;
use super::{Context, publishing};
use crate::app::output;
use crate::baseline::{self, Location, Part};
use crate::cli::compare::{CompareArgs, Format, OutputArgs, ReportArgs};
use crate::compare::ComparisonInputs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::git::{GitError, work_tree};
use crate::inputs::accepted::{Files, stored};
use crate::inputs::base_ref::Asks;
use crate::inputs::comparison::read_comparison;
use crate::inputs::outputs::Outputs;
use crate::inputs::policy::{policy_at, policy_path};
use crate::inputs::{justification, storage};
use crate::policy::{Base, Circumstances, JudgedBy, Labels, ThisLook, compare_evidence, complete};
use crate::record::{self, Run};
use crate::render;
use crate::report::comparison::Comparison;
use crate::terminal::Output;
use crate::terminal::progress::note;

pub(super) fn run(args: &CompareArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let asks = of_change(args, context)?;
    let base_ref = asks.base();
    let policy = policy_at(&args.policy, base_ref)?;
    let files = Files(base_ref);
    let load = |path: &Path| record::load(path).map_err(Failure::from);
    let one = |path: &Option<PathBuf>| path.as_deref().map(load).transpose();
    let candidate = one(&args.candidate)?;
    let pairs = one(&args.ab_baseline)?.zip(one(&args.ab_candidate)?);
    let shown = |path: &Path| path.display().to_string();
    let accepted = |path: &Option<PathBuf>| {
        let run = path.as_deref().map(|path| files.run_given(path));
        run.transpose()
    };
    let called = |path: &Option<PathBuf>| path.as_deref().map(|path| files.called(path));
    let mut bar = vec![policy_path(&args.policy).to_owned()];
    let named = [&args.baseline, &args.ledger, &args.release];
    bar.extend(named.into_iter().flatten().cloned());
    let mut accepted = Side {
        run: accepted(&args.baseline)?,
        path: called(&args.baseline),
        ledger: match &args.ledger {
            Some(path) => files.ledger_given(path)?,
            None => Vec::new(),
        },
        ledger_path: called(&args.ledger),
        release: accepted(&args.release)?,
        of_copies: None,
    };
    outputs_of(args).check_names()?;
    if let (Some(location), Some(candidate)) = (&args.baselines, &candidate) {
        accepted = Side::find(location, candidate, files, &mut bar, context)?;
    }
    let stored = accepted.run.as_ref().zip(candidate.as_ref());
    let pairs = pairs.as_ref().map(|(old, new)| (old, new));
    let given = ComparisonInputs {
        stored,
        pairs,
        is_one_run: pairs
            .or(stored)
            .is_some_and(|(old, new)| record::is_same_run(&old.file, &new.file)),
        ledger: &accepted.ledger,
        release: accepted.release.as_ref(),
    };
    let shown = |path: &Option<PathBuf>| path.as_deref().map(shown).unwrap_or_default();
    let labels = Labels {
        baseline: accepted.path.as_deref().unwrap_or_default(),
        candidate: &shown(&args.candidate),
        pairs: (&shown(&args.ab_baseline), &shown(&args.ab_candidate)),
        ledger: accepted.ledger_path.as_deref(),
    };
    let author = justification::find(
        &args.author,
        || publishing::text_of_today(context),
        context.environment,
        &context.events,
    )?;
    let this_look = ThisLook {
        analysis: author.analysis.as_ref(),
        explanation: author.explanation.as_ref(),
        ..ThisLook::ONLY
    };
    let circumstances = Circumstances {
        judged_by: judged_by(&asks, &bar, &[], false)?,
        copies: accepted.of_copies,
        ..Circumstances::default()
    };
    let judged = compare_evidence(&policy, &given, labels, this_look);
    let comparison = complete(judged, circumstances);
    annotations::mark_rules(&comparison, context);
    finish(&comparison, args.format, &args.output, None, context)
}

/// By whose files it is judged. Where nothing is checked out, the job made all files itself.
fn of_change(args: &CompareArgs, context: &Context) -> Result<Asks, Failure> {
    let is_clone = !matches!(
        work_tree::top_of_working_tree(),
        Err(GitError::NoRepository)
    );
    let given = args.baseline_ref.as_deref();
    Asks::find(
        given.or((!is_clone).then_some("")),
        None,
        context.environment,
    )
}

/// Whose files judge, and what the change edits of them.
pub(super) fn judged_by(
    asks: &Asks,
    criteria: &[PathBuf],
    edits: &[String],
    is_first: bool,
) -> Result<JudgedBy, Failure> {
    Ok(match asks {
        Asks::Here => JudgedBy::WorkTree,
        Asks::ChangeItself => JudgedBy::OwnFiles,
        Asks::Base(base_ref) => JudgedBy::Base(Base {
            name: base_ref.name().to_owned(),
            commit: base_ref.commit().to_owned(),
            touched: base_ref.touched(criteria.iter().map(PathBuf::as_path))?,
            edits: edits.to_vec(),
            is_first,
        }),
    })
}

/// What is written, none of which may be what is read.
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

/// The accepted runs.
#[derive(Default)]
struct Side {
    run: Option<Run>,
    path: Option<String>,
    ledger: Vec<Run>,
    ledger_path: Option<String>,
    release: Option<Run>,
    /// That copies stood in for a bucket.
    of_copies: Option<String>,
}

impl Side {
    /// Those of the candidate's gate on its hardware; `bar` gets the files that a change could edit.
    fn find(
        location: &Location,
        candidate: &Run,
        files: Files<'_>,
        bar: &mut Vec<PathBuf>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let Some(name) = candidate.file.name.as_deref() else {
            let message = "the candidate does not say of which gate it is";
            return Err(Failure::message(ExitStatus::Usage, message)
                .hint("name the baseline itself with `--baseline FILE`"));
        };
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let opened = storage::open(location, context.environment, &context.events)?;
        let place = opened.place(name, &hardware);
        let found = match (location, place.file(Part::Baseline)) {
            (Location::Folder(_), Some(path)) => {
                bar.extend([
                    baseline::ledger_path(&path),
                    baseline::release_path(&path),
                    path.clone(),
                ]);
                files.stored_if_there(&path, None)?
            }
            (_, _) => stored(&place)?,
        };
        storage::warn_of_copies(location, &opened, &context.events);
        let Some(found) = found else {
            let message = format!(
                "there is no baseline of `{name}` for `{hardware}`: `{}` does not exist",
                place.shown(Part::Baseline)
            );
            return Err(Failure::message(ExitStatus::NotComparable, message)
                .hint("`perfgate baseline list` shows those that are there")
                .hint("accept a run with `perfgate baseline update RESULT`"));
        };
        Ok(Self {
            run: Some(found.run),
            path: Some(found.path),
            ledger: found.ledger,
            ledger_path: found.ledger_path,
            release: found.release,
            of_copies: storage::of_copies(location, &opened),
        })
    }
}

/// Renders a stored comparison again, with an analysis where one is given; exits as the comparison did, or as it does with
/// the analysis.
pub(super) fn report(args: &ReportArgs, context: &Context) -> Result<ExitStatus, Failure> {
    Outputs::default()
        .writes_reports(&args.output)
        .reads("the comparison", args.comparison.as_path())
        .reads("--analysis", args.analysis.as_deref())
        .reads("--explanation", args.explanation.as_deref())
        .check_names()?;
    let comparison = read_comparison(&args.comparison)?;
    let author = justification::from_files(args.analysis.as_deref(), args.explanation.as_deref())?;
    let comparison = author.said_of(comparison);
    finish(&comparison, args.format, &args.output, None, context)
}

pub(super) fn write_junit(path: &Path, comparison: &Comparison) -> Result<(), Failure> {
    let junit =
        render::junit::report(comparison).map_err(|error| Failure::new(ExitStatus::Bug, error))?;
    output::write(path, Output::Text, &junit)
}

/// Shows a comparison everywhere it was asked for, and exits as it says. `accept_label` takes a regression of it.
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
        Format::Json => (Output::Json, render::json::comparison(comparison)),
        Format::Markdown => (
            Output::Text,
            render::markdown::comparison(comparison, accept_label),
        ),
    };
    output::print(to_stdout, &text)?;
    // Shown before anything that a full disk could stop.
    if let Some(path) = &output.html {
        let html = render::html::report(comparison)
            .map_err(|error| Failure::new(ExitStatus::Bug, error))?;
        output::write(path, Output::Text, &html)?;
    }
    if let Some(path) = &output.markdown {
        let markdown = render::markdown::comparison(comparison, accept_label);
        output::write(path, Output::Text, &markdown)?;
    }
    if let Some(path) = &output.junit {
        write_junit(path, comparison)?;
    }
    if let Some(path) = &output.html {
        note(&format!("report: {}", path.display()));
    }
    // A file that somebody else wrote may say anything.
    let status = ExitStatus::ALL
        .into_iter()
        .find(|status| status.code() == comparison.exit_code);
    Ok(status.unwrap_or(ExitStatus::NotComparable))
}
