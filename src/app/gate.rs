//! `perfgate gate`: measure until it is decided, render, publish, exit code.

use std::path::{Path, PathBuf};

use super::accepted::Accepted;
use super::author;
use super::compare::{finish, policy_for, write_junit};
use super::deciding::{Decided, Deciding};
use super::evidence::{EvidenceFolder, Side};
use super::failing::cannot_keep;
use super::progress::{Progress, note};
use super::{Context, Failure, Interrupt, annotating, plan, runtime};
use crate::cli::compare::{Format, OutputArgs};
use crate::cli::gate::GateArgs;
use crate::config::{DockerPlan, Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::Comparison;
use crate::publish::actions;
use crate::record::{self, Run};
use crate::render;

pub(super) fn run(args: &GateArgs, context: &Context) -> Result<ExitStatus, Failure> {
    // Everything that can be wrong with the files is said before the first GPU minute is spent.
    let mut plan = plan::resolve(&args.run)?;
    if let Some(image) = &args.base_image {
        plan.base = Some(base_container(&plan, image)?);
    }
    let policy = policy_for(&args.policy)?;
    let accepted = Accepted::of(args, &plan)?;
    let author = author::find(&args.author, context)?;
    files::create_folder(&args.output).map_err(cannot_keep)?;

    let output = |name: &str| args.output.join(name);
    let evidence = args.evidence.clone().unwrap_or_else(|| output("evidence"));
    let evidence = EvidenceFolder::of_commit(&evidence, &plan);
    let find_stored = |candidate: &Run| accepted.find(candidate);
    let progress = Progress::new();
    let decided = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let deciding = Deciding {
            plan: &plan,
            policy: &policy,
            evidence: &evidence,
            may_have_stored: accepted.may_exist(),
            find_stored: &find_stored,
            scale: None,
            author: &author,
            logs: &args.output,
            environment: context.environment,
            progress: &progress,
            interrupt: &interrupt,
        };
        deciding.run().await
    });
    // The result stands where it is looked for, whatever came of judging it.
    let measured = [Side::Candidate, Side::PairCandidate].map(|side| evidence.earlier(side));
    let measured = measured
        .into_iter()
        .find_map(|result| result.ok().flatten());
    let kept = measured.map_or(Ok(()), |result| {
        record::save(&output("result.json"), &result).map_err(cannot_keep)
    });
    // What went wrong first says more than what went wrong because of it.
    let Decided { comparison, .. } = decided?;
    kept?;
    write_json(&output("comparison.json"), &comparison)?;
    let files = OutputArgs {
        html: Some(output("report.html")),
        markdown: Some(output("comment.md")),
        junit: Some(output("junit.xml")),
    };
    if let Some(path) = &args.junit {
        write_junit(path, &comparison)?;
    }
    annotating::mark_rules(&comparison, context);
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

fn write_json(path: &Path, comparison: &Comparison) -> Result<(), Failure> {
    files::write_atomically(path, render::json::comparison(comparison).as_bytes())
        .map_err(cannot_keep)
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
