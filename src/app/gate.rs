//! `perfgate gate`: measure until it is decided, render, publish, exit code.

use std::path::{Path, PathBuf};

use super::compare::{finish, policy_for};
use super::deciding::{Decided, Deciding, Stored};
use super::evidence::{EvidenceFolder, Side};
use super::failing::record_failure;
use super::progress::{Progress, note};
use super::{Context, Failure, Interrupt, plan, runtime};
use crate::baseline;
use crate::cli::compare::{Format, OutputArgs};
use crate::cli::gate::GateArgs;
use crate::config::{DockerPlan, Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::Comparison;
use crate::publish::actions;
use crate::record::{self, Run};
use crate::render::{self, inert};

pub(super) fn run(args: &GateArgs, context: &Context) -> Result<ExitStatus, Failure> {
    // Everything that can be wrong with the files is said before the first GPU minute is spent.
    let mut plan = plan::resolve(&args.run)?;
    if let Some(image) = &args.base_image {
        plan.base = Some(base_container(&plan, image)?);
    }
    let policy = policy_for(&args.policy)?;
    let load_ledger = |baseline: &Path| {
        let path = args
            .ledger
            .clone()
            .unwrap_or_else(|| baseline::ledger_path(baseline));
        if args.ledger.is_none() && !path.is_file() {
            return Ok((Vec::new(), None));
        }
        let ledger = record::load_ledger(&path).map_err(|error| record_failure(&error))?;
        Ok((ledger, Some(path)))
    };
    let load_stored = |path: &Path| {
        let run = record::load(path).map_err(|error| record_failure(&error))?;
        let (ledger, ledger_path) = load_ledger(path)?;
        Ok::<_, Failure>(Stored {
            run,
            path: path.to_owned(),
            ledger,
            ledger_path,
        })
    };
    let given = args.baseline.as_deref().map(load_stored).transpose()?;
    if let (None, Some(path)) = (&given, &args.ledger) {
        load_ledger(path)?;
    }
    files::create_folder(&args.output)
        .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))?;

    let output = |name: &str| args.output.join(name);
    let evidence = args.evidence.clone().unwrap_or_else(|| output("evidence"));
    let evidence = EvidenceFolder::of_commit(&evidence, &plan);
    let find_stored = |candidate: &Run| {
        if let Some(given) = &given {
            return Ok(Some(given.clone()));
        }
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let path = baseline::path(&args.baselines, &plan.name, &hardware);
        if path.is_file() {
            return load_stored(&path).map(Some);
        }
        if plan.base.is_some() {
            return Ok(None);
        }
        Err(no_baseline(
            &args.baselines,
            &plan.name,
            &hardware,
            &output("result.json"),
        ))
    };
    let progress = Progress::new();
    let decided = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let deciding = Deciding {
            plan: &plan,
            policy: &policy,
            evidence: &evidence,
            may_have_stored: given.is_some()
                || plan.base.is_none()
                || !baseline::hardware_with_baseline(&args.baselines, &plan.name).is_empty(),
            find_stored: &find_stored,
            logs: &args.output,
            environment: context.environment,
            progress: &progress,
            interrupt: &interrupt,
        };
        deciding.run().await
    });
    // The result stands where it is looked for, whatever came of judging it.
    for side in [Side::PairCandidate, Side::Candidate] {
        if let Some(result) = evidence.earlier(side)? {
            record::save(&output("result.json"), &result)
                .map_err(|error| record_failure(&error))?;
        }
    }
    let Decided { comparison, .. } = decided?;
    write_json(&output("comparison.json"), &comparison)?;
    let files = OutputArgs {
        html: Some(output("report.html")),
        markdown: Some(output("comment.md")),
    };
    publish(&comparison, &files, &output("comparison.json"), context);
    finish(&comparison, Format::Text, &files, context)
}

/// The candidate's container with the base version's image.
fn base_container(plan: &Plan, image: &str) -> Result<ServerPlan, Failure> {
    let usage = |message: &str| Failure::message(ExitStatus::Usage, message);
    match (&plan.base, &plan.server) {
        (Some(ServerPlan::Docker(docker)), _) | (_, Some(ServerPlan::Docker(docker))) => {
            Ok(ServerPlan::Docker(DockerPlan {
                image: image.to_owned(),
                ..docker.clone()
            }))
        }
        (
            _,
            Some(ServerPlan::Process(_) | ServerPlan::Url(_) | ServerPlan::Simulator(_)) | None,
        ) => Err(
            usage("`--base-image` is for a server in a container, and this is none")
                .hint("write the server of the base version as `server.base` in perfgate.yaml"),
        ),
    }
}

fn no_baseline(folder: &Path, name: &str, hardware: &str, result: &Path) -> Failure {
    let path = baseline::path(folder, name, hardware);
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
    failure
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
