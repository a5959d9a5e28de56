//! Finds an image on this machine, or pulls it.

use bollard::Docker;

use super::super::{LaunchError, Phase};
use super::address::Lookup;
use super::engine::{self, QUICK};
use super::pull::pull;
use super::{login, refusal};
use crate::config::{DockerPlan, Pull};

/// What a launch needs to know about an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Digest in its registry, or the image id if it has no registry.
    pub(super) digest: Option<String>,
    /// Its entry point.
    pub(super) entrypoint: Vec<String>,
    /// Its user; root if unset.
    pub(super) user: Option<String>,
    /// Its variables, `NAME=value`.
    pub(super) env: Vec<String>,
}

impl Image {
    /// The value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|line| {
            let (known, value) = line.split_once('=')?;
            (known == name && !value.is_empty()).then_some(value)
        })
    }
}

/// Finds the image, and pulls it as the plan asks, with the logins of `docker login`.
pub(super) async fn find(
    docker: &Docker,
    plan: &DockerPlan,
    lookup: Lookup<'_>,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Image, LaunchError> {
    let reference = plan.image.as_str();
    let pull = async || {
        let login = login::find(reference, lookup, progress).await;
        pull(docker, reference, login, progress).await
    };
    if plan.pull == Pull::Always {
        pull().await?;
    }
    if let Some(image) = inspect(docker, reference).await? {
        return Ok(image);
    }
    let missing = || LaunchError::ImageMissing {
        image: reference.to_owned(),
    };
    if plan.pull != Pull::Missing {
        return Err(missing());
    }
    pull().await?;
    inspect(docker, reference).await?.ok_or_else(missing)
}

/// Whether the engine has that image. `lookup` looks up perfgate's own environment.
///
/// # Errors
///
/// Those of an engine that is missing or does not answer.
pub async fn image_is_here(
    reference: &str,
    lookup: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<bool, LaunchError> {
    let connected = engine::connect(lookup as Lookup<'_>).await?;
    Ok(inspect(&connected.docker, reference).await?.is_some())
}

/// What the engine reports about the image; `None` if it does not have it.
async fn inspect(docker: &Docker, reference: &str) -> Result<Option<Image>, LaunchError> {
    let image = match engine::ask(QUICK, docker.inspect_image(reference)).await {
        Ok(image) => image,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => {
            let action = format!("inspect the image `{reference}`");
            return Err(refusal::error(action, &[], error));
        }
    };
    let in_registry = image.repo_digests.unwrap_or_default().into_iter().next();
    let config = image.config.unwrap_or_default();
    Ok(Some(Image {
        // `name@sha256:…`: the reference contains the digest.
        digest: in_registry
            .map(|digest| digest.rsplit('@').next().unwrap_or_default().to_owned())
            .or(image.id),
        entrypoint: config.entrypoint.unwrap_or_default(),
        user: config.user.filter(|user| !user.is_empty()),
        env: config.env.unwrap_or_default(),
    }))
}
