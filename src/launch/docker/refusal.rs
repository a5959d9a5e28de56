//! Messages of an engine that does not create or start a container (Docker 20 to 29, podman).

use super::super::LaunchError;
use super::super::gpu_causes;
use super::engine::RequestError;

/// Texts about a setting of the plan, in lower case, with the key.
static KEYS: [(&str, &str); 17] = [
    ("unable to find user", "user"),
    ("no matching entries in passwd", "user"),
    ("unable to find group", "user"),
    ("no matching entries in group", "user"),
    ("requested cpus are not available", "cpuset"),
    ("cpuset", "cpuset"),
    ("runtime specified", "runtime"),
    ("runtime name", "runtime"),
    ("range of cpus is from", "cpus"),
    ("minimum memory limit", "memory"),
    ("bind source path does not exist", "volumes"),
    ("invalid mount", "volumes"),
    ("invalid volume specification", "volumes"),
    ("ipc mode", "ipc"),
    ("shm size", "shm_size"),
    ("gathering device information", "devices"),
    ("invalid reference format", "image"),
];

/// The error for a container with that entry point.
pub(super) fn error(action: String, entrypoint: &[String], error: RequestError) -> LaunchError {
    let error = error.when_asked_to(action);
    let LaunchError::Engine { action, reason } = error else {
        return error;
    };
    let lower = reason.to_lowercase();
    let mentions = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if let Some(cause) = gpu_causes::of_refusal(&reason) {
        LaunchError::of_gpus(cause, reason)
    } else if let Some((_, key)) = KEYS.iter().find(|(text, _)| lower.contains(text)) {
        LaunchError::KeyRefused { key, reason }
    } else if mentions(&["executable file not found", "no such file or directory"]) {
        LaunchError::CommandNotFound {
            program: entrypoint.first().cloned().unwrap_or_default(),
            reason,
        }
    } else if mentions(&["port is already allocated", "address already in use"]) {
        LaunchError::Port { reason }
    } else {
        LaunchError::Engine { action, reason }
    }
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error;

    use super::super::super::Fault;
    use super::*;

    fn refusal(message: &str) -> LaunchError {
        let refused = Error::DockerResponseServerError {
            status_code: 500,
            message: message.to_owned(),
        };
        let action = "start the container `perfgate-1-0`".to_owned();
        error(action, &["vllm".to_owned()], RequestError::Failed(refused))
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
        insta::assert_snapshot!(refusal("something else"), @"the container engine cannot start the container `perfgate-1-0`: something else");
    }

    #[test]
    fn a_missing_device_is_a_fault_of_the_environment() {
        let message = "error gathering device information while adding custom device \"/dev/kfd\": no such file or directory";
        let error = refusal(message);
        assert_eq!(error.fault(), Fault::Environment);
        assert!(error.to_string().contains("server.docker.devices"));
        assert!(error.hints()[0].contains("driver"));
    }

    #[test]
    fn a_refused_setting_is_reported_with_its_key() {
        for (message, key) in [
            (
                "unable to find user nobody7: no matching entries in passwd file",
                "user",
            ),
            (
                "Requested CPUs are not available - requested 0-63, available: 0-3",
                "cpuset",
            ),
            (
                "no such image: Foo/Bar:1: invalid reference format: repository name must be lowercase",
                "image",
            ),
            ("Unknown runtime specified kata", "runtime"),
            ("unknown or invalid runtime name: kata", "runtime"),
            (
                "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
                "cpus",
            ),
        ] {
            let error = refusal(message);
            assert_eq!(error.fault(), Fault::Configuration, "{message}");
            assert!(error.to_string().contains(&format!("server.docker.{key}")));
            assert!(!error.hints().is_empty());
        }
    }
}
