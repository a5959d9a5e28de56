//! What `docker login` stored for a registry: the engine keeps no passwords, whoever asks it for an image must bring them.

use std::fs::File;
use std::io::BufReader;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use super::address::{Lookup, docker_folder};
use crate::secret;

/// The registry of a name without one, as the docker program stores it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The login for the registry of an image, from `config.json` or the helper that it names; `None` where there is none. What
/// cannot be read is told and left out: the registry then says whether it wants one.
pub(super) fn find(reference: &str, lookup: Lookup<'_>) -> Option<DockerCredentials> {
    let registry = registry_of(reference);
    let path = docker_folder(lookup)?.join("config.json");
    let file = File::open(&path).ok()?;
    match get_credential_from_reader(BufReader::new(file), registry) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            secret::register(&password);
            Some(DockerCredentials {
                username: Some(username),
                password: Some(password),
                serveraddress: Some(registry.to_owned()),
                ..DockerCredentials::default()
            })
        }
        Ok(DockerCredential::IdentityToken(token)) => {
            secret::register(&token);
            Some(DockerCredentials {
                identitytoken: Some(token),
                serveraddress: Some(registry.to_owned()),
                ..DockerCredentials::default()
            })
        }
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound,
        ) => None,
        // What a helper printed may hold what it was asked for.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            tracing::warn!("no login for {registry}: the credential helper `{helper}` failed");
            None
        }
        Err(error) => {
            tracing::warn!("no login for {registry}: `{}`: {error}", path.display());
            None
        }
    }
}

/// The first part of a name is a registry where it has a dot or a port, or is `localhost`.
fn registry_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "docker.io" | "index.docker.io" => DOCKER_HUB,
            registry => registry,
        },
        Some(_) | None => DOCKER_HUB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &str, reference: &str) -> Option<DockerCredentials> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        crate::files::write_atomically(&path, config.as_bytes()).unwrap();
        let place = folder.path().display().to_string();
        find(reference, &move |name| {
            (name == "DOCKER_CONFIG").then(|| place.clone())
        })
    }

    /// `me:open-sesame` in base64.
    const AUTH: &str = "bWU6b3Blbi1zZXNhbWU=";

    #[test]
    fn a_login_is_for_the_registry_of_the_image_alone() {
        let config = format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{AUTH}"}}, "https://index.docker.io/v1/": {{"identitytoken": "t"}}}}}}"#
        );
        let found = login(&config, "ghcr.io/me/vllm:pr-7").unwrap();
        assert_eq!(found.username.as_deref(), Some("me"));
        assert_eq!(found.password.as_deref(), Some("open-sesame"));
        assert_eq!(found.serveraddress.as_deref(), Some("ghcr.io"));
        for of_hub in [
            "vllm/vllm-openai:v1",
            "ubuntu",
            "docker.io/vllm/vllm-openai",
        ] {
            let found = login(&config, of_hub).unwrap();
            assert_eq!(found.identitytoken.as_deref(), Some("t"), "{of_hub}");
        }
        assert!(login(&config, "localhost:5000/vllm").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_no_login() {
        for broken in [
            "rubbish",
            "{}",
            r#"{"auths": {"ghcr.io": {"auth": "%%%"}}}"#,
            r#"{"credsStore": "no-such-helper"}"#,
        ] {
            assert!(login(broken, "ghcr.io/me/vllm").is_none(), "{broken}");
        }
        assert!(find("ghcr.io/me/vllm", &|_| None).is_none());
    }
}
