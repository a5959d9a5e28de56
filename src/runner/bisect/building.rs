//! The build of a commit, in a tree of perfgate's own.

use std::path::{Path, PathBuf};

use super::super::server_side::own_program;
use super::bisect_run::BisectRun;
use super::question::Base;
use crate::event::BisectEvent;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;
use crate::git::checkout::Tree;
use crate::git::search::Repository;
use crate::inputs::criteria::{Words, builds_image};
use crate::launch::{Build, BuildError, build, image_is_here};

/// The state of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Built {
    /// It existed, or no build is needed.
    Before,
    /// It is new: earlier measurements of the commit belong to another build.
    Now,
}

/// Why there is no build.
pub(crate) enum NotBuilt {
    /// The build of the commit failed, with its output.
    OfCommit(String),
    /// The failure is independent of the commit.
    Failure(Failure),
}

impl NotBuilt {
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::OfCommit(said) => Failure::message(ExitStatus::TargetFailed, said),
            Self::Failure(failure) => failure,
        }
    }
}

impl BisectRun<'_> {
    /// Builds a commit in that tree, unless the build exists.
    pub(crate) async fn build(
        &self,
        tree: &Tree,
        commit: &str,
        logs: &Path,
    ) -> Result<Built, NotBuilt> {
        let Some(command) = &self.options.build else {
            return Ok(Built::Before);
        };
        let words = Words { commit };
        let command = words.put_into(command);
        let done = format!("{commit}\n{command}\n");
        let is_marked = std::fs::read_to_string(tree.mark()).is_ok_and(|text| text == done);
        if is_marked && !self.is_image_gone(&words).await {
            return Ok(Built::Before);
        }
        let short = commit.get(..10).unwrap_or(commit).to_owned();
        self.emit(BisectEvent::Building(short.clone()));
        // A failed build leaves partial output.
        tree.write_mark("")
            .map_err(|error| NotBuilt::Failure(error.into()))?;
        let own_program = own_program().map_err(|error| {
            NotBuilt::Failure(Failure::new(ExitStatus::EnvironmentFailed, error))
        })?;
        let log = logs.join(format!("build-{short}.log"));
        let variables = [
            ("PERFGATE_BISECT_COMMIT", commit.to_owned()),
            ("PERFGATE_BISECT_IMAGE", words.image()),
            (
                "PERFGATE_BISECT_TOP",
                self.repository.top.display().to_string(),
            ),
        ];
        let building = Build {
            command: &command,
            folder: &tree.path,
            variables: &variables,
            log: &log,
            own_program: &own_program,
        };
        let built = build(&building, &self.command.interrupt.token()).await;
        built.map_err(|error| {
            let message = error.to_string();
            match error {
                BuildError::Failed { .. } => {
                    NotBuilt::OfCommit(format!("{message}\ncomplete output: `{}`", log.display()))
                }
                BuildError::Environment { .. } => NotBuilt::Failure(Failure::environment(message)),
                BuildError::Cancelled => {
                    NotBuilt::Failure(Failure::message(ExitStatus::Interrupted, message))
                }
            }
        })?;
        if builds_image(self.options) {
            remember_image(&self.repository, words.image()).map_err(NotBuilt::Failure)?;
        }
        tree.write_mark(&done)
            .map_err(|error| NotBuilt::Failure(error.into()))?;
        Ok(Built::Now)
    }

    /// Whether the image of a build was removed. Without an answer of the engine, the image counts as present.
    async fn is_image_gone(&self, words: &Words<'_>) -> bool {
        builds_image(self.options)
            && matches!(
                image_is_here(&words.image(), self.command.environment).await,
                Ok(false)
            )
    }

    /// Builds the base of a comparison, unless it was built or measured before.
    pub(crate) async fn build_base(&self, base: &Base, logs: &Path) -> Result<Built, Failure> {
        let (Some(name), Some(commit)) = (base.tree, &base.commit) else {
            return Ok(Built::Before);
        };
        let tree = self.tree(name);
        tree.check_out(&self.repository, commit)?;
        let built = self.build(&tree, commit, logs).await;
        built.map_err(|failure| {
            let failure = failure.failure();
            failure.context(format!("{} cannot be built", base.name))
        })
    }
}

/// All images built by searches in this repository; the container engine stores them.
pub(crate) fn built_images(repository: &Repository) -> Vec<String> {
    let text = std::fs::read_to_string(images_file(repository)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Adds an image to them.
fn remember_image(repository: &Repository, image: String) -> Result<(), Failure> {
    let mut images = built_images(repository);
    if images.contains(&image) {
        return Ok(());
    }
    images.push(image);
    let text = images.join("\n") + "\n";
    files::write_atomically(&images_file(repository), text.as_bytes()).map_err(cannot_keep)
}

fn images_file(repository: &Repository) -> PathBuf {
    repository.state.join("images")
}
