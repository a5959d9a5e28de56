//! The image of the container tests and the engine that runs it.
//!
//! Without an engine the tests say so and return; with `PERFGATE_REQUIRE_DOCKER=1` they fail.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use perfgate::config::{DockerPlan, ServerPlan};
use perfgate::files;
use perfgate::launch::Launch;

use super::{READY_TIMEOUT, launch};
use crate::support::program;

const SCRIPT: &str = include_str!("serve.sh");
const MODELS: &str = r#"{"data": [{"id": "tiny-llm"}]}"#;
const BUSYBOX: &str = "/bin/busybox";

/// The image of the tests, or `None` where containers cannot be had.
pub(crate) fn image() -> Option<String> {
    match make_image() {
        Ok(image) => Some(image),
        Err(reason) => {
            assert!(
                std::env::var_os("PERFGATE_REQUIRE_DOCKER").is_none_or(|value| value != "1"),
                "{reason}"
            );
            eprintln!("skipped: {reason}");
            None
        }
    }
}

pub(crate) fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .map_err(|error| format!("docker: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn make_image() -> Result<String, String> {
    docker(&["version"])?;
    let mut hasher = DefaultHasher::new();
    (SCRIPT, MODELS).hash(&mut hasher);
    let tag = format!("perfgate-test:{:x}", hasher.finish());
    if docker(&["image", "inspect", &tag]).is_ok() {
        return Ok(tag);
    }
    if !Path::new(BUSYBOX).exists() {
        return Err(format!("there is no {BUSYBOX} (Debian: busybox-static)"));
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for name in ["bin", "tmp", "www/v1"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    for (name, text) in [
        ("serve", SCRIPT),
        ("www/health", ""),
        ("www/version", r#"{"version": "0.32.0"}"#),
        ("www/v1/models", MODELS),
    ] {
        files::write_atomically(&root.join(name), text.as_bytes()).unwrap();
    }
    fs::set_permissions(root.join("serve"), fs::Permissions::from_mode(0o755)).unwrap();
    let archive = folder.path().join("root.tar");
    let packed = Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&root)
        .arg(".")
        .status()
        .unwrap();
    assert!(packed.success());
    docker(&[
        "import",
        "--change",
        "ENTRYPOINT [\"/serve\"]",
        archive.to_str().unwrap(),
        &tag,
    ])?;
    Ok(tag)
}

/// The binary under test and the libraries that it was linked with, mounted where it looks for them.
pub(crate) fn volumes() -> String {
    let program = program();
    let linked = Command::new("ldd").arg(&program).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let mut volumes = vec![format!("\"{}:/perfgate:ro\"", program.display())];
    for word in linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        volumes.push(format!("\"{word}:{word}:ro\""));
    }
    volumes.join(", ")
}

pub(crate) fn docker_plan(image: String, mode: &str) -> DockerPlan {
    DockerPlan {
        args: vec![mode.to_owned()],
        env: vec!["STAND_IN_SECRET".to_owned()],
        shm_size: Some(64 << 20),
        ready_timeout: READY_TIMEOUT,
        ..DockerPlan::of(image)
    }
}

/// One secret, and the engine that the tests are to use.
fn lookup(name: &str) -> Option<String> {
    match name {
        "STAND_IN_SECRET" => Some("open-sesame".to_owned()),
        "DOCKER_HOST" => std::env::var_os(name).and_then(|value| value.into_string().ok()),
        _ => None,
    }
}

pub(crate) fn with_secret<'a>(plan: &'a ServerPlan, run_id: &'a str) -> Launch<'a> {
    Launch {
        environment: &lookup,
        ..launch(plan, run_id)
    }
}

/// Unique to this process, so that runs of the tests beside each other do not meet.
pub(crate) fn run_id(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

pub(crate) fn containers_of(run_id: &str) -> String {
    docker(&[
        "ps",
        "-aq",
        "--filter",
        &format!("label=dev.perfgate.run={run_id}"),
    ])
    .unwrap()
}

/// Whether the engine of the tests is podman behind Docker's API.
pub(crate) fn is_podman() -> bool {
    docker(&["version", "--format", "{{json .Server.Components}}"])
        .is_ok_and(|components| components.contains("Podman"))
}

/// Runs busybox's `applet` in the container.
pub(crate) fn inside(container: &str, applet: &[&str]) -> String {
    let mut arguments = vec!["exec", container, "/bin/busybox"];
    arguments.extend(applet);
    docker(&arguments).unwrap()
}
