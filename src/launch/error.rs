//! Why a server did not start, who has to act, and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::cause::Cause;
use super::diagnosis;
use super::fault::{Exit, Fault};
use super::log::quoted;
use super::unavailable::{PullFailure, TriedAddress, engine_hints, listing as places};
use crate::files::FileError;

/// Why a server cannot be measured, or could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A setting of the plan or of the environment is wrong, or does not fit the server.
    #[error("{problem}")]
    Setting {
        /// The setting and the problem.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// An image without an entry point.
    #[error("image `{image}` has no entry point")]
    NoEntrypoint {
        /// The image.
        image: String,
    },
    /// An entry point that drops the server's arguments.
    #[error("the entry point `{}` of `{image}` drops the server's arguments: its shell script does not pass them on", entrypoint.join(" "))]
    EntrypointKeepsArguments {
        /// The image.
        image: String,
        /// The entry point.
        entrypoint: Vec<String>,
    },
    /// No container engine answers.
    #[error("no container engine answers{}", places(tried))]
    EngineUnreachable {
        /// The addresses that were tried, with the result of each.
        tried: Vec<TriedAddress>,
    },
    /// The container engine stopped answering.
    #[error("the container engine did not answer within {} s when asked to {action}", waited.as_secs())]
    EngineSilent {
        /// The request, with the name of the object.
        action: String,
        /// How long perfgate waited.
        waited: Duration,
    },
    /// The container engine refused a request.
    #[error("the container engine cannot {action}: {reason}")]
    Engine {
        /// The request, with the name of the object.
        action: String,
        /// The engine's message.
        reason: String,
    },
    /// A failed pull.
    #[error("cannot pull image `{image}`: {reason}")]
    ImageUnavailable {
        /// The image.
        image: String,
        /// Kind of the failure.
        failure: PullFailure,
        /// Message of the engine or the registry.
        reason: String,
    },
    /// A missing image that must not be pulled.
    #[error("image `{image}` is not on this machine, and `pull: never` forbids pulling it")]
    ImageMissing {
        /// The image.
        image: String,
    },
    /// The container engine cannot pass the requested GPUs.
    #[error("the container engine cannot pass GPUs to the container: {reason}")]
    GpuRuntime {
        /// The engine's message.
        reason: String,
        /// Who has to act.
        fault: Fault,
        /// What to do.
        hint: &'static str,
    },
    /// A setting that the container engine does not support.
    #[error("the container engine rejects server.docker.{key}: {reason}")]
    KeyRefused {
        /// The key.
        key: &'static str,
        /// The engine's message.
        reason: String,
    },
    /// No free port.
    #[error("no free port on 127.0.0.1: {reason}")]
    Port {
        /// The cause.
        reason: String,
    },
    /// The published port is on a loopback other than perfgate's.
    #[error("the server cannot be reached: {reason}")]
    OtherLoopback {
        /// Where perfgate runs.
        reason: String,
    },
    /// The server's log cannot be written.
    #[error("cannot write the server's log to `{}`: {source}", path.display())]
    LogFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder for the log cannot be created.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client: {0}")]
    Client(String),
    /// perfgate cannot find or start its own program, as simulator or as guard of a process.
    #[error("cannot start perfgate's own program: {0}")]
    OwnProgram(#[source] io::Error),
    /// The program of the command does not start.
    #[error("cannot run `{program}`: {reason}")]
    CommandNotFound {
        /// The program.
        program: String,
        /// The cause.
        reason: String,
    },
    /// The server ended without being stopped.
    #[error("the server ended {exit} {}{}", if *ready { "during the measurement" } else { "before it was ready" }, quoted(log))]
    Ended {
        /// Its exit code or signal.
        exit: Exit,
        /// Whether it had been ready.
        ready: bool,
        /// Its last lines.
        log: Vec<String>,
    },
    /// The server did not become ready in time.
    #[error("the server was not ready after {} s: {last}{}", waited.as_secs_f64(), quoted(log))]
    TimedOut {
        /// How long perfgate waited.
        waited: Duration,
        /// Result of the last question.
        last: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// No server is ready at the configured address.
    #[error("no server is ready at {base_url}: {last}")]
    NotReachable {
        /// The address.
        base_url: String,
        /// Result of the last question.
        last: String,
    },
    /// The server serves another model.
    #[error(
        "the server does not list the model `{asked}`; it lists {}{}",
        listing(listed),
        quoted(log)
    )]
    WrongModel {
        /// The model name in requests.
        asked: String,
        /// The models that it lists.
        listed: Vec<String>,
        /// Its last lines.
        log: Vec<String>,
    },
    /// A started object could not be removed.
    #[error("cannot remove {what}: {reason}")]
    NotRemoved {
        /// The object that is left.
        what: String,
        /// The cause.
        reason: String,
    },
    /// perfgate was interrupted; everything it started is removed.
    #[error("interrupted while the server was starting")]
    Cancelled,
}

fn listing(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl LaunchError {
    /// A wrong setting, and what to do.
    pub(super) fn setting(problem: String, hint: impl Into<String>) -> Self {
        Self::Setting {
            problem,
            hint: hint.into(),
        }
    }

    /// Missing GPUs in a container.
    pub(super) fn of_gpus(cause: &Cause, reason: String) -> Self {
        Self::GpuRuntime {
            reason,
            fault: cause.fault,
            hint: cause.hint,
        }
    }

    /// Who has to act.
    pub fn fault(&self) -> Fault {
        match self {
            // A missing device is a missing GPU.
            Self::KeyRefused { key: "devices", .. }
            | Self::EngineUnreachable { .. }
            | Self::EngineSilent { .. }
            | Self::Engine { .. }
            | Self::ImageMissing { .. }
            | Self::Port { .. }
            | Self::OtherLoopback { .. }
            | Self::LogFile { .. }
            | Self::Files(_)
            | Self::Client(_)
            | Self::OwnProgram(_)
            | Self::NotRemoved { .. } => Fault::Environment,
            Self::Setting { .. }
            | Self::NoEntrypoint { .. }
            | Self::EntrypointKeepsArguments { .. }
            | Self::KeyRefused { .. } => Fault::Configuration,
            Self::ImageUnavailable { failure, .. } => failure.fault(),
            Self::GpuRuntime { fault, .. } => *fault,
            // Once it was ready, its end is its own fault, whatever the start log contains.
            Self::Ended { ready: true, .. }
            | Self::CommandNotFound { .. }
            | Self::NotReachable { .. }
            | Self::WrongModel { .. } => Fault::Target,
            Self::Ended { .. } | Self::TimedOut { .. } => {
                self.cause().map_or(Fault::Target, |found| found.fault())
            }
            Self::Cancelled => Fault::Interrupted,
        }
    }

    /// Whether another version of the server might start here, with all else equal.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other error concerns all versions"
    )]
    pub fn is_of_this_version(&self) -> bool {
        match self {
            Self::Ended { .. } | Self::TimedOut { .. } => {
                matches!(self.fault(), Fault::Target | Fault::Configuration)
            }
            Self::ImageUnavailable { failure, .. } => {
                matches!(failure, PullFailure::NotFound | PullFailure::Platform)
            }
            Self::CommandNotFound { .. }
            | Self::ImageMissing { .. }
            | Self::NoEntrypoint { .. }
            | Self::EntrypointKeepsArguments { .. }
            | Self::WrongModel { .. } => true,
            _ => false,
        }
    }

    /// The known cause of a failed start.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only a server that ran has a log"
    )]
    fn cause(&self) -> Option<diagnosis::Found> {
        match self {
            Self::Ended { exit, log, .. } => diagnosis::find(Some(exit), log),
            Self::TimedOut { log, .. } => diagnosis::find(None, log),
            _ => None,
        }
    }

    /// What to do; empty if there is nothing to add.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Setting { hint, .. } => hint.clone(),
            Self::NoEntrypoint { .. } => "set the program to run: server.docker.entrypoint: [\"vllm\", \"serve\"]".to_owned(),
            Self::EntrypointKeepsArguments { .. } => "write it in brackets, ENTRYPOINT [\"vllm\", \"serve\"], or pass the arguments on in its script (exec vllm serve \"$@\"), or set server.docker.entrypoint: [\"vllm\", \"serve\"]".to_owned(),
            Self::EngineUnreachable { tried } => return engine_hints(tried),
            Self::EngineSilent { .. } => "the engine hangs: read its log (journalctl -u docker), and restart it".to_owned(),
            Self::ImageUnavailable { image, failure, .. } => failure.hint(image),
            Self::ImageMissing { image } => format!("docker pull {image}"),
            Self::GpuRuntime { hint, .. } => (*hint).to_owned(),
            Self::KeyRefused { key, .. } => key_hint(key),
            Self::OtherLoopback { .. } => "run the job's container in the host's network (--network host), or in the engine's default network (bridge)".to_owned(),
            Self::CommandNotFound { .. } => "check the spelling, and that the program is installed on the machine of the server".to_owned(),
            Self::Ended { .. } | Self::TimedOut { .. } if self.cause().is_some() => {
                return self.cause().map(|found| in_hints(&found)).unwrap_or_default();
            }
            Self::TimedOut { .. } => "raise `ready_timeout` if the server needs more time".to_owned(),
            Self::NotReachable { base_url, .. } => format!("check the address, and that the server runs and has loaded its model: curl -i {base_url}/health"),
            Self::WrongModel { .. } => "set served_model_name in perfgate.yaml to a name that the server lists".to_owned(),
            Self::NotRemoved { what, .. } => format!("remove {what} by hand"),
            Self::Ended { .. } => "if its last lines do not show the reason, start the same server by hand, or read the kernel's log (journalctl -k)".to_owned(),
            Self::Engine { .. }
            | Self::Port { .. }
            | Self::LogFile { .. }
            | Self::Files(_)
            | Self::Client(_)
            | Self::OwnProgram(_)
            | Self::Cancelled => return Vec::new(),
        };
        vec![hint]
    }
}

/// The hint for a key of `server.docker` that the engine rejected.
fn key_hint(key: &str) -> String {
    let what = match key {
        "user" => "use a user of the image, or numbers such as `2000:0`",
        "cpuset" => "use processors of this machine (`nproc --all`, from 0), such as `0-3`",
        "cpus" => "use at most the number of processors of this machine (`nproc --all`)",
        "devices" => "use devices of this machine (AMD's driver creates /dev/kfd and /dev/dri)",
        "image" => "use a name such as `registry/repository:tag`, in lower case except for the tag",
        "runtime" => "use a runtime of the engine (docker info), or remove the key",
        _ => "use a value that the engine accepts, or remove the key",
    };
    format!("fix server.docker.{key} in perfgate.yaml: {what}")
}

/// What to do, and the line with the reason if it is not among those that the error shows.
fn in_hints(found: &diagnosis::Found) -> Vec<String> {
    let log_line = found
        .quote
        .as_ref()
        .map(|quote| format!("from the log: {quote}"));
    [found.hint().map(str::to_owned), log_line]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(log: &[&str]) -> LaunchError {
        LaunchError::Ended {
            exit: Exit {
                code: Some(3),
                ..Exit::default()
            },
            ready: false,
            log: log.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn an_early_end_is_shown_with_its_code_and_the_log() {
        insta::assert_snapshot!(ended(&["INFO loading", "::error::no weights"]), @r"
        the server ended with exit code 3 before it was ready
        server| INFO loading
        server| ::error::no weights
        ");
    }

    #[test]
    fn an_early_end_is_the_targets_fault_unless_the_log_shows_another_cause() {
        assert_eq!(ended(&["some traceback"]).fault(), Fault::Target);
        let busy = ended(&[
            "ValueError: Free memory on device cuda:0 (1.0/80.0 GiB) on startup is less than desired GPU memory utilization",
        ]);
        assert_eq!(busy.fault(), Fault::Environment);
        assert_eq!(busy.hints().len(), 2);
    }

    #[test]
    fn a_wrong_model_names_what_is_listed() {
        let error = LaunchError::WrongModel {
            asked: "llama".to_owned(),
            listed: vec!["tiny-llm".to_owned(), "other".to_owned()],
            log: Vec::new(),
        };
        insta::assert_snapshot!(error, @"the server does not list the model `llama`; it lists `tiny-llm`, `other`");
    }

    #[test]
    fn a_timeout_shows_the_last_answer() {
        let error = LaunchError::TimedOut {
            waited: Duration::from_secs(90),
            last: "/health: connection refused".to_owned(),
            log: Vec::new(),
        };
        insta::assert_snapshot!(error, @"the server was not ready after 90 s: /health: connection refused");
        insta::assert_snapshot!(error.hints().join("\n"), @"raise `ready_timeout` if the server needs more time");
    }
}
