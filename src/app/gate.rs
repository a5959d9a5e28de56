//! `perfgate gate`: bench, compare, render, publish, exit code.

use std::path::{Path, PathBuf};

use super::compare::{finish, policy_for};
use super::failing::record_failure;
use super::measuring::Measuring;
use super::progress::{Progress, note};
use super::{Context, Failure, Interrupt, plan, runtime};
use crate::baseline;
use crate::cli::compare::{Format, OutputArgs};
use crate::cli::gate::GateArgs;
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::Comparison;
use crate::policy::{Labels, compare_runs};
use crate::publish::actions;
use crate::record::{self, Run};
use crate::render::{self, inert};

pub(super) fn run(args: &GateArgs, context: &Context) -> Result<ExitStatus, Failure> {
    // Everything that can be wrong with the files is said before the first GPU minute is spent.
    let plan = plan::resolve(&args.run)?;
    let policy = policy_for(&args.policy)?;
    let given = args
        .baseline
        .as_deref()
        .map(|path| record::load(path).map_err(|error| record_failure(&error)));
    let given = given.transpose()?;
    files::create_folder(&args.output)
        .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))?;

    let output = |name: &str| args.output.join(name);
    let result_path = output("result.json");
    let progress = Progress::new();
    runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let measuring = Measuring {
            plan: &plan,
            output: &result_path,
            logs: Some(args.output.clone()),
            environment: context.environment,
            progress: &progress,
            interrupt: &interrupt,
        };
        measuring.run().await
    })?;
    // Read back as any other program would: what is judged is what stands in the file.
    let candidate = record::load(&result_path).map_err(|error| record_failure(&error))?;
    let (baseline, baseline_path) = match (given, &args.baseline) {
        (Some(baseline), Some(path)) => (baseline, path.clone()),
        _ => stored_baseline(&args.baselines, &plan.name, &candidate, &result_path)?,
    };
    let labels = Labels {
        baseline: &baseline_path.display().to_string(),
        candidate: &result_path.display().to_string(),
    };
    let comparison = compare_runs(&policy, &baseline, &candidate, labels);
    write_json(&output("comparison.json"), &comparison)?;
    let files = OutputArgs {
        html: Some(output("report.html")),
        markdown: Some(output("comment.md")),
    };
    publish(&comparison, &files, &output("comparison.json"), context);
    finish(&comparison, Format::Text, &files, context)
}

/// The accepted run of this gate on this hardware.
fn stored_baseline(
    folder: &Path,
    name: &str,
    candidate: &Run,
    result: &Path,
) -> Result<(Run, PathBuf), Failure> {
    let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
    let path = baseline::path(folder, name, &hardware);
    if path.is_file() {
        let run = record::load(&path).map_err(|error| record_failure(&error))?;
        return Ok((run, path));
    }
    let quoted = |path: &Path| inert::shell(&path.display().to_string());
    let others = baseline::hardware_with_baseline(folder, name);
    let message = format!(
        "there is no baseline of `{name}` for `{hardware}`: `{}` does not exist",
        path.display()
    );
    let mut failure = Failure::message(ExitStatus::NotComparable, message).hint(format!(
        "to accept this run: mkdir -p {} && cp {} {}",
        quoted(path.parent().unwrap_or(folder)),
        quoted(result),
        quoted(&path)
    ));
    if !others.is_empty() {
        failure = failure.hint(format!(
            "there are baselines for other hardware: {}",
            others.join(", ")
        ));
    }
    Err(failure)
}

fn write_json(path: &Path, comparison: &Comparison) -> Result<(), Failure> {
    files::write_atomically(path, render::json::comparison(comparison).as_bytes())
        .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))
}

/// Tells GitHub Actions, where it runs there. Failing to tell never changes the verdict.
fn publish(comparison: &Comparison, files: &OutputArgs, comparison_path: &Path, context: &Context) {
    let shown = |path: &Option<PathBuf>| {
        path.as_deref()
            .map(Path::display)
            .map(|path| path.to_string())
    };
    let told = (|| {
        if let Some(summary) = (context.environment)("GITHUB_STEP_SUMMARY") {
            actions::write_step_summary(
                Path::new(&summary),
                &render::markdown::comparison(comparison),
            )?;
        }
        if let Some(outputs) = (context.environment)("GITHUB_OUTPUT") {
            let verdict = render::json::verdict(comparison);
            let values = [
                ("verdict", verdict),
                ("exit-code", comparison.exit_code.to_string()),
                ("headline", comparison.headline.clone()),
                ("report-path", shown(&files.html).unwrap_or_default()),
                ("comparison-path", comparison_path.display().to_string()),
            ];
            actions::write_outputs(Path::new(&outputs), &values)?;
        }
        Ok::<(), files::FileError>(())
    })();
    if let Err(error) = told {
        note(&format!(
            "warning: the verdict stands, but GitHub was not told: {error}"
        ));
    }
}
