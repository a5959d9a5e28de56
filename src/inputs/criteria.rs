//! Criteria for every commit: load and rules of the bad end.

use std::path::{Path, PathBuf};

use super::plan;
use super::policy::policy_for;
use crate::cli::bench::RunArgs;
pub(crate) use crate::cli::bisect::BisectOptions;
use crate::cli::compare::PolicyArgs;
use crate::config::{Dataset, DockerPlan, Plan, ProcessPlan, ServerPlan};
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files;
use crate::git::checkout::{Tree, remove_folder};
use crate::git::search::Repository;
use crate::policy::rule::Policy;

/// Default files.
const DEFAULT_CONFIG: &str = "perfgate.yaml";
const DEFAULT_THRESHOLDS: &str = "thresholds.yaml";

/// The name of built images, without the commit.
const IMAGE: &str = "perfgate-bisect";

/// A file with criteria.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Below the top of the tree: each commit has its own version.
    Inside(PathBuf),
    /// The same for every commit.
    Outside(PathBuf),
}

impl Place {
    /// The file, with that folder as the top of the tree.
    fn in_tree(&self, top: &Path) -> PathBuf {
        match self {
            Self::Inside(inside) => top.join(inside),
            Self::Outside(path) => path.clone(),
        }
    }
}

/// Load and rules.
#[derive(Clone, Debug)]
pub(crate) struct Criteria {
    /// The file with each commit's server; `None` if flags set it.
    pub(crate) config: Option<Place>,
    pub(crate) plan: Plan,
    pub(crate) policy: Policy,
}

impl Criteria {
    /// Copies the files of the bad end, including its data set, for the whole search.
    pub(crate) fn keep(
        repository: &Repository,
        options: &BisectOptions,
        tree: &Tree,
    ) -> Result<(), Failure> {
        let folder = folder(repository);
        if folder.exists() {
            remove_folder(&folder)?;
        }
        for (given, usual) in named(options) {
            let Some(inside) = below_top(repository, given.unwrap_or_else(|| Path::new(usual)))
            else {
                continue;
            };
            let from = tree.path.join(&inside);
            if !from.is_file() {
                continue;
            }
            copy(&from, &folder.join(&inside))?;
            if usual != DEFAULT_CONFIG {
                continue;
            }
            if let Some(Plan {
                dataset: Dataset::File(file),
                ..
            }) = plan::of_file(Some(&from))?
                && let Ok(inside) = file.path.strip_prefix(&tree.path)
                && file.path.is_file()
            {
                copy(&file.path, &folder.join(inside))?;
            }
        }
        Ok(())
    }

    /// Reads the copies, and current files outside of the repository.
    pub(crate) fn read(
        repository: &Repository,
        options: &BisectOptions,
        events: &Events,
    ) -> Result<Self, Failure> {
        let folder = folder(repository);
        let [(config, _), (thresholds, _)] = named(options);
        let place = |given: Option<&Path>, usual: &str| -> Result<Option<Place>, Failure> {
            let path = given.unwrap_or_else(|| Path::new(usual));
            if let Some(inside) = below_top(repository, path)
                && folder.join(&inside).is_file()
            {
                return Ok(Some(Place::Inside(inside)));
            }
            match (path.is_file(), given) {
                (true, _) => Ok(Some(Place::Outside(absolute(path)?))),
                (false, None) => Ok(None),
                (false, Some(path)) => {
                    let message = format!(
                        "`{}` exists neither here nor in the bad end",
                        path.display()
                    );
                    Err(Failure::usage(message))
                }
            }
        };
        let config = place(config, DEFAULT_CONFIG)?;
        let thresholds = place(thresholds, DEFAULT_THRESHOLDS)?;
        let kept = |place: &Place| place.in_tree(&folder);
        let run = RunArgs {
            config: config.as_ref().map(kept),
            ..options.run.clone()
        };
        let policy = policy_for(&PolicyArgs {
            thresholds: thresholds.as_ref().map(kept),
            threshold: options.policy.threshold,
        });
        Ok(Self {
            policy: policy.map_err(|failure| of_the_bad_end(failure, thresholds.as_ref()))?,
            plan: plan::resolve(&run, events)
                .map_err(|failure| of_the_bad_end(failure, config.as_ref()))?,
            config,
        })
    }

    /// The plan for the commit of a tree: its own server with the common load.
    pub(crate) fn of_commit(
        &self,
        options: &BisectOptions,
        tree: &Tree,
        commit: &str,
    ) -> Result<Plan, Failure> {
        let config = self.config.as_ref().map(|place| place.in_tree(&tree.path));
        let words = Words { commit };
        let mut target = options.run.target.clone();
        let built = || builds_image(options).then(|| "{image}".to_owned());
        let image = target.image.or_else(built);
        target.image = image.map(|image| words.put_into(&image));
        let own = plan::resolve_target(config.as_deref(), &options.run, &target)?;
        Ok(Plan {
            server: own.server.map(|server| words.server(server, tree)),
            base: None,
            model: own.model,
            served_model_name: own.served_model_name,
            fresh: own.fresh,
            expectations: own.expectations,
            engine_args: own.engine_args,
            ..self.plan.clone()
        })
    }
}

/// Adds a hint with the original file, because the error contains the copy.
fn of_the_bad_end(failure: Failure, place: Option<&Place>) -> Failure {
    match place {
        Some(Place::Inside(inside)) => failure.hint(format!(
            "this is a copy of `{}` of the bad end: fix it there, or use a file outside of the repository",
            inside.display()
        )),
        Some(Place::Outside(_)) | None => failure,
    }
}

/// Whether the build creates the image to start.
pub(crate) fn builds_image(options: &BisectOptions) -> bool {
    let build = options.build.as_deref().unwrap_or_default();
    build.contains("{image}") || build.contains("PERFGATE_BISECT_IMAGE")
}

/// Values of the placeholders in commands and images.
pub(crate) struct Words<'a> {
    pub(crate) commit: &'a str,
}

impl Words<'_> {
    pub(crate) fn image(&self) -> String {
        format!("{IMAGE}:{}", self.commit)
    }

    pub(crate) fn put_into(&self, text: &str) -> String {
        text.replace("{commit}", self.commit)
            .replace("{image}", &self.image())
    }

    fn all(&self, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.put_into(text)).collect()
    }

    /// The server of this commit; a process runs in the commit's tree.
    fn server(&self, server: ServerPlan, tree: &Tree) -> ServerPlan {
        match server {
            ServerPlan::Docker(docker) => ServerPlan::Docker(DockerPlan {
                image: self.put_into(&docker.image),
                args: self.all(&docker.args),
                ..docker
            }),
            ServerPlan::Process(process) => ServerPlan::Process(ProcessPlan {
                command: self.all(&process.command),
                directory: Some(match process.directory {
                    Some(directory) => tree.path.join(directory),
                    None => tree.path.clone(),
                }),
                ..process
            }),
            ServerPlan::Url(_) | ServerPlan::Simulator(_) => server,
        }
    }
}

fn named(options: &BisectOptions) -> [(Option<&Path>, &'static str); 2] {
    let [config, thresholds] = options.files_of_criteria();
    [(config, DEFAULT_CONFIG), (thresholds, DEFAULT_THRESHOLDS)]
}

fn folder(repository: &Repository) -> PathBuf {
    repository.state.join("bar")
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))
}

/// The path below the top of the work tree; `None` for one that lies elsewhere.
fn below_top(repository: &Repository, path: &Path) -> Option<PathBuf> {
    let here = std::path::absolute(path).ok()?;
    // The file may exist only in another commit, so canonicalize the nearest existing folder.
    let there = here.ancestors().find(|folder| folder.exists())?;
    let rest = here.strip_prefix(there).ok()?;
    let canonical = there.canonicalize().ok()?.join(rest);
    let top = repository.top.canonicalize().ok()?;
    canonical.strip_prefix(top).ok().map(Path::to_owned)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let surroundings = |error| Failure::new(ExitStatus::EnvironmentFailed, error);
    let bytes = files::read(from).map_err(surroundings)?;
    files::write_atomically(to, &bytes).map_err(surroundings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_in_images_and_commands_and_shell_braces_stay() {
        let words = Words { commit: "abc" };
        let command = "docker build -t {image} --build-arg C={commit} ${DIR} .";
        assert_eq!(
            words.put_into(command),
            "docker build -t perfgate-bisect:abc --build-arg C=abc ${DIR} ."
        );
    }

    /// The server plan of a commit with this `server` in its perfgate.yaml.
    fn started_from(server: &str, options: &BisectOptions) -> ServerPlan {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree {
            path: folder.path().to_owned(),
        };
        let text = format!("model: m\nserver: {server}\n");
        files::write_atomically(&tree.path.join(DEFAULT_CONFIG), text.as_bytes()).unwrap();
        let criteria = Criteria {
            config: Some(Place::Inside(PathBuf::from(DEFAULT_CONFIG))),
            plan: crate::config::read_plan("a", "model: other\nnum_requests: 7").unwrap(),
            policy: Policy::standard(),
        };
        let plan = criteria.of_commit(options, &tree, "abc").unwrap();
        assert_eq!((plan.model.as_str(), plan.num_requests), ("m", 7));
        plan.server.unwrap()
    }

    #[test]
    fn the_commits_container_uses_the_image_of_its_build() {
        let options = || BisectOptions {
            build: Some("docker build -t {image} .".to_owned()),
            ..BisectOptions::default()
        };
        let docker = "{docker: {image: vllm, args: [--seed, \"1\"]}}";
        for (server, args) in [(docker, &["--seed", "1"][..]), ("{simulator: {}}", &[])] {
            let ServerPlan::Docker(started) = started_from(server, &options()) else {
                panic!("{server}");
            };
            assert_eq!(started.image, "perfgate-bisect:abc");
            assert_eq!(started.args, args);
        }
        let named = "{docker: {image: \"ghcr.io/me/vllm:{commit}\"}}";
        let ServerPlan::Docker(started) = started_from(named, &BisectOptions::default()) else {
            panic!("{named}");
        };
        assert_eq!(started.image, "ghcr.io/me/vllm:abc");
    }

    #[test]
    fn a_process_runs_in_the_tree_of_its_commit() {
        let process =
            "{process: {command: [./serve, \"{port}\", \"{commit}\"], directory: serving}}";
        let ServerPlan::Process(started) = started_from(process, &BisectOptions::default()) else {
            panic!("{process}");
        };
        assert_eq!(started.command, ["./serve", "{port}", "abc"]);
        assert!(started.directory.unwrap().ends_with("serving"));
    }
}
