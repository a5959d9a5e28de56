//! Reaching the container engine, and its errors in our words.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use bollard::{API_DEFAULT_VERSION, Docker};

use super::super::LaunchError;
use super::super::unavailable::{LookedAt, NoEngine};
use super::address::{Address, Lookup, places};

/// An engine that does not say its version by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For a question that an engine answers from what it knows.
pub(super) const QUICK: Duration = Duration::from_secs(30);

/// For what an engine does with disks, networks and devices; many GPUs take half a minute to be handed in.
pub(super) const SLOW: Duration = Duration::from_mins(3);

/// What the client itself waits for an answer; ours are shorter, but for a stream that is silent for long.
const CLIENT_TIMEOUT_SECONDS: u64 = 240;

/// An engine that answers.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) docker: Docker,
    pub(super) address: Address,
}

/// The first engine that answers among those that the environment names, or at the usual places.
pub(super) async fn connect(lookup: Lookup<'_>) -> Result<Connected, LaunchError> {
    let mut looked_at = Vec::new();
    for address in places(lookup)? {
        match connect_at(&address).await {
            Ok(docker) => return Ok(Connected { docker, address }),
            Err(found) => looked_at.push(LookedAt {
                place: address.in_words(),
                found,
            }),
        }
    }
    Err(LaunchError::EngineUnreachable { looked_at })
}

/// Agrees with the engine on a version of the API, which also shows that somebody is there.
pub(super) async fn connect_at(address: &Address) -> Result<Docker, NoEngine> {
    let docker = match address.url.strip_prefix("unix://") {
        Some(path) if !Path::new(path).exists() => return Err(NoEngine::NoSocket),
        Some(path) => Docker::connect_with_unix(path, CLIENT_TIMEOUT_SECONDS, API_DEFAULT_VERSION),
        None => {
            Docker::connect_with_http(&address.url, CLIENT_TIMEOUT_SECONDS, API_DEFAULT_VERSION)
        }
    };
    let docker = docker.map_err(|error| no_engine(&error))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(error)) => Err(no_engine(&error)),
        Err(_elapsed) => Err(NoEngine::Silent(CONNECT_TIMEOUT)),
    }
}

fn no_engine(error: &Error) -> NoEngine {
    // An error that only passes another on has that one's source, not that one itself.
    let mut cause: Option<&dyn std::error::Error> = if let Error::IOError { err } = error {
        Some(err)
    } else {
        Some(error)
    };
    while let Some(inner) = cause {
        let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::PermissionDenied) {
            return NoEngine::Forbidden;
        }
        if kind == Some(io::ErrorKind::ConnectionRefused) {
            return NoEngine::NotRunning;
        }
        cause = inner.source();
    }
    NoEngine::Other(in_words(error))
}

/// Asks the engine for something, and waits `at_most` so long for it.
pub(super) async fn within<T>(
    at_most: Duration,
    action: impl Fn() -> String,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, LaunchError> {
    match timely(at_most, asked).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(refused(action(), &error)),
        Err(waited) => Err(LaunchError::EngineSilent {
            action: action(),
            waited,
        }),
    }
}

/// The same, for those who look into the engine's own error; `Err` holds how long it was waited for.
pub(super) async fn timely<T>(
    at_most: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, Duration> {
    match tokio::time::timeout(at_most, asked).await {
        Ok(Err(Error::RequestTimeoutError)) | Err(_) => Err(at_most),
        Ok(answer) => Ok(answer),
    }
}

/// Between two questions about a container that is just ending.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// podman calls a container `stopped` for a moment before it has exited, a word that Docker's API does not have.
const JUST_ENDING: &str = "unknown variant `stopped`";

/// What the engine knows of a container. One that is just ending is asked for again until it has ended.
pub(super) async fn inspect(
    docker: &Docker,
    name: &str,
) -> Result<ContainerInspectResponse, Error> {
    let end = Instant::now() + QUICK;
    loop {
        let asked = docker
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        match asked {
            Err(error) if Instant::now() < end && in_words(&error).contains(JUST_ENDING) => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            answered => return answered,
        }
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
    if let Error::DockerStreamError { error } = error {
        return error.trim().replace(['\r', '\n'], " ");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_never_answers_is_given_up() {
        let soon = Duration::from_millis(20);
        let asked = std::future::pending::<Result<(), Error>>();
        let error = within(soon, || "remove the container `x`".to_owned(), asked)
            .await
            .unwrap_err();
        insta::assert_snapshot!(error, @"the container engine was asked to remove the container `x`, and did not answer within 0 s");
        assert!(!error.hints().is_empty());
        let refused = async {
            Err::<(), Error>(Error::DockerResponseServerError {
                status_code: 500,
                message: "no\n".to_owned(),
            })
        };
        let error = within(soon, || "do it".to_owned(), refused)
            .await
            .unwrap_err();
        insta::assert_snapshot!(error, @"the container engine could not do it: no");
    }

    #[test]
    fn what_keeps_from_an_engine_is_told_apart() {
        let io = |kind: io::ErrorKind| no_engine(&Error::IOError { err: kind.into() });
        assert_eq!(io(io::ErrorKind::PermissionDenied), NoEngine::Forbidden);
        assert_eq!(io(io::ErrorKind::ConnectionRefused), NoEngine::NotRunning);
        assert!(matches!(io(io::ErrorKind::BrokenPipe), NoEngine::Other(_)));
    }
}
