//! Reaching the container engine, and its errors in our words.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;

use super::super::LaunchError;

/// An engine that does not say its version by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Docker's socket where nothing else is said.
const DOCKER_SOCKET: &str = "unix:///var/run/docker.sock";

/// The engine at `host` (the value of `DOCKER_HOST`), else Docker at its usual socket, else podman at one of its own.
pub(super) async fn connect(host: Option<&str>) -> Result<Docker, LaunchError> {
    let unreachable = |reason: String| LaunchError::EngineUnreachable {
        host: host.unwrap_or(DOCKER_SOCKET).to_owned(),
        reason,
    };
    let first = agree(Docker::connect_with_host(host.unwrap_or(DOCKER_SOCKET))).await;
    match (first, host) {
        (Ok(docker), _) => Ok(docker),
        (Err(reason), Some(_)) => Err(unreachable(reason)),
        (Err(reason), None) => agree(Docker::connect_with_podman_defaults())
            .await
            // Podman's own answer says nothing to those who never had it.
            .map_err(|_podman| unreachable(reason)),
    }
}

/// Agrees on a version of the API, which also shows that somebody is there.
async fn agree(docker: Result<Docker, Error>) -> Result<Docker, String> {
    let docker = docker.map_err(|error| in_words(&error))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(error)) => Err(in_words(&error)),
        Err(_elapsed) => Err(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
    }
}

/// Something that the engine would not do.
pub(super) fn refused(action: String, error: &Error) -> LaunchError {
    LaunchError::Engine {
        action,
        reason: in_words(error),
    }
}

/// What the engine said, or the innermost cause: what is above it only says that something was asked.
pub(super) fn in_words(error: &Error) -> String {
    if let Error::DockerResponseServerError { message, .. } = error {
        return message.trim().replace(['\r', '\n'], " ");
    }
    if let Error::SocketNotFoundError(path) = error {
        return format!("there is no socket `{path}`");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().replace(['\r', '\n'], " ")
}

/// Whether the thing asked for does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}
