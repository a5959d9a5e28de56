//! A server in a container of its own. Every container carries labels by which a later run finds what a killed one left.

mod engine;
mod guard;
mod image;
mod orphans;
mod processes;
mod spec;

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::Exit;
use super::life::Life;
use super::log::{LineSplitter, ServerLog};
use super::memory::MemoryProbe;
use super::redact::Redactor;
use super::{Launch, LaunchError, Phase, Started};
use crate::clock;
use crate::config::DockerPlan;
use crate::record::format::Server;
use guard::Guard;
use spec::Spec;

/// After the container has ended, its last lines are on their way.
const LAST_LINES: Duration = Duration::from_secs(2);

/// After a question to the engine failed.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Questions in a row without an answer, after which the engine, and the server with it, counts as gone.
const PATIENCE: u32 = 10;

/// A running container.
#[derive(Debug)]
pub(super) struct Container {
    guard: Guard,
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
    let host = (launch.environment)("DOCKER_HOST").filter(|host| !host.is_empty());
    let binds = spec::binds(&plan.volumes, launch.environment, host.as_deref())?;
    let secrets = environment.iter().map(|(_, value)| value.clone());
    let redactor = Redactor::new(secrets).and_key(launch.api_key);
    let log = ServerLog::open(launch.log_file, redactor)?;

    let docker = or_cancelled(cancel, engine::connect(host.as_deref())).await?;
    let image = or_cancelled(cancel, image::find(&docker, &plan.image, progress)).await?;
    or_cancelled(cancel, async {
        orphans::remove_expired(&docker, clock::unix_time()).await;
        Ok(())
    })
    .await?;

    let spec = Spec {
        plan,
        engine: launch.engine(),
        image: &image,
        environment: &environment,
        binds: &binds,
        run_id: launch.run_id,
        now: clock::unix_time(),
    };
    let entrypoint = spec.entrypoint()?;
    let command = spec.command(&entrypoint);
    let identity = Server {
        kind: Some("docker".to_owned()),
        image: Some(log.redactor().clean(&plan.image)),
        digest: image.digest.clone(),
        args: Some(log.redactor().clean_args(&command)),
        ..Server::default()
    };
    progress(Phase::Starting);
    let body = spec.body(command);
    let name = spec::container_name(launch.run_id, launch.ordinal);
    // Armed before the engine is asked: an answer that nobody waits for any more must not leave a container behind.
    let mut guard = Guard::new(name.clone(), host);
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    if let Err(error) = docker.create_container(Some(options), body).await {
        // The engine said no, perhaps because the name is that of another container. After any other error it may still
        // say yes to nobody.
        if matches!(error, Error::DockerResponseServerError { .. }) {
            guard.disarm();
        }
        return Err(engine::refused(
            format!("create the container `{name}`"),
            &error,
        ));
    }
    guard.created();
    let began = Instant::now();
    docker
        .start_container(
            &name,
            None::<bollard::query_parameters::StartContainerOptions>,
        )
        .await
        .map_err(|error| start_error(&name, &entrypoint, &error))?;
    let life = Life::default();
    let container = Container {
        reader: tokio::spawn(read(
            docker.clone(),
            name.clone(),
            log.clone(),
            life.clone(),
        )),
        watcher: tokio::spawn(watch(docker.clone(), name.clone(), life.clone())),
        guard,
        docker,
        life: life.clone(),
    };
    let base_url = container.base_url(plan.port).await?;
    Ok(Started {
        running: super::Running::Container(container),
        life,
        log,
        base_url,
        identity,
        began: Some(began),
        ready_timeout: plan.ready_timeout,
    })
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

/// What the engine says when it cannot start a container, as Docker 20 to 29 and podman put it.
fn start_error(name: &str, entrypoint: &[String], error: &Error) -> LaunchError {
    let refused = engine::refused(format!("start the container `{name}`"), error);
    let LaunchError::Engine { reason, .. } = &refused else {
        return refused;
    };
    let says = |texts: &[&str]| texts.iter().any(|text| reason.contains(text));
    let reason = reason.clone();
    if says(&[
        "could not select device driver",
        "nvidia-container-cli",
        "Unknown runtime specified nvidia",
        "unresolvable CDI devices",
    ]) {
        LaunchError::GpuRuntime { reason }
    } else if says(&["executable file not found", "no such file or directory"]) {
        LaunchError::CommandNotFound {
            program: entrypoint.first().cloned().unwrap_or_default(),
            reason,
        }
    } else if says(&["port is already allocated", "address already in use"]) {
        LaunchError::Port { reason }
    } else {
        refused
    }
}

/// Copies the container's output into the log until it ends.
async fn read(docker: Docker, name: String, log: ServerLog, life: Life) {
    let options = LogsOptionsBuilder::default()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .tail("all")
        .build();
    // One splitter for each stream: halves of two lines must not become one.
    let mut out = LineSplitter::default();
    let mut err = LineSplitter::default();
    let mut has_begun = false;
    loop {
        let mut stream = docker.logs(&name, Some(options.clone()));
        let mut is_whole = true;
        while let Some(piece) = stream.next().await {
            let Ok(piece) = piece else {
                is_whole = false;
                break;
            };
            has_begun = true;
            let splitter = if matches!(piece, LogOutput::StdErr { .. }) {
                &mut err
            } else {
                &mut out
            };
            splitter.feed(piece.as_ref(), |line| log.push(line));
        }
        // A server that prints nothing for two minutes runs into the client's time-out.
        if is_whole || has_begun || life.exit().is_some() {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    for splitter in [out, err] {
        splitter.finish(|line| log.push(line));
    }
}

/// Waits until the container does not run any more.
async fn watch(docker: Docker, name: String, life: Life) {
    let options = WaitContainerOptionsBuilder::default()
        .condition("not-running")
        .build();
    let mut unanswered = 0;
    loop {
        // An exit code that is not 0 comes as an error; the state is asked for in any case.
        drop(
            docker
                .wait_container(&name, Some(options.clone()))
                .next()
                .await,
        );
        match docker
            .inspect_container(
                &name,
                None::<bollard::query_parameters::InspectContainerOptions>,
            )
            .await
        {
            Ok(container) => {
                unanswered = 0;
                let state = container.state.unwrap_or_default();
                if state.running != Some(true) {
                    life.end(Exit {
                        code: state.exit_code,
                        signal: None,
                        out_of_memory: state.oom_killed.unwrap_or(false),
                    });
                    return;
                }
            }
            Err(error) => {
                unanswered += 1;
                if engine::is_missing(&error) || unanswered == PATIENCE {
                    life.end(Exit::default());
                    return;
                }
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

impl Container {
    /// Where the engine published the server's port.
    async fn base_url(&self, port: u16) -> Result<String, LaunchError> {
        let name = self.guard.name();
        let container = self
            .docker
            .inspect_container(
                name,
                None::<bollard::query_parameters::InspectContainerOptions>,
            )
            .await
            .map_err(|error| engine::refused(format!("inspect the container `{name}`"), &error))?;
        let published = container
            .network_settings
            .and_then(|settings| settings.ports)
            .and_then(|mut ports| ports.remove(&format!("{port}/tcp")).flatten())
            .and_then(|bindings| bindings.into_iter().find_map(|binding| binding.host_port));
        match published {
            Some(port) => Ok(format!("http://127.0.0.1:{port}")),
            // A container that ended at once has no ports any more. Nobody can listen on port 0, so whoever waits for it
            // sees that it ended, and never another server that happens to listen on the inner port's number.
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

    /// How to ask for its memory.
    pub(super) fn memory_probe(&self) -> MemoryProbe {
        MemoryProbe::Container {
            docker: Box::new(self.docker.clone()),
            name: self.guard.name().to_owned(),
        }
    }

    /// Waits for the last lines of a container that has ended.
    pub(super) async fn settle(&mut self) {
        if !self.reader.is_finished() {
            // A reader that broke has nothing more to say.
            drop(tokio::time::timeout(LAST_LINES, &mut self.reader).await);
        }
    }

    /// Asks the server to end, ends it after `grace`, and removes the container with its anonymous volumes.
    pub(super) async fn stop(mut self, grace: Duration) -> Result<(), LaunchError> {
        self.life.expect_end();
        let name = self.guard.name().to_owned();
        let options = StopContainerOptionsBuilder::default()
            .t(i32::try_from(grace.as_secs()).unwrap_or(i32::MAX))
            .build();
        if self.life.exit().is_none() {
            // The removal below is by force: what matters is whether that works.
            drop(self.docker.stop_container(&name, Some(options)).await);
        }
        self.settle().await;
        let removed = remove(&self.docker, &name).await;
        self.watcher.abort();
        self.reader.abort();
        match removed {
            Ok(()) => {
                self.guard.disarm();
                Ok(())
            }
            Err(error) => Err(LaunchError::NotRemoved {
                what: format!("the container `{name}`"),
                reason: engine::in_words(&error),
            }),
        }
    }
}

/// Removes a container by force, with its anonymous volumes. One that is not there is removed.
async fn remove(docker: &Docker, name: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match docker.remove_container(name, Some(options)).await {
        Err(error) if engine::is_missing(&error) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> LaunchError {
        let error = Error::DockerResponseServerError {
            status_code: 500,
            message: message.to_owned(),
        };
        start_error("perfgate-1-0", &["vllm".to_owned()], &error)
    }

    #[test]
    fn the_engines_refusals_are_recognised() {
        let gpu = refusal("could not select device driver \"\" with capabilities: [[gpu]]");
        assert!(matches!(gpu, LaunchError::GpuRuntime { .. }));
        assert!(gpu.hints()[0].contains("NVIDIA Container Toolkit"));
        let program = refusal("exec: \"vllm\": executable file not found in $PATH: unknown");
        assert!(matches!(program, LaunchError::CommandNotFound { .. }));
        let port = refusal("Bind for 127.0.0.1:80 failed: port is already allocated");
        assert!(matches!(port, LaunchError::Port { .. }));
        insta::assert_snapshot!(refusal("something else"), @"the container engine could not start the container `perfgate-1-0`: something else");
    }
}
