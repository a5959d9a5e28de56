//! The container engine: whether one answers, and whether it can pass GPUs to containers.

use super::check::{Check, Group, Level};
use super::needs::Needs;
use crate::launch::{EngineFacts, EngineKind, LaunchError};
use crate::metric::Unit;
use crate::stats::number;
use crate::text::number::value;

/// A vLLM image takes about 10 GiB compressed and 25 GiB unpacked.
const LEAST_STORAGE: u64 = 40 << 30;

pub(crate) fn checks(engine: &Result<EngineFacts, LaunchError>, needs: &Needs) -> Group {
    Group {
        name: "container engine",
        checks: match engine {
            Ok(facts) => answering(facts, needs),
            Err(error) => vec![silent(error, needs)],
        },
    }
}

/// Only a plan that starts a container needs an engine.
fn silent(error: &LaunchError, needs: &Needs) -> Check {
    let level = if needs.container {
        Level::Failure
    } else {
        Level::Note
    };
    Check {
        remedy: error.hints().into_iter().next(),
        // The first line has the cause; the addresses that were tried follow.
        ..Check::new("engine", level, error.to_string())
    }
}

fn answering(facts: &EngineFacts, needs: &Needs) -> Vec<Check> {
    let name = match facts.kind {
        EngineKind::Docker => "Docker",
        EngineKind::Podman => "podman",
    };
    let version = facts.version.as_deref().unwrap_or("(unknown version)");
    let rootless = if facts.rootless { ", rootless" } else { "" };
    let found = format!("{name} {version}{rootless}, at {}", facts.address);
    let mut checks = vec![Check::good("engine", found)];
    if let Some(free) = facts.storage_free {
        let found = format!("{} free for images", value(number(free), Unit::Bytes));
        checks.push(if free < LEAST_STORAGE {
            Check::new("storage", warning_if(needs.container), found).with_remedy(
                "docker system prune: a vLLM image needs about 40 GiB while it is pulled",
            )
        } else {
            Check::good("storage", found)
        });
    }
    checks.push(gpus(facts, needs));
    checks
}

fn warning_if(is_needed: bool) -> Level {
    if is_needed {
        Level::Warning
    } else {
        Level::Note
    }
}

fn gpus(facts: &EngineFacts, needs: &Needs) -> Check {
    if !facts.gpu_runtimes.is_empty() {
        return Check::good(
            "GPUs",
            format!("passed by {}", facts.gpu_runtimes.join(", ")),
        );
    }
    // Not a failure: some versions of Docker pass GPUs by a hook that they do not list.
    let level = warning_if(needs.container && needs.gpu);
    Check::new("GPUs", level, "the engine lists no way to pass GPUs to containers").with_remedy(
        "install the NVIDIA Container Toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::page;
    use super::*;

    fn docker() -> EngineFacts {
        EngineFacts {
            kind: EngineKind::Docker,
            version: Some("29.1.0".to_owned()),
            api: Some("1.52".to_owned()),
            rootless: false,
            address: "unix:///var/run/docker.sock".to_owned(),
            gpu_runtimes: vec!["nvidia".to_owned()],
            cgroup_version: Some("2".to_owned()),
            storage_free: Some(500 << 30),
        }
    }

    #[test]
    fn an_engine_that_can_pass_gpus_is_good() {
        let group = checks(&Ok(docker()), &Needs::default());
        insta::assert_snapshot!(page(&[group]));
    }

    #[test]
    fn the_level_depends_on_the_needs_of_the_plan() {
        let small = EngineFacts {
            kind: EngineKind::Podman,
            rootless: true,
            gpu_runtimes: Vec::new(),
            storage_free: Some(9 << 30),
            ..docker()
        };
        let on_gpu = Needs {
            container: true,
            gpu: true,
            ..Needs::default()
        };
        insta::assert_snapshot!(page(&[checks(&Ok(small), &on_gpu)]));
        let gone = || {
            Err(LaunchError::Port {
                reason: "any error".to_owned(),
            })
        };
        assert_eq!(checks(&gone(), &on_gpu).checks[0].level, Level::Failure);
        assert_eq!(
            checks(&gone(), &Needs::default()).checks[0].level,
            Level::Note
        );
    }
}
