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
mod pull;
mod refusal;
mod removal;
mod spec;
mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder, TopOptions,
};
use tokio::task::JoinHandle;

use super::command::with_port;
use super::life::Life;
use super::log::ServerLog;
use super::memory::MemoryProbe;
use super::process::free_port;
use super::{Launch, LaunchError, Phase, Running, Target, redact};
use crate::clock;
use crate::config::{DockerPlan, Network, Plan, ServerPlan};
use crate::record::format::Server;
use engine::{Connected, QUICK, RequestError, SLOW};
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

/// In the message of an engine that should add an init process but has none: Docker without `docker-init`, podman without
/// `catatonit`.
const INIT_PROGRAMS: [&str; 3] = ["docker-init", "container-init", "catatonit"];

/// The key of the variables of a server.
const ENV_KEY: &str = "server.docker.env";

/// The key of the variables of the base server.
const BASE_ENV_KEY: &str = "server.base.docker.env";

/// A running container.
#[derive(Debug)]
pub(super) struct Container {
    removal: Removal,
    docker: Docker,
    life: Life,
    reader: JoinHandle<()>,
    watcher: JoinHandle<()>,
}

/// Refuses servers of a plan with variables that are not set. A base server starts only after the candidate was measured.
pub fn check_variables(
    plan: &Plan,
    lookup: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<(), LaunchError> {
    for (server, key) in [(&plan.server, ENV_KEY), (&plan.base, BASE_ENV_KEY)] {
        if let Some(ServerPlan::Docker(docker)) = server {
            spec::environment(key, &docker.env, lookup)?;
        }
    }
    Ok(())
}

/// Creates and starts the container. The server in it is not ready yet. A drop before the end removes the container.
pub(super) async fn start(
    launch: &Launch<'_>,
    plan: &DockerPlan,
    progress: &(dyn Fn(Phase) + Sync),
) -> Result<Target, LaunchError> {
    let environment = spec::environment(ENV_KEY, &plan.env, launch.environment)?;
    let mounts = Mounts::prepare(plan, launch.environment)?;
    let variables = environment.iter().map(|(name, value)| (name, value));
    launch.register_secrets(variables, Some(&plan.image));
    let log = ServerLog::open(launch.log_file)?;

    let (connected, kind, image) = prepare(launch, plan, progress).await?;
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
    // Armed before the request: if this future is dropped before the answer, the container must still be removed.
    let mut removal = Removal::new(name.clone(), connected.address);
    let docker = connected.docker;
    let began = create_and_start(&docker, &spec, &entrypoint, command, &mut removal).await?;
    let container = Container::watched(docker, removal, &log);
    let base_url = match host_port {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None => container.base_url(plan.port).await?,
    };
    gpu::check(&container.docker, &name, &plan.gpus, kind).await?;
    Ok(Target {
        base_url,
        identity,
        began: Some(began),
        startup: None,
        log,
        life: container.life.clone(),
        running: Running::Container(container),
        ready_timeout: plan.ready_timeout,
        stop_grace: launch.stop_grace,
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
    let image = image::find(docker, plan, launch.environment, progress).await?;
    Ok((connected, kind, image))
}

/// Creates the container and starts it, without an init process if the engine has none. Returns the time of the start.
async fn create_and_start(
    docker: &Docker,
    spec: &Spec<'_>,
    entrypoint: &[String],
    command: Vec<String>,
    removal: &mut Removal,
) -> Result<Instant, LaunchError> {
    let mut result = attempt(docker, spec.body(command.clone(), true), removal).await;
    if let Err((request, error)) = &result
        && error.mentions(&INIT_PROGRAMS)
    {
        if *request == "start" {
            remove(docker, removal.name()).await?;
        }
        result = attempt(docker, spec.body(command, false), removal).await;
    }
    result.map_err(|(request, error)| {
        // The engine refused, perhaps because another container has that name.
        if request == "create" && error.is_refusal() {
            removal.disarm();
        }
        let action = format!("{request} the container `{}`", removal.name());
        refusal::error(action, entrypoint, error)
    })
}

/// The same for one request body. An error has the request that failed.
async fn attempt(
    docker: &Docker,
    body: ContainerCreateBody,
    removal: &mut Removal,
) -> Result<Instant, (&'static str, RequestError)> {
    let name = removal.name().to_owned();
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let created = engine::ask(SLOW, docker.create_container(Some(options), body)).await;
    let created = created.map_err(|error| ("create", error))?;
    removal.created();
    for warning in created.warnings {
        tracing::warn!("the container engine warns: {}", warning.trim());
    }
    let began = Instant::now();
    let options = None::<StartContainerOptions>;
    let started = engine::ask(SLOW, docker.start_container(&name, options)).await;
    started.map_err(|error| ("start", error))?;
    Ok(began)
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
        let container = engine::ask(QUICK, engine::inspect(&self.docker, name))
            .await
            .map_err(|error| error.when_asked_to(format!("inspect the container `{name}`")))?;
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
            drop(engine::ask(grace + QUICK, asked).await);
        }
        self.settle().await;
        let removed = remove(&self.docker, &name).await;
        self.watcher.abort();
        self.reader.abort();
        removed.map_err(|error| LaunchError::NotRemoved {
            what: format!("the container `{name}`"),
            reason: error.to_string(),
        })?;
        self.removal.disarm();
        Ok(())
    }

    /// Ids of its processes on the host, as the engine reports them; `None` if it does not, for example on another machine.
    pub(super) async fn process_ids(&self) -> Option<BTreeSet<u32>> {
        let top = self
            .docker
            .top_processes(self.removal.name(), None::<TopOptions>);
        let top = engine::ask(QUICK, top).await.ok()?;
        ids(&top.titles?, &top.processes?)
    }
}

/// Removes a container by force, with its anonymous volumes. A missing container counts as removed.
async fn remove(docker: &Docker, name: &str) -> Result<(), LaunchError> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match engine::ask(SLOW, docker.remove_container(name, Some(options))).await {
        Err(error) if !error.is_missing() => {
            Err(error.when_asked_to(format!("remove the container `{name}`")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The column that `ps` titles `PID`.
fn ids(titles: &[String], rows: &[Vec<String>]) -> Option<BTreeSet<u32>> {
    let column = titles.iter().position(|title| title == "PID")?;
    let ids = rows.iter().filter_map(|row| row.get(column)?.parse().ok());
    Some(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_is_found_by_its_title() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let titles = words("UID PID PPID C STIME TTY TIME CMD");
        let rows = [
            words("root 4711 4690 9 10:00 ? 00:01 vllm"),
            words("root x"),
        ];
        assert_eq!(ids(&titles, &rows), Some([4711].into()));
        assert_eq!(ids(&words("USER COMMAND"), &rows), None);
    }
}
