//! `perfgate init`: looks around in the repository, and writes what it needs to begin.

use std::path::Path;

use super::Context;
use crate::app::output;
use crate::cli::init::InitArgs;
use crate::config::{self, ServerPlan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files;
use crate::git::work_tree;
use crate::inputs::plan;
use crate::runner::runtime;
use crate::starter::compose::{Service, vllm_of_compose};
use crate::starter::hints::Base;
use crate::starter::{
    Beginning, DEFAULT_IMAGE, IGNORED, PLAN, POLICY, Server, Starting, hints, ignoring,
};
use crate::telemetry::{Search, survey};
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::text::sanitize;

/// Where repositories keep a Dockerfile.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "docker/Dockerfile"];

/// How compose files are called.
const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

const GITIGNORE: &str = ".gitignore";

pub(super) fn run(args: &InitArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let gpus = has_gpus(context)?;
    let beginning = look_around(args, gpus)?;
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

fn look_around(args: &InitArgs, gpus: bool) -> Result<Beginning, Failure> {
    let compose = first_text(&COMPOSE_FILES);
    let compose = compose.as_ref().map(|(_, text)| text.as_str());
    let dockerfile = first_text(&DOCKERFILES);
    let built = dockerfile
        .as_ref()
        .and_then(|(path, text)| Some((*path, hints::base_of_dockerfile(text)?)));

    let service = compose.and_then(vllm_of_compose);

    let server = if args.simulator {
        Server::Simulator
    } else if let Some(url) = &args.url {
        match plan::checked_url(url)? {
            ServerPlan::Url(url) => Server::Url {
                url: url.to_string(),
                gpus,
            },
            ServerPlan::Docker(_) | ServerPlan::Process(_) | ServerPlan::Simulator(_) => {
                Server::Url {
                    url: url.clone(),
                    gpus,
                }
            }
        }
    } else {
        let (image, dockerfile) = match (&args.image, &built) {
            (Some(image), _) => (Some(image.clone()), None),
            (None, Some((path, Base::Vllm(image)))) => {
                (Some(image.clone()), Some((*path).to_owned()))
            }
            (None, Some((path, Base::Other(root)))) => {
                note(&format!(
                    "warning: `{path}` builds its own image from `{root}`, which is in no registry: build it first (docker build --tag NAME .), and write NAME as server.docker.image"
                ));
                (None, None)
            }
            (None, None) => (None, None),
        };
        container(image, dockerfile, service.as_ref())
    };

    let of_service = || service.as_ref()?.model.clone();
    let found = || {
        let texts = [compose, dockerfile.as_ref().map(|(_, text)| text.as_str())];
        texts
            .into_iter()
            .flatten()
            .find_map(hints::model_of_command)
    };
    let simulated = || args.simulator.then(|| "demo".to_owned());
    let model = args
        .model
        .clone()
        .or_else(simulated)
        .or_else(of_service)
        .or_else(found)
        .ok_or_else(no_model)?;
    Ok(Beginning {
        name: name(args)?,
        served_name: service
            .as_ref()
            .filter(|service| service.model.as_ref() == Some(&model))
            .and_then(|service| service.served_name.clone()),
        model,
        server,
        action: args.action.clone(),
        folder: folder()?,
    })
}

/// A container of that image, else of the service's, as the service starts it.
fn container(
    image: Option<String>,
    dockerfile: Option<String>,
    service: Option<&Service>,
) -> Server {
    let service = service.cloned().unwrap_or_default();
    for option in &service.unknown {
        note(&format!(
            "warning: the value of `{}` in the compose file is not known here: write the option into server.docker.args",
            sanitize::line(option)
        ));
    }
    let image = image
        .or(service.image)
        .unwrap_or_else(|| DEFAULT_IMAGE.to_owned());
    Server::Docker {
        rocm: service.rocm || image.contains("rocm"),
        image,
        dockerfile,
        args: service.args,
        volumes: service.volumes,
    }
}

/// The folder of the repository in which it is to begin.
fn folder() -> Result<String, Failure> {
    let folder = work_tree::folder_in_working_tree().unwrap_or_default();
    if folder.contains("${{") {
        let message = format!(
            "no workflow can name the folder `{}`",
            sanitize::line(&folder)
        );
        let hint = "give it another name: GitHub takes `${{` for the beginning of an expression";
        return Err(Failure::message(ExitStatus::Usage, message).hint(hint));
    }
    Ok(folder)
}

fn first_text(paths: &[&'static str]) -> Option<(&'static str, String)> {
    let read = |path: &&'static str| Some((*path, files::read_text(Path::new(path)).ok()?));
    paths.iter().find_map(read)
}

fn no_model() -> Failure {
    Failure::message(ExitStatus::Usage, "nothing here says which model is served")
        .hint("give it: `perfgate init --model meta-llama/Llama-3.1-8B-Instruct`")
        .hint("or, to see how it works without a GPU: `perfgate init --simulator`")
}

/// What was asked for, else the repository's name at its remote, else that of the folder.
fn name(args: &InitArgs) -> Result<String, Failure> {
    if let Some(name) = &args.name {
        if !config::is_safe_name(name) {
            let message = format!(
                "no file can be called after the name `{}`",
                sanitize::line(name)
            );
            let hint = format!("write `--name {}`", config::safe_name(name));
            return Err(Failure::message(ExitStatus::Usage, message).hint(hint));
        }
        return Ok(name.clone());
    }
    let remote = work_tree::git(&["config", "--get", "remote.origin.url"]);
    let at_remote = remote.as_deref().and_then(|url| {
        let url = url.trim_end_matches('/').trim_end_matches(".git");
        url.rsplit(['/', ':']).next().map(str::to_owned)
    });
    let folder = || {
        let here = Path::new(".").canonicalize().ok()?;
        Some(here.file_name()?.to_string_lossy().into_owned())
    };
    Ok(config::safe_name(
        &at_remote.or_else(folder).unwrap_or_default(),
    ))
}

/// Nothing is written that the next command would refuse.
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
    // Also a link that leads nowhere is there.
    let is_there = path.symlink_metadata().is_ok();
    if is_there && !force {
        return Ok(format!(
            "left     {} as it is (--force overwrites it)\n",
            file.path
        ));
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

/// What a person does now, in order.
fn next_steps(beginning: &Beginning, gpus: bool) -> String {
    let branch = default_branch();
    let is_elsewhere = matches!(beginning.server, Server::Docker { .. }) && !gpus;
    let (can_it, there) = if is_elsewhere {
        (
            "on the machine with the GPU; this one has none",
            ", on that machine",
        )
    } else {
        ("can this machine measure it?", "")
    };
    let mut steps = vec![format!("perfgate doctor   {can_it}")];
    let workflow = beginning.workflow_path();
    let in_workflow = files::read_text(Path::new(&workflow)).unwrap_or_default();
    if !beginning.is_measured_by(&in_workflow) {
        steps.push(format!(
            "{workflow} does not measure this folder yet: add a step with `working-directory: {}` to it, with an `artifact-name` and a `status-context` of its own, and give `name` in {PLAN} another value than the other gate's",
            sanitize::line(&beginning.folder)
        ));
    } else if beginning.action.is_none() {
        steps.push(format!(
            "in {workflow}, put the repository and the commit of a perfgate release for `uses: OWNER/perfgate@0000…`"
        ));
    }
    // Elsewhere, and with changes beside the commit, `baseline update` refuses the run.
    steps.push(format!("commit all of it and bring it to {branch}"));
    let explicit = if branch == work_tree::main_branch() {
        String::new()
    } else {
        format!(" --branch {}", sanitize::shell(&branch))
    };
    steps.push(format!(
        "perfgate bench --output result.json && perfgate baseline update result.json{explicit}   on {branch}{there}; commit the files in baselines: the accepted run"
    ));
    steps.push(
        "perfgate gate   measures and compares; it passes where nothing became slower".to_owned(),
    );
    steps.push(format!(
        "open a pull request against {branch}, and make the status `perfgate` required there"
    ));
    let lines: String = steps
        .iter()
        .zip(1..)
        .map(|(step, number)| format!("  {number}. {step}\n"))
        .collect();
    format!("\nNext:\n{lines}")
}

/// The branch that pull requests go to.
fn default_branch() -> String {
    let current = || work_tree::git(&["branch", "--show-current"]);
    let branch = work_tree::known_main_branch()
        .or_else(current)
        .filter(|branch| !branch.is_empty());
    sanitize::line(&branch.unwrap_or_else(work_tree::main_branch))
}
