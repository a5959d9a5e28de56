//! Starts the server under test: container, process, attached URL, embedded simulator.
//!
//! [`start`] returns when the server is ready. [`Target::stop`] removes what was started; so does the drop of a [`Target`],
//! also after a panic.

mod build;
mod cause;
mod command;
mod diagnosis;
mod docker;
mod error;
mod fault;
mod gpu_causes;
mod group;
pub mod guard;
mod life;
mod log;
mod memory;
mod process;
mod ready;
mod redact;
mod unavailable;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::config::{Headers, ProcessPlan, ServerPlan};
pub use crate::event::StartPhase as Phase;
use crate::record::format::Server;
use crate::{http, secret};
pub use build::{Build, BuildError, build};
use command::Engine;
use docker::Container;
pub use docker::{EngineFacts, EngineKind, check_variables, engine_facts, image_is_here, mounted};
pub use error::LaunchError;
pub use fault::{Exit, Fault};
pub use gpu_causes::gpu_hint;
use life::Life;
use log::ServerLog;
pub use memory::MemoryProbe;
use process::Process;
use ready::{NotReady, Probe};
pub use redact::register_arguments;
pub use unavailable::{NoEngine, PullFailure, TriedAddress};

/// Time for a server to end when it is stopped; vLLM takes a few seconds to end its workers.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// A server that failed to start has no work to finish.
const ABANDON_GRACE: Duration = Duration::from_secs(2);

/// A server that perfgate did not start must be ready already.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);

/// The simulator starts in milliseconds, unless its options simulate a slow start.
const SIMULATOR_TIMEOUT: Duration = Duration::from_mins(5);

/// What to start, and for which run.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    /// How to get a server.
    pub plan: &'a ServerPlan,
    /// Model that the engine loads.
    pub model: &'a str,
    /// Name under which the server lists it.
    pub served_model_name: &'a str,
    /// `framework.config` as arguments.
    pub engine_args: &'a [String],
    /// Identifies the run in the names and labels of containers.
    pub run_id: &'a str,
    /// Number of the start within the run.
    pub ordinal: u32,
    /// File for the whole log.
    pub log_file: Option<&'a Path>,
    /// Bearer token for `/v1/models`.
    pub api_key: Option<&'a str>,
    /// Headers of every readiness request.
    pub headers: &'a Headers,
    /// Looks up perfgate's own environment: variables to pass, `HOME`, `DOCKER_HOST` and others that set the address of a
    /// container engine.
    pub environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Time for the server to end, [`STOP_GRACE`].
    pub stop_grace: Duration,
    /// perfgate's own program: the simulator, and the guard of a process.
    pub own_program: &'a Path,
}

impl fmt::Debug for Launch<'_> {
    /// Without the plan and the key, which contain values of environment variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("model", &self.model)
            .field("run_id", &self.run_id)
            .field("ordinal", &self.ordinal)
            .finish_non_exhaustive()
    }
}

/// A server that is ready. Drop removes it.
#[derive(Debug)]
pub struct Target {
    base_url: String,
    identity: Server,
    /// `None` for a server that perfgate did not start.
    began: Option<Instant>,
    /// `None` for such a server, and until the server is ready.
    startup: Option<Duration>,
    log: ServerLog,
    life: Life,
    running: Running,
    ready_timeout: Duration,
    stop_grace: Duration,
}

#[derive(Debug)]
enum Running {
    Attached,
    Process(Process),
    Container(Container),
}

impl Running {
    async fn settle(&mut self) {
        match self {
            Self::Attached => {}
            Self::Process(process) => process.settle().await,
            Self::Container(container) => container.settle().await,
        }
    }

    async fn stop(
        self,
        grace: Duration,
        skip_grace: &CancellationToken,
    ) -> Result<(), LaunchError> {
        match self {
            Self::Attached => Ok(()),
            Self::Process(process) => process.stop(grace, skip_grace).await,
            Self::Container(container) => tokio::select! {
                stopped = container.stop(grace) => stopped,
                // Drop removes it by force.
                () = skip_grace.cancelled() => Ok(()),
            },
        }
    }
}

/// Starts the server and waits until it is ready. After an error nothing is left running.
pub async fn start(
    launch: &Launch<'_>,
    progress: &(dyn Fn(Phase) + Sync),
    cancel: &CancellationToken,
) -> Result<Target, LaunchError> {
    if let Some(key) = launch.api_key {
        secret::register(key);
    }
    if cancel.is_cancelled() {
        return Err(LaunchError::Cancelled);
    }
    let mut target = match launch.plan {
        ServerPlan::Docker(plan) => tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(LaunchError::Cancelled),
            started = Box::pin(docker::start(launch, plan, progress)) => started?,
        },
        ServerPlan::Process(plan) => {
            let command = launch.engine().process_command(&plan.command)?;
            start_process(launch, plan, &command, "process", None, progress)?
        }
        ServerPlan::Simulator(options) => {
            let command = command::simulator_command(
                launch.own_program,
                launch.served_model_name,
                launch.ordinal,
                options,
            );
            let plan = ProcessPlan {
                command: Vec::new(),
                env: std::collections::BTreeMap::new(),
                directory: None,
                ready_timeout: SIMULATOR_TIMEOUT,
            };
            let args = command::simulator_options(options);
            start_process(launch, &plan, &command, "simulator", Some(args), progress)?
        }
        ServerPlan::Url(url) => attach(launch, url.as_str())?,
    };
    progress(Phase::Loading);
    let http = http::client(&target.base_url)
        .map_err(|error| LaunchError::Client(http::in_words(&error)))?;
    let probe = Probe {
        http: &http,
        launch,
        base_url: &target.base_url,
        timeout: target.ready_timeout,
        is_attached: matches!(target.running, Running::Attached),
    };
    if let Err(reason) = probe.wait(target.life.ended(), cancel).await {
        return Err(target.abandon(launch, reason).await);
    }
    target.startup = target.began.map(|began| began.elapsed());
    tracing::debug!(
        "the server is ready at {} after {:.1} s; its arguments: {}",
        redact::clean(&target.base_url),
        target.startup.unwrap_or_default().as_secs_f64(),
        target
            .identity
            .args
            .as_deref()
            .unwrap_or_default()
            .join(" ")
    );
    target.identity.version = probe.version().await;
    target.identity.model = Some(launch.served_model_name.to_owned());
    Ok(target)
}

impl<'a> Launch<'a> {
    /// From now on the values in the server's environment are masked. Names of the model or the image stay: masked, two of
    /// them would look the same.
    fn register_secrets<'b>(
        &self,
        variables: impl IntoIterator<Item = (&'b String, &'b String)>,
        image: Option<&str>,
    ) {
        let shown = [Some(self.model), Some(self.served_model_name), image];
        for (name, value) in variables {
            if !shown
                .iter()
                .flatten()
                .any(|shown| shown.contains(value.trim()))
            {
                secret::register_variable(name, value);
            }
        }
    }

    fn engine(&self) -> Engine<'a> {
        Engine {
            model: self.model,
            served_model_name: self.served_model_name,
            args: self.engine_args,
        }
    }
}

fn start_process(
    launch: &Launch<'_>,
    plan: &ProcessPlan,
    command: &[String],
    kind: &str,
    args: Option<Vec<String>>,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Target, LaunchError> {
    progress(Phase::Starting);
    launch.register_secrets(&plan.env, None);
    let log = ServerLog::open(launch.log_file)?;
    let args = args.unwrap_or_else(|| command.to_vec());
    let identity = Server {
        kind: Some(kind.to_owned()),
        args: Some(redact::clean_args(&args)),
        ..Server::default()
    };
    let port = process::free_port()?;
    let began = Instant::now();
    let command = command::with_port(command, port);
    let process = Process::start(
        launch.own_program,
        &command,
        &plan.env,
        plan.directory.as_deref(),
        &log,
    )?;
    Ok(Target {
        base_url: format!("http://127.0.0.1:{port}"),
        identity,
        began: Some(began),
        startup: None,
        log,
        life: process.life().clone(),
        running: Running::Process(process),
        ready_timeout: plan.ready_timeout,
        stop_grace: launch.stop_grace,
    })
}

fn attach(launch: &Launch<'_>, url: &str) -> Result<Target, LaunchError> {
    Ok(Target {
        base_url: url.to_owned(),
        identity: Server {
            kind: Some("url".to_owned()),
            ..Server::default()
        },
        began: None,
        startup: None,
        log: ServerLog::open(None)?,
        life: Life::default(),
        running: Running::Attached,
        ready_timeout: ATTACH_TIMEOUT,
        stop_grace: launch.stop_grace,
    })
}

impl Target {
    /// Removes the server that did not become ready, and returns the reason.
    async fn abandon(mut self, launch: &Launch<'_>, reason: NotReady) -> LaunchError {
        if matches!(reason, NotReady::Ended) {
            self.running.settle().await;
        }
        let log = self.log.lines();
        let error = match reason {
            NotReady::Other(error) => error,
            NotReady::Ended => LaunchError::Ended {
                exit: self.life.exit().unwrap_or_default(),
                ready: false,
                log,
            },
            NotReady::NotYet(last) => LaunchError::TimedOut {
                waited: self.ready_timeout,
                last: redact::clean(&last),
                log,
            },
            NotReady::WrongModel { listed } => LaunchError::WrongModel {
                asked: launch.served_model_name.to_owned(),
                listed: listed.iter().map(|name| redact::clean(name)).collect(),
                log,
            },
        };
        let never = CancellationToken::new();
        if let Err(left) = self.running.stop(ABANDON_GRACE, &never).await {
            tracing::warn!("{left}");
        }
        error
    }

    /// The server's address, `http://127.0.0.1:49153`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The part of the result file about the server.
    pub fn identity(&self) -> &Server {
        &self.identity
    }

    /// Time from start to ready, to about 0.1 s; `None` for a server that perfgate did not start.
    pub fn startup(&self) -> Option<Duration> {
        self.startup
    }

    /// The server's processes on this machine; `None` if unknown, for example for a server that perfgate did not start.
    pub async fn process_ids(&self) -> Option<BTreeSet<u32>> {
        match &self.running {
            Running::Attached => None,
            Running::Process(process) => Some(process.ids()),
            Running::Container(container) => container.process_ids().await,
        }
    }

    /// Cancelled when the server ends without being asked to. Never for a server that perfgate did not start.
    pub fn ended(&self) -> CancellationToken {
        self.life.ended().clone()
    }

    /// Why the server has ended; `None` while it lives.
    pub fn death(&self) -> Option<LaunchError> {
        self.life.exit().map(|exit| LaunchError::Ended {
            exit,
            ready: true,
            log: self.log.lines(),
        })
    }

    /// The first lines of its output, sanitized, oldest first: the engine's start messages. Empty for a server that perfgate
    /// did not start.
    pub fn first_log_lines(&self) -> Vec<String> {
        self.log.first_lines()
    }

    /// How to measure its main memory.
    pub fn memory_probe(&self) -> MemoryProbe {
        match &self.running {
            Running::Attached => MemoryProbe::None,
            Running::Process(process) => MemoryProbe::Group(process.leader()),
            Running::Container(container) => container.memory_probe(),
        }
    }

    /// The last lines of its output, sanitized, oldest first.
    pub fn log_tail(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Stops the server and checks that no process of it is left. A server that perfgate did not start continues.
    pub async fn stop(self) -> Result<(), LaunchError> {
        self.stop_in(&CancellationToken::new()).await
    }

    /// The same, without the server's grace once `skip_grace` is cancelled.
    pub async fn stop_in(self, skip_grace: &CancellationToken) -> Result<(), LaunchError> {
        self.running.stop(self.stop_grace, skip_grace).await
    }
}
