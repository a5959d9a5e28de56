//! A server in its own container. Labels on every container let a later run remove what a killed run left.

mod address;
mod engine;
mod facts;
mod gpu;
mod image;
mod login;
mod mounts;
mod orphans;
mod own_container;
mod owner;
mod processes;
mod pull;
mod refusal;
mod removal;
mod spec;
mod watch;

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::command::with_port;
use super::life::Life;
use super::log::ServerLog;
use super::memory::MemoryProbe;
use super::process::free_port;
use super::{Launch, LaunchError, Phase, Started, redact};
use crate::clock;
use crate::config::{DockerPlan, Network};
use crate::record::format::Server;
use engine::{Connected, QUICK, SLOW};
pub use facts::{EngineFacts, EngineKind, engine_facts};
use image::Image;
pub use image::image_is_here;
use mounts::Mounts;
pub use mounts::mounted;
use owner::Owner;
use removal::Removal;
use spec::Spec;

/// Time for the last lines to arrive after the container has ended.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A running container.
#[derive(Debug)]
pub(super) struct Container {
    removal: Removal,
    docker: Docker,
    life: Life,
    reader: JoinHandle<()>,
    watcher: JoinHandle<()>,
}

/// Creates and starts the container. The server in it is not ready yet.
pub(super) async fn start(
    launch: &Launch<'_>,
    plan: &DockerPlan,
    progress: &(dyn Fn(Phase) + Sync),
    cancel: &CancellationToken,
) -> Result<Started, LaunchError> {
    let environment = spec::environment(&plan.env, launch.environment)?;
    let mounts = Mounts::of(plan, launch.environment)?;
    let variables = environment.iter().map(|(name, value)| (name, value));
    launch.register_secrets(variables, Some(&plan.image));
    let log = ServerLog::open(launch.log_file)?;

    let (connected, kind, image) = or_cancelled(cancel, prepare(launch, plan, progress)).await?;
    let binds = mounts.into_binds(&image, plan.user.as_deref());
    let owner = Owner::this_process();
    let spec = Spec {
        plan,
        engine: launch.engine(),
        image: &image,
        environment: &environment,
        binds: &binds,
        run_id: launch.run_id,
        kind,
        owner: owner.as_ref(),
        now: clock::unix_time(),
    };
    let entrypoint = spec.entrypoint()?;
    let mut command = spec.command(&entrypoint);
    let identity = Server {
        kind: Some("docker".to_owned()),
        image: Some(redact::clean(&plan.image)),
        digest: image.digest.clone(),
        args: Some(redact::clean_args(&command)),
        ..Server::default()
    };
    let host_port = match plan.network {
        Network::Bridge => None,
        Network::Host => Some(free_port()?),
    };
    if let Some(port) = host_port {
        command = with_port(&command, port);
    }
    progress(Phase::Starting);
    let name = spec::container_name(launch.run_id, launch.ordinal);
    // Armed before the request: if nobody waits for the answer any more, the container must still be removed.
    let mut removal = Removal::new(name.clone(), connected.address);
    let docker = connected.docker;
    let began = or_cancelled(
        cancel,
        create_and_start(&docker, &spec, &entrypoint, &command, &mut removal),
    )
    .await?;
    let container = Container::watched(docker, removal, &log);
    let base_url = match host_port {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None => container.base_url(plan.port).await?,
    };
    let gpus = gpu::check(&container.docker, &name, &plan.gpus, kind);
    or_cancelled(cancel, gpus).await?;
    Ok(Started {
        life: container.life.clone(),
        running: super::Running::Container(container),
        log,
        base_url,
        identity,
        began: Some(began),
        ready_timeout: plan.ready_timeout,
    })
}

/// The engine, its kind, and the image; removes containers of killed runs first.
async fn prepare(
    launch: &Launch<'_>,
    plan: &DockerPlan,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<(Connected, EngineKind, Image), LaunchError> {
    let connected = engine::connect(launch.environment).await?;
    let docker = &connected.docker;
    let kind = facts::kind(docker).await;
    orphans::remove_abandoned(docker, clock::unix_time()).await;
    let wanted = image::Wanted {
        reference: &plan.image,
        when: plan.pull,
        lookup: launch.environment,
    };
    let image = image::find(docker, &wanted, progress).await?;
    Ok((connected, kind, image))
}

/// Creates the container and starts it, without an init process if the engine has none. Returns the time of the start.
async fn create_and_start(
    docker: &Docker,
    spec: &Spec<'_>,
    entrypoint: &[String],
    command: &[String],
    removal: &mut Removal,
) -> Result<Instant, LaunchError> {
    let name = removal.name().to_owned();
    for with_init in [true, false] {
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let body = spec.body(command.to_vec(), with_init);
        let create = || format!("create the container `{name}`");
        let silent = |action, waited| LaunchError::EngineSilent { action, waited };
        match engine::timely(SLOW, docker.create_container(Some(options), body)).await {
            Ok(Ok(created)) => {
                removal.created();
                for warning in created.warnings {
                    tracing::warn!("the container engine warns: {}", warning.trim());
                }
            }
            Ok(Err(error)) if with_init && lacks_init(&error) => continue,
            Ok(Err(error)) => {
                // The engine refused, perhaps because another container has that name. After any other error it may still create
                // the container later.
                if matches!(error, Error::DockerResponseServerError { .. }) {
                    removal.disarm();
                }
                return Err(refusal::error(create(), entrypoint, &error));
            }
            Err(waited) => return Err(silent(create(), waited)),
        }
        let began = Instant::now();
        let options = None::<bollard::query_parameters::StartContainerOptions>;
        match engine::timely(SLOW, docker.start_container(&name, options)).await {
            Ok(Ok(())) => return Ok(began),
            Ok(Err(error)) if with_init && lacks_init(&error) => remove(docker, &name).await?,
            Ok(Err(error)) => {
                let start = format!("start the container `{name}`");
                return Err(refusal::error(start, entrypoint, &error));
            }
            Err(waited) => return Err(silent(format!("start the container `{name}`"), waited)),
        }
    }
    Err(LaunchError::Engine {
        action: format!("start the container `{name}`"),
        reason: "it has no init process program".to_owned(),
    })
}

/// Whether the engine should add an init process but has none: Docker without `docker-init`, podman without
/// `catatonit`.
fn lacks_init(error: &Error) -> bool {
    let text = engine::in_words(error);
    ["docker-init", "container-init", "catatonit"]
        .iter()
        .any(|program| text.contains(program))
}

async fn or_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, LaunchError>>,
) -> Result<T, LaunchError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(LaunchError::Cancelled),
        done = work => done,
    }
}

impl Container {
    /// A running container whose output goes to `log`.
    fn watched(docker: Docker, removal: Removal, log: &ServerLog) -> Self {
        let life = Life::default();
        let name = || removal.name().to_owned();
        let reader = watch::read(docker.clone(), name(), log.clone(), life.clone());
        let watcher = watch::watch(docker.clone(), name(), life.clone());
        Self {
            reader: tokio::spawn(reader),
            watcher: tokio::spawn(watcher),
            removal,
            docker,
            life,
        }
    }

    /// Where the engine published the server's port.
    async fn base_url(&self, port: u16) -> Result<String, LaunchError> {
        let name = self.removal.name();
        let asked = engine::inspect(&self.docker, name);
        let action = || format!("inspect the container `{name}`");
        let container = engine::within(QUICK, action, asked).await?;
        let published = container
            .network_settings
            .as_ref()
            .and_then(|settings| settings.ports.as_ref()?.get(&format!("{port}/tcp")))
            .and_then(|bindings| {
                let mut bindings = bindings.iter().flatten();
                bindings.find_map(|binding| binding.host_port.clone())
            });
        if published.is_some()
            && let Some(own) = own_container::find(&self.docker).await
            && !own_container::is_in_hosts_network(&own)
        {
            return own_container::address_of(
                &container,
                &own,
                port,
                own_container::is_own_address,
            )
            .map_err(|reason| LaunchError::OtherLoopback { reason });
        }
        match published {
            Some(port) => Ok(format!("http://127.0.0.1:{port}")),
            // A container that ended at once has no ports any more. A server cannot listen on port 0, so the caller sees that
            // the container ended, and never reaches another server that listens on the inner port's number.
            None if container
                .state
                .is_some_and(|state| state.running == Some(false)) =>
            {
                Ok("http://127.0.0.1:0".to_owned())
            }
            None => Err(LaunchError::Port {
                reason: format!("the container engine did not publish port {port} of `{name}`"),
            }),
        }
    }

    /// How to measure its memory.
    pub(super) fn memory_probe(&self) -> MemoryProbe {
        MemoryProbe::Container {
            docker: Box::new(self.docker.clone()),
            name: self.removal.name().to_owned(),
        }
    }

    /// Waits for the last lines of a container that has ended.
    pub(super) async fn settle(&mut self) {
        if !self.reader.is_finished() {
            // A reader that failed has no more lines.
            drop(tokio::time::timeout(LAST_LINES, &mut self.reader).await);
        }
    }

    /// Asks the server to end, ends it after `grace`, and removes the container with its anonymous volumes.
    pub(super) async fn stop(mut self, grace: Duration) -> Result<(), LaunchError> {
        self.life.expect_end();
        let name = self.removal.name().to_owned();
        let options = StopContainerOptionsBuilder::default()
            .t(i32::try_from(grace.as_secs()).unwrap_or(i32::MAX))
            .build();
        if self.life.exit().is_none() {
            // The forced removal below decides; its error is reported.
            let asked = self.docker.stop_container(&name, Some(options));
            drop(engine::timely(grace + QUICK, asked).await);
        }
        self.settle().await;
        let removed = remove(&self.docker, &name).await;
        self.watcher.abort();
        self.reader.abort();
        match removed {
            Ok(()) => {
                self.removal.disarm();
                Ok(())
            }
            Err(error) => Err(LaunchError::NotRemoved {
                what: format!("the container `{name}`"),
                reason: error.to_string(),
            }),
        }
    }
}

/// Removes a container by force, with its anonymous volumes. A missing container counts as removed.
async fn remove(docker: &Docker, name: &str) -> Result<(), LaunchError> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    let action = || format!("remove the container `{name}`");
    match engine::timely(SLOW, docker.remove_container(name, Some(options))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if engine::is_missing(&error) => Ok(()),
        Ok(Err(error)) => Err(engine::refused(action(), &error)),
        Err(waited) => Err(LaunchError::EngineSilent {
            action: action(),
            waited,
        }),
    }
}
