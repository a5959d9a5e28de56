//! Why no container engine answers, and why an image cannot be pulled. The cases differ because different people must act.

use std::time::Duration;

use super::fault::Fault;

/// An address of an engine that was tried, and the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedAddress {
    /// `unix:///var/run/docker.sock`, with its origin.
    pub place: String,
    /// The result.
    pub found: NoEngine,
}

/// Why no engine answers at an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEngine {
    /// No socket.
    #[error("the socket does not exist")]
    NoSocket,
    /// A socket that this user may not use.
    #[error("permission denied")]
    Forbidden,
    /// A socket or port without a listener.
    #[error("nothing listens there")]
    NotRunning,
    /// Connected, but no answer in that time.
    #[error("no answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// Another error.
    #[error("{0}")]
    Other(String),
}

/// One address on the same line, several below each other.
pub(super) fn listing(tried: &[TriedAddress]) -> String {
    match tried {
        [one] => format!(" at {}: {}", one.place, one.found),
        several => several
            .iter()
            .map(|one| format!("\n  {}: {}", one.place, one.found))
            .collect(),
    }
}

/// What to do to get a running engine.
pub(super) fn engine_hints(tried: &[TriedAddress]) -> Vec<String> {
    let mut found = tried.iter().map(|one| &one.found);
    let hints: &[&str] = if found.clone().any(|found| *found == NoEngine::Forbidden) {
        &[
            "give this user access: add it to the group `docker` (sudo usermod -aG docker $USER) and log in again",
        ]
    } else if found.any(|found| matches!(found, NoEngine::Silent(_))) {
        &["the engine hangs: restart it (systemctl restart docker)"]
    } else {
        &[
            "start the engine: systemctl start docker, or systemctl --user start podman.socket",
            "if it listens at another address, set DOCKER_HOST, for example `unix:///path/to.sock`",
        ]
    };
    hints.iter().map(ToString::to_string).collect()
}

/// Why an image could not be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullFailure {
    /// The name is not a valid image name.
    BadName,
    /// The registry needs a login, or has no such repository.
    Denied,
    /// The registry has no such tag.
    NotFound,
    /// The image is for other processors.
    Platform,
    /// Too many pulls.
    RateLimited,
    /// The disk is full.
    DiskFull,
    /// No data for minutes.
    Stuck,
    /// The registry did not answer, or something else went wrong.
    Unreachable,
}

/// Texts of Docker 20 to 29, containerd, podman 4 and 5 and of registries, in lower case. The first match wins.
static PULL_FAILURES: [(&str, PullFailure); 22] = [
    ("no space left on device", PullFailure::DiskFull),
    ("toomanyrequests", PullFailure::RateLimited),
    ("too many requests", PullFailure::RateLimited),
    ("rate limit", PullFailure::RateLimited),
    ("no matching manifest", PullFailure::Platform),
    ("no image found in manifest list", PullFailure::Platform),
    ("no image found in image index", PullFailure::Platform),
    ("invalid reference format", PullFailure::BadName),
    ("repository name must be", PullFailure::BadName),
    ("access denied", PullFailure::Denied),
    ("denied:", PullFailure::Denied),
    // About this machine's own files and sockets.
    ("permission denied", PullFailure::Unreachable),
    ("denied", PullFailure::Denied),
    ("insufficient_scope", PullFailure::Denied),
    ("authorization failed", PullFailure::Denied),
    ("forbidden", PullFailure::Denied),
    ("unauthorized", PullFailure::Denied),
    ("authentication required", PullFailure::Denied),
    ("no basic auth credentials", PullFailure::Denied),
    ("manifest unknown", PullFailure::NotFound),
    ("manifest for", PullFailure::NotFound),
    (": not found", PullFailure::NotFound),
];

impl PullFailure {
    /// The kind of the failure in the engine's message.
    pub(super) fn from_reason(reason: &str) -> Self {
        let reason = reason.to_lowercase();
        PULL_FAILURES
            .iter()
            .find(|(text, _)| reason.contains(text))
            .map_or(Self::Unreachable, |(_, failure)| *failure)
    }

    /// Who has to act.
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::BadName | Self::Denied | Self::NotFound | Self::Platform => Fault::Configuration,
            Self::RateLimited | Self::DiskFull | Self::Stuck | Self::Unreachable => {
                Fault::Environment
            }
        }
    }

    /// What to do.
    pub(super) fn hint(self, image: &str) -> String {
        let hint = match self {
            Self::BadName => "write `registry/name:tag` or `name@sha256:…`",
            Self::Denied => "check the name; if the registry needs a password: docker login",
            Self::NotFound => "check the tag: docker pull IMAGE",
            Self::Platform => "use an image that is built for this machine's processor",
            Self::RateLimited => "wait, or log in: docker login (then: docker pull IMAGE)",
            Self::DiskFull => "free disk space in the engine's image storage: docker system df",
            Self::Stuck | Self::Unreachable => {
                "check the name and that this machine reaches the registry: docker pull IMAGE"
            }
        };
        hint.replace("IMAGE", image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_registries_are_distinguished() {
        for (reason, failure) in [
            (
                "pull access denied for vllm/no-such, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                PullFailure::Denied,
            ),
            ("error from registry: denied", PullFailure::Denied),
            (
                "failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden",
                PullFailure::Denied,
            ),
            (
                "Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource",
                PullFailure::Denied,
            ),
            (
                "mkdir /var/lib/containers: permission denied",
                PullFailure::Unreachable,
            ),
            (
                "Head \"https://ghcr.io/v2/x/y/manifests/1\": unauthorized",
                PullFailure::Denied,
            ),
            (
                "manifest for vllm/vllm-openai:v9 not found: manifest unknown: manifest unknown",
                PullFailure::NotFound,
            ),
            (
                "failed to resolve reference \"docker.io/library/x:9\": docker.io/library/x:9: not found",
                PullFailure::NotFound,
            ),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                PullFailure::Platform,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit.",
                PullFailure::RateLimited,
            ),
            (
                "write /var/lib/docker/tmp/x: no space left on device",
                PullFailure::DiskFull,
            ),
            (
                "invalid reference format: repository name must be lowercase",
                PullFailure::BadName,
            ),
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
                PullFailure::Unreachable,
            ),
            (
                "Get \"http://127.0.0.1:9/v2/\": dial tcp 127.0.0.1:9: connect: connection refused",
                PullFailure::Unreachable,
            ),
        ] {
            assert_eq!(PullFailure::from_reason(reason), failure, "{reason}");
            assert!(!failure.hint("i").is_empty());
        }
    }

    fn at(place: &str, found: NoEngine) -> TriedAddress {
        TriedAddress {
            place: place.to_owned(),
            found,
        }
    }

    #[test]
    fn every_address_is_listed_and_missing_permission_is_explained() {
        let tried = [
            at("unix:///var/run/docker.sock", NoEngine::Forbidden),
            at("unix:///run/user/7/docker.sock", NoEngine::NoSocket),
        ];
        assert_eq!(
            listing(&tried),
            "\n  unix:///var/run/docker.sock: permission denied\n  unix:///run/user/7/docker.sock: the socket does not exist"
        );
        assert!(engine_hints(&tried)[0].contains("group `docker`"));
        let down = [at("unix:///var/run/docker.sock", NoEngine::NotRunning)];
        assert_eq!(
            listing(&down),
            " at unix:///var/run/docker.sock: nothing listens there"
        );
        assert!(engine_hints(&down)[0].contains("systemctl start docker"));
        let hung = [at(
            "tcp://127.0.0.1:2375",
            NoEngine::Silent(Duration::from_secs(10)),
        )];
        assert!(engine_hints(&hung)[0].contains("restart"));
    }
}
