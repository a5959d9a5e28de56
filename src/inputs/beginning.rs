//! Input of `perfgate init`: flags, and files of the repository about its server.

use std::path::Path;

use super::plan;
use crate::cli::init::InitArgs;
use crate::config::{self, ServerPlan};
use crate::event::{Events, InputEvent};
use crate::failure::Failure;
use crate::files;
use crate::git::work_tree;
use crate::starter::compose::{Service, vllm_of_compose};
use crate::starter::hints::Base;
use crate::starter::{Beginning, DEFAULT_IMAGE, Server, hints};
use crate::text::sanitize;

/// Usual paths of a Dockerfile.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "docker/Dockerfile"];

/// Usual names of compose files.
const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// The input of `init`, from flags and existing files.
pub(crate) fn look_around(
    args: &InitArgs,
    gpus: bool,
    events: &Events,
) -> Result<Beginning, Failure> {
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
        let url = match plan::checked_url(url)? {
            ServerPlan::Url(checked) => checked.to_string(),
            ServerPlan::Docker(_) | ServerPlan::Process(_) | ServerPlan::Simulator(_) => {
                url.clone()
            }
        };
        Server::Url { url, gpus }
    } else {
        let (image, dockerfile) = match (&args.image, &built) {
            (Some(image), _) => (Some(image.clone()), None),
            (None, Some((path, Base::Vllm(image)))) => {
                (Some(image.clone()), Some((*path).to_owned()))
            }
            (None, Some((path, Base::Other(root)))) => {
                events.emit(InputEvent::ImageNotInRegistry {
                    dockerfile: (*path).to_owned(),
                    base: root.clone(),
                });
                (None, None)
            }
            (None, None) => (None, None),
        };
        container(image, dockerfile, service.as_ref(), events)
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

/// A container of that image, else of the compose service, with its options.
fn container(
    image: Option<String>,
    dockerfile: Option<String>,
    service: Option<&Service>,
    events: &Events,
) -> Server {
    let service = service.cloned().unwrap_or_default();
    for option in &service.unknown {
        events.emit(InputEvent::OptionValueUnknown {
            option: option.clone(),
        });
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

/// The folder of the repository for the files.
fn folder() -> Result<String, Failure> {
    let folder = work_tree::folder_in_working_tree().unwrap_or_default();
    if folder.contains("${{") {
        let message = format!(
            "a workflow cannot refer to the folder `{}`",
            sanitize::line(&folder)
        );
        let hint = "rename it: GitHub reads `${{` as the beginning of an expression";
        return Err(Failure::usage(message).hint(hint));
    }
    Ok(folder)
}

fn first_text(paths: &[&'static str]) -> Option<(&'static str, String)> {
    let read = |path: &&'static str| Some((*path, files::read_text(Path::new(path)).ok()?));
    paths.iter().find_map(read)
}

fn no_model() -> Failure {
    Failure::usage("no file in this folder contains the model")
        .hint("set it: `perfgate init --model meta-llama/Llama-3.1-8B-Instruct`")
        .hint("to try it without a GPU: `perfgate init --simulator`")
}

/// The name from the flag, else the repository's name at its remote, else that of the folder.
fn name(args: &InitArgs) -> Result<String, Failure> {
    if let Some(name) = &args.name {
        plan::check_name(name)?;
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
