//! Finding an image on this machine, or pulling it.

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;

use super::super::{LaunchError, Phase};
use super::engine;

/// What a launch needs to know of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Digest in its registry, or the image id of one that came from none.
    pub(super) digest: Option<String>,
    /// Its own entry point.
    pub(super) entrypoint: Vec<String>,
}

/// The image, pulled where it is missing.
pub(super) async fn find(
    docker: &Docker,
    reference: &str,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Image, LaunchError> {
    match inspect(docker, reference).await {
        Ok(image) => Ok(image),
        Err(error) if engine::is_missing(&error) => {
            pull(docker, reference, progress).await?;
            inspect(docker, reference).await.map_err(|error| {
                engine::refused(format!("inspect the image `{reference}`"), &error)
            })
        }
        Err(error) => Err(engine::refused(
            format!("inspect the image `{reference}`"),
            &error,
        )),
    }
}

async fn inspect(docker: &Docker, reference: &str) -> Result<Image, bollard::errors::Error> {
    let image = docker.inspect_image(reference).await?;
    let in_registry = image.repo_digests.unwrap_or_default().into_iter().next();
    Ok(Image {
        // `name@sha256:…`: the name is known already.
        digest: in_registry
            .map(|digest| digest.rsplit('@').next().unwrap_or_default().to_owned())
            .or(image.id),
        entrypoint: image
            .config
            .and_then(|config| config.entrypoint)
            .unwrap_or_default(),
    })
}

async fn pull(
    docker: &Docker,
    reference: &str,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<(), LaunchError> {
    progress(Phase::Pulling(reference.to_owned()));
    let options = CreateImageOptionsBuilder::default()
        .from_image(&with_tag(reference))
        .build();
    let mut events = docker.create_image(Some(options), None, None);
    let mut last = String::new();
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| LaunchError::ImageUnavailable {
            image: reference.to_owned(),
            reason: engine::in_words(&error),
        })?;
        // Each layer repeats its state several times a second.
        if let Some(status) = event.status.filter(|status| *status != last) {
            last.clone_from(&status);
            progress(Phase::Pulling(status));
        }
    }
    Ok(())
}

/// Without a tag some engines pull every tag there is.
fn with_tag(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_a_tag_gets_one() {
        assert_eq!(with_tag("host:5000/vllm"), "host:5000/vllm:latest");
        assert_eq!(with_tag("vllm/vllm-openai:v1"), "vllm/vllm-openai:v1");
        assert_eq!(with_tag("vllm@sha256:ab"), "vllm@sha256:ab");
    }
}
