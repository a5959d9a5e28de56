//! `perfgate init`: inspects the repository and writes its first files.

use std::path::Path;

use super::Context;
use crate::app::output;
use crate::cli::init::InitArgs;
use crate::config;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files;
use crate::git::work_tree;
use crate::inputs::beginning::look_around;
use crate::runner::runtime;
use crate::starter::{Beginning, IGNORED, PLAN, POLICY, Server, Starting, ignoring};
use crate::telemetry::{Search, survey};
use crate::terminal::Output;
use crate::text::sanitize;

const GITIGNORE: &str = ".gitignore";

pub(super) fn run(args: &InitArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let gpus = has_gpus(context)?;
    let beginning = look_around(args, gpus, &context.events)?;
    let starting = beginning.files();
    for file in &starting {
        check(file)?;
    }
    if args.dry_run {
        for Starting { path, text } in &starting {
            output::print(Output::Text, &format!("--- {path}\n{text}"))?;
        }
        return Ok(ExitStatus::Pass);
    }
    let mut said = String::new();
    for file in &starting {
        said += &write(file, args.force)?;
    }
    said += &ignore()?;
    said += &next_steps(&beginning, gpus);
    output::print(Output::Text, &said)?;
    Ok(ExitStatus::Pass)
}

fn has_gpus(context: &Context) -> Result<bool, Failure> {
    let search = Search {
        nvml_library: crate::runner::gpus::nvml_library(context.environment),
        ..Search::default()
    };
    let survey = runtime(|| {})?.block_on(survey(&search));
    Ok(!survey.gpus.is_empty())
}

/// Checks a file before writing, so that later commands accept it.
fn check(file: &Starting) -> Result<(), Failure> {
    let problems = match file.path.as_str() {
        PLAN => config::read_plan(PLAN, &file.text).err(),
        POLICY => config::read_policy(POLICY, &file.text).err(),
        _ => None,
    };
    problems.map_or(Ok(()), |problems| {
        Err(Failure::new(ExitStatus::Usage, problems))
    })
}

fn write(file: &Starting, force: bool) -> Result<String, Failure> {
    let path = Path::new(&file.path);
    // A dangling link also counts as existing.
    let is_there = path.symlink_metadata().is_ok();
    if is_there && !force {
        return Ok(format!("kept     {} (--force overwrites it)\n", file.path));
    }
    files::write_atomically(path, file.text.as_bytes()).map_err(cannot_write)?;
    Ok(format!("wrote    {}\n", file.path))
}

fn ignore() -> Result<String, Failure> {
    let path = Path::new(GITIGNORE);
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot_write(error)),
    };
    let Some(addition) = ignoring(&text) else {
        return Ok(String::new());
    };
    files::append(path, &addition).map_err(cannot_write)?;
    Ok(format!("added    {IGNORED} to {GITIGNORE}\n"))
}

fn cannot_write(error: files::FileError) -> Failure {
    Failure::new(ExitStatus::EnvironmentFailed, error)
}

/// The next steps, in order.
fn next_steps(beginning: &Beginning, gpus: bool) -> String {
    let branch = default_branch();
    let is_elsewhere = matches!(beginning.server, Server::Docker { .. }) && !gpus;
    let (can_it, there) = if is_elsewhere {
        (
            "on the machine with the GPU (this machine has none)",
            ", on that machine",
        )
    } else {
        ("checks this machine", "")
    };
    let mut steps = vec![format!("perfgate doctor   {can_it}")];
    let workflow = beginning.workflow_path();
    let in_workflow = files::read_text(Path::new(&workflow)).unwrap_or_default();
    if !beginning.is_measured_by(&in_workflow) {
        steps.push(format!(
            "{workflow} does not measure this folder yet: add a step with `working-directory: {}` and its own `artifact-name` and `status-context`, and set a `name` in {PLAN} that differs from the other gate",
            sanitize::line(&beginning.folder)
        ));
    } else if beginning.action.is_none() {
        steps.push(format!(
            "in {workflow}, replace `uses: OWNER/perfgate@0000…` by the repository and commit of a perfgate release"
        ));
    }
    // `baseline update` refuses runs of other branches and with uncommitted changes.
    steps.push(format!("commit these files and merge them into {branch}"));
    let explicit = if branch == work_tree::main_branch() {
        String::new()
    } else {
        format!(" --branch {}", sanitize::shell(&branch))
    };
    steps.push(format!(
        "perfgate bench --output result.json && perfgate baseline update result.json{explicit}   on {branch}{there}; then commit the files in baselines"
    ));
    steps.push("perfgate gate   measures and compares; passes without a regression".to_owned());
    steps.push(format!(
        "open a pull request against {branch}, and make the status `perfgate` a required check"
    ));
    let lines: String = steps
        .iter()
        .zip(1..)
        .map(|(step, number)| format!("  {number}. {step}\n"))
        .collect();
    format!("\nNext:\n{lines}")
}

/// The target branch of pull requests.
fn default_branch() -> String {
    let current = || work_tree::git(&["branch", "--show-current"]);
    let branch = work_tree::known_main_branch()
        .or_else(current)
        .filter(|branch| !branch.is_empty());
    sanitize::line(&branch.unwrap_or_else(work_tree::main_branch))
}
