//! Connects to the container engine, and words its errors.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use bollard::{API_DEFAULT_VERSION, Docker};

use super::super::LaunchError;
use super::super::unavailable::{NoEngine, TriedAddress};
use super::address::{Address, Lookup, addresses};

/// An engine that does not report its version in this time counts as missing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of requests that an engine answers from memory.
pub(super) const QUICK: Duration = Duration::from_secs(30);

/// Timeout of requests that involve disks, networks and devices; attaching many GPUs takes half a minute.
pub(super) const SLOW: Duration = Duration::from_mins(3);

/// The client's own timeout. Ours are shorter, except for a stream that is silent for long.
const CLIENT_TIMEOUT_SECONDS: u64 = 240;

/// An engine that answers.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) docker: Docker,
    pub(super) address: Address,
}

/// The first engine that answers, at the configured address or at the default ones.
pub(super) async fn connect(lookup: Lookup<'_>) -> Result<Connected, LaunchError> {
    let mut tried = Vec::new();
    for address in addresses(lookup)? {
        match connect_at(&address).await {
            Ok(docker) => return Ok(Connected { docker, address }),
            Err(found) => tried.push(TriedAddress {
                place: address.in_words(),
                found,
            }),
        }
    }
    Err(LaunchError::EngineUnreachable { tried })
}

/// Negotiates the API version with the engine, which also shows that an engine answers.
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
    // An error that only forwards another one shares its source.
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

/// Why a request to the engine failed.
#[derive(Debug)]
pub(super) enum RequestError {
    /// No answer in this time.
    Silent(Duration),
    /// The engine refused, or the connection failed.
    Failed(Error),
}

impl RequestError {
    /// The error of a launch that asked the engine to do `action`.
    pub(super) fn when_asked_to(self, action: impl Into<String>) -> LaunchError {
        let action = action.into();
        match self {
            Self::Silent(waited) => LaunchError::EngineSilent { action, waited },
            Self::Failed(error) => LaunchError::Engine {
                action,
                reason: in_words(&error),
            },
        }
    }

    /// Whether the engine itself refused. After any other error it may still do what it was asked to do.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed(Error::DockerResponseServerError { .. }))
    }

    /// Whether the requested object does not exist.
    pub(super) fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Failed(Error::DockerResponseServerError {
                status_code: 404,
                ..
            })
        )
    }

    /// Whether the engine's message contains one of the texts.
    pub(super) fn mentions(&self, texts: &[&str]) -> bool {
        let Self::Failed(error) = self else {
            return false;
        };
        let message = in_words(error);
        texts.iter().any(|text| message.contains(text))
    }
}

/// Sends a request to the engine, and waits `at_most` for the answer.
pub(super) async fn ask<T>(
    at_most: Duration,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, RequestError> {
    match tokio::time::timeout(at_most, request).await {
        Ok(Err(Error::RequestTimeoutError)) | Err(_) => Err(RequestError::Silent(at_most)),
        Ok(answer) => answer.map_err(RequestError::Failed),
    }
}

/// Between two requests about a container that is ending.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// podman reports `stopped` for a moment before a container has exited, a state that Docker's API does not define.
const JUST_ENDING: &str = "unknown variant `stopped`";

/// What the engine reports about a container. Asks again until a container that is ending has ended.
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
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            answered => return answered,
        }
    }
}

/// The engine's message, or the innermost cause: the errors above it add nothing.
pub(super) fn in_words(error: &Error) -> String {
    if let Error::DockerResponseServerError { message, .. }
    | Error::DockerStreamError { error: message } = error
    {
        return message.trim().replace(['\r', '\n'], " ");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_never_answers_is_given_up() {
        let soon = Duration::from_millis(20);
        let asked = std::future::pending::<Result<(), Error>>();
        let error = ask(soon, asked).await.unwrap_err();
        let error = error.when_asked_to("remove the container `x`");
        insta::assert_snapshot!(error, @"the container engine did not answer within 0 s when asked to remove the container `x`");
        assert!(!error.hints().is_empty());
        let refused = async {
            Err::<(), Error>(Error::DockerResponseServerError {
                status_code: 500,
                message: "no\n".to_owned(),
            })
        };
        let error = ask(soon, refused).await.unwrap_err();
        let error = error.when_asked_to("do it");
        insta::assert_snapshot!(error, @"the container engine cannot do it: no");
    }

    #[test]
    fn reasons_for_an_unreachable_engine_are_distinguished() {
        let io = |kind: io::ErrorKind| no_engine(&Error::IOError { err: kind.into() });
        assert_eq!(io(io::ErrorKind::PermissionDenied), NoEngine::Forbidden);
        assert_eq!(io(io::ErrorKind::ConnectionRefused), NoEngine::NotRunning);
        assert!(matches!(io(io::ErrorKind::BrokenPipe), NoEngine::Other(_)));
    }
}
