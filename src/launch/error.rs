//! Why a server could not be started, whose fault it is, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnosis;
use super::fault::{Exit, Fault};
use super::gpu_fault::GpuFault;
use super::log::quoted;
use super::unavailable::{LookedAt, PullFailure, engine_hints, listing as places};
use crate::files::FileError;

/// Why there is no server to measure, or why one is still there.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A variable that is to be passed through is not set.
    #[error("server.docker.env: the environment variable `{name}` is not set")]
    EnvironmentMissing {
        /// Its name.
        name: String,
    },
    /// A host folder that is to be mounted is not there, or the entry has no container path.
    #[error("server.docker.volumes: `{volume}`: {reason}")]
    Volume {
        /// The entry as written.
        volume: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The cache of Hugging Face that is to be mounted is not there.
    #[error("server.docker.hf_cache: `{folder}`: {reason}")]
    HfCache {
        /// The folder.
        folder: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A command that cannot say on which port to listen, or none at all.
    #[error("server.process.command: {reason}")]
    Command {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An image that does not say what to run.
    #[error("image `{image}` has no entry point")]
    NoEntrypoint {
        /// The image.
        image: String,
    },
    /// An entry point by which the server never sees its arguments.
    #[error("the entry point `{}` of `{image}` keeps the server's arguments: a shell takes them, and its script passes none on", entrypoint.join(" "))]
    EntrypointKeepsArguments {
        /// The image.
        image: String,
        /// The entry point.
        entrypoint: Vec<String>,
    },
    /// The server wants a key, or another one.
    #[error("{asked} answered HTTP {status}: the server wants an API key")]
    Unauthorized {
        /// The address that was asked.
        asked: String,
        /// 401 or 403.
        status: u16,
    },
    /// What listens there sends its clients elsewhere.
    #[error("{asked} answered HTTP {status}: it redirects to {}", if to.is_empty() { "nowhere" } else { to })]
    Redirected {
        /// What was asked for.
        asked: String,
        /// 301 to 308.
        status: u16,
        /// Where to, without a query; empty where it does not say.
        to: String,
    },
    /// What listens there has no API of OpenAI's.
    #[error("{base_url} has neither /health nor /v1/models (HTTP {status})")]
    NoApi {
        /// Where it was looked for.
        base_url: String,
        /// What `/v1/models` was answered with.
        status: u16,
    },
    /// No container engine answers.
    #[error("no container engine answers{}", places(looked_at))]
    EngineUnreachable {
        /// Where it was looked for, and what was there.
        looked_at: Vec<LookedAt>,
    },
    /// An address of an engine that perfgate cannot use.
    #[error("cannot use the container engine at {address}: {reason}")]
    EngineAddress {
        /// The address, and who gave it.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The container engine does not answer any more.
    #[error("the container engine was asked to {action}, and did not answer within {} s", waited.as_secs())]
    EngineSilent {
        /// What it was asked for, with the name of the thing.
        action: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The container engine refused something.
    #[error("the container engine could not {action}: {reason}")]
    Engine {
        /// What was being done, with the name of the thing.
        action: String,
        /// What it said.
        reason: String,
    },
    /// An image that could not be pulled.
    #[error("image `{image}` could not be pulled: {reason}")]
    ImageUnavailable {
        /// The image.
        image: String,
        /// What kind of failure it is.
        failure: PullFailure,
        /// What the engine or the registry said.
        reason: String,
    },
    /// An image that is not here and is not to be pulled.
    #[error(
        "image `{image}` is not on this machine, and `pull: never` keeps perfgate from pulling it"
    )]
    ImageMissing {
        /// The image.
        image: String,
    },
    /// GPUs were asked for and the container engine cannot hand them in.
    #[error("the container engine cannot hand in GPUs: {reason}")]
    GpuRuntime {
        /// What it said.
        reason: String,
        /// What kind of failure it is.
        fault: GpuFault,
    },
    /// Something that the plan asks for and the container engine does not have.
    #[error("the container engine does not take server.docker.{key}: {reason}")]
    KeyRefused {
        /// The key.
        key: &'static str,
        /// What it said.
        reason: String,
    },
    /// No port to be had.
    #[error("no free port on 127.0.0.1: {reason}")]
    Port {
        /// What happened.
        reason: String,
    },
    /// The published port is on another loopback than perfgate's.
    #[error("the server cannot be reached: {reason}")]
    OtherLoopback {
        /// Where perfgate runs.
        reason: String,
    },
    /// The log of the server cannot be kept.
    #[error("cannot write the server's log to `{}`: {source}", path.display())]
    LogFile {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A folder for the log cannot be made.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// perfgate's own program cannot be found or started, as simulator or as guard of a process.
    #[error("cannot start perfgate's own program beside itself: {0}")]
    OwnProgram(#[source] io::Error),
    /// The program of the command cannot be run.
    #[error("cannot run `{program}`: {reason}")]
    CommandNotFound {
        /// The program.
        program: String,
        /// What happened.
        reason: String,
    },
    /// The server ended by itself.
    #[error("the server ended {exit} {}{}", if *ready { "while it was measured" } else { "before it was ready" }, quoted(log))]
    Ended {
        /// How it ended.
        exit: Exit,
        /// Whether it had been ready.
        ready: bool,
        /// Its last lines.
        log: Vec<String>,
    },
    /// The server was not ready in time.
    #[error("the server was not ready after {} s: {last}{}", waited.as_secs_f64(), quoted(log))]
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
        /// What the last question was answered with.
        last: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// No server is ready where one is said to run.
    #[error("no server is ready at {base_url}: {last}")]
    NotThere {
        /// Where it was looked for.
        base_url: String,
        /// What the last question was answered with.
        last: String,
    },
    /// The server serves another model.
    #[error(
        "the server does not list the model `{asked}`; it lists {}{}",
        listing(listed),
        quoted(log)
    )]
    WrongModel {
        /// The model that requests would carry.
        asked: String,
        /// What it lists.
        listed: Vec<String>,
        /// Its last lines.
        log: Vec<String>,
    },
    /// What was started could not be removed.
    #[error("could not remove {what}: {reason}")]
    NotRemoved {
        /// What is still there.
        what: String,
        /// What happened.
        reason: String,
    },
    /// Told to stop; what had been started has been removed.
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
    /// Who has to act.
    pub fn fault(&self) -> Fault {
        match self {
            // A device that is not there is as a GPU that is not there.
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
            Self::EnvironmentMissing { .. }
            | Self::Volume { .. }
            | Self::HfCache { .. }
            | Self::EngineAddress { .. }
            | Self::Command { .. }
            | Self::NoEntrypoint { .. }
            | Self::EntrypointKeepsArguments { .. }
            | Self::KeyRefused { .. }
            | Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::NoApi { .. } => Fault::Configuration,
            Self::ImageUnavailable { failure, .. } => failure.fault(),
            Self::GpuRuntime { fault, .. } => fault.fault(),
            // Once it was ready, an end is its own, whatever the log said on the way.
            Self::Ended { ready: true, .. }
            | Self::CommandNotFound { .. }
            | Self::NotThere { .. }
            | Self::WrongModel { .. } => Fault::Target,
            Self::Ended { .. } | Self::TimedOut { .. } => {
                self.cause().map_or(Fault::Target, |found| found.fault())
            }
            Self::Cancelled => Fault::Interrupted,
        }
    }

    /// Whether another version of the server might start here, with everything else as it is.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever is not listed concerns every version"
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

    /// What to do about it; none where there is nothing to add.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::EnvironmentMissing { name } => {
                format!("set `{name}`, or take it out of server.docker.env")
            }
            Self::Volume { .. } => "create the folder, or correct the entry (host:container[:ro])".to_owned(),
            Self::Command { .. } => "for example: command: [\"vllm\", \"serve\", \"{model}\", \"--port\", \"{port}\", \"{args}\"]".to_owned(),
            Self::NoEntrypoint { .. } => "say what to run: server.docker.entrypoint: [\"vllm\", \"serve\"]".to_owned(),
            Self::EntrypointKeepsArguments { .. } => "write it in brackets, ENTRYPOINT [\"vllm\", \"serve\"], or let its script pass them on (exec vllm serve \"$@\"); or name what to run: server.docker.entrypoint: [\"vllm\", \"serve\"]".to_owned(),
            Self::Unauthorized { .. } => "set PERFGATE_API_KEY to the key that the server was started with".to_owned(),
            Self::Redirected { .. } => "give the address at which the server itself answers".to_owned(),
            Self::NoApi { base_url, .. } => format!("perfgate measures servers with OpenAI's API: give the address that its /v1/models follows, here {base_url}"),
            Self::HfCache { .. } => "download the model first (hf download MODEL), or name the folder that holds it".to_owned(),
            Self::EngineUnreachable { looked_at } => return engine_hints(looked_at),
            Self::EngineAddress { .. } => "set DOCKER_HOST to an engine of this machine, unix:///var/run/docker.sock, or unset it".to_owned(),
            Self::EngineSilent { .. } => "the engine hangs: see what it says (journalctl -u docker), and restart it".to_owned(),
            Self::ImageUnavailable { image, failure, .. } => failure.hint(image),
            Self::ImageMissing { image } => format!("docker pull {image}"),
            Self::GpuRuntime { fault, .. } => fault.cure().to_owned(),
            Self::KeyRefused { key, .. } => key_hint(key),
            Self::OtherLoopback { .. } => "give the job's container the host's network (--network host), or one that the engine gives to new containers (bridge)".to_owned(),
            Self::CommandNotFound { .. } => "check the spelling and that it is installed where the server runs".to_owned(),
            Self::Ended { .. } | Self::TimedOut { .. } if self.cause().is_some() => {
                return self.cause().map(|found| in_hints(&found)).unwrap_or_default();
            }
            Self::TimedOut { .. } => "raise `ready_timeout` if the server only needs longer".to_owned(),
            Self::NotThere { base_url, .. } => format!("check the address, and that the server runs and has loaded its model: curl -i {base_url}/health"),
            Self::WrongModel { .. } => "set served_model_name in perfgate.yaml to a name that the server lists".to_owned(),
            Self::NotRemoved { what, .. } => format!("remove {what} by hand"),
            Self::Ended { .. } => "if its last lines do not say why, start the same server by hand, or look at what the kernel says of that time (journalctl -k)".to_owned(),
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

/// What to write for a key of `server.docker` that the engine refused.
fn key_hint(key: &str) -> String {
    let what = match key {
        "user" => "a user that the image knows, or numbers as `2000:0`",
        "cpuset" => "processors that this machine has (`nproc --all`, from 0), as `0-3`",
        "cpus" => "no more than this machine has (`nproc --all`)",
        "devices" => "devices that this machine has (AMD's driver makes /dev/kfd and /dev/dri)",
        "image" => "a name as `registry/repository:tag`, in lower case but for the tag",
        "runtime" => "a runtime that the engine knows (docker info), or leave it out",
        _ => "what the engine takes, or leave it out",
    };
    format!("correct server.docker.{key} in perfgate.yaml: {what}")
}

/// What to do, and the line that says so where it is not among those that an error shows.
fn in_hints(found: &diagnosis::Found) -> Vec<String> {
    let said = found
        .quote
        .as_ref()
        .map(|quote| format!("the log says: {quote}"));
    [found.hint().map(str::to_owned), said]
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
    fn an_early_end_says_how_and_shows_the_log() {
        insta::assert_snapshot!(ended(&["INFO loading", "::error::no weights"]), @r"
        the server ended with exit code 3 before it was ready
        server| INFO loading
        server| ::error::no weights
        ");
    }

    #[test]
    fn an_early_end_is_the_targets_fault_unless_the_log_says_otherwise() {
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
    fn a_time_out_says_what_was_last_seen() {
        let error = LaunchError::TimedOut {
            waited: Duration::from_secs(90),
            last: "/health: connection refused".to_owned(),
            log: Vec::new(),
        };
        insta::assert_snapshot!(error, @"the server was not ready after 90 s: /health: connection refused");
        insta::assert_snapshot!(error.hints().join("\n"), @"raise `ready_timeout` if the server only needs longer");
    }
}
