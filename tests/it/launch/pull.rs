//! Pulling from a registry, a real one on the loopback interface that wants a password. Runs where
//! `PERFGATE_TEST_REGISTRY` names the program.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use perfgate::config::{DockerPlan, Pull, ServerPlan};
use perfgate::files;
use perfgate::launch::{self, Fault, Launch, LaunchError, Target};
use tokio_util::sync::CancellationToken;

use super::image::{docker, docker_plan, image, run_id};
use super::launch;
use crate::support::{Running, wait_until};

/// `perfgate` with the password `open-sesame`.
const USERS: &str = "perfgate:$2b$05$QQynrxF.nFYZpAhZAMfYfeffxuuCvAlGr3UTbjCAiKtjppMwKkkFC\n";

/// The same as `docker login` stores it.
const LOGIN: &str = "cGVyZmdhdGU6b3Blbi1zZXNhbWU=";

/// A registry with the image of the tests in it; gone with the test.
struct Registry {
    process: Running,
    folder: tempfile::TempDir,
    /// `127.0.0.1:41234/perfgate-test`
    repository: String,
}

impl Registry {
    fn start() -> Option<Self> {
        let image = image()?;
        let Some(program) = std::env::var_os("PERFGATE_TEST_REGISTRY") else {
            eprintln!(
                "skipped: PERFGATE_TEST_REGISTRY is not set; scripts/test installs a registry and sets it"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = folder.path();
        let write = |name: &str, text: &str| {
            files::write_atomically(&at.join(name), text.as_bytes()).unwrap();
        };
        write("users", USERS);
        write(
            "registry.yaml",
            &format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: \"{0}/store\"}}}}\n\
                 http: {{addr: \"127.0.0.1:{port}\"}}\nauth: {{htpasswd: {{realm: tests, path: \"{0}/users\"}}}}\n",
                at.display()
            ),
        );
        let address = format!("127.0.0.1:{port}");
        files::create_folder(&at.join("login")).unwrap();
        write(
            "login/config.json",
            &format!(r#"{{"auths": {{"{address}": {{"auth": "{LOGIN}"}}}}}}"#),
        );
        let process = Running(
            Command::new(program)
                .arg("serve")
                .arg(at.join("registry.yaml"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        wait_until("the registry", Duration::from_secs(20), || {
            std::net::TcpStream::connect(&address).is_ok()
        });
        let repository = format!("{address}/perfgate-test");
        let tag = format!("{repository}:one");
        docker(&["tag", &image, &tag]).unwrap();
        let login = at.join("login");
        docker(&["--config", login.to_str().unwrap(), "push", "--quiet", &tag]).unwrap();
        docker(&["rmi", &tag]).unwrap();
        Some(Self {
            process,
            folder,
            repository,
        })
    }

    fn plan(&self, tag: &str, pull: Pull) -> ServerPlan {
        ServerPlan::Docker(DockerPlan {
            pull,
            env: Vec::new(),
            ..docker_plan(format!("{}:{tag}", self.repository), "ready")
        })
    }

    /// Starts with what `docker login` stored in that folder, and returns the reported phases.
    async fn launch(
        &self,
        plan: &ServerPlan,
        login: &Path,
    ) -> (Result<Target, LaunchError>, Vec<String>) {
        let login = login.display().to_string();
        let lookup = move |name: &str| match name {
            "DOCKER_CONFIG" => Some(login.clone()),
            "DOCKER_HOST" => std::env::var_os(name).and_then(|value| value.into_string().ok()),
            _ => None,
        };
        let phases = Mutex::new(Vec::new());
        let run_id = run_id("pull");
        let launch = Launch {
            environment: &lookup,
            ..launch(plan, &run_id)
        };
        let progress = |phase: launch::Phase| phases.lock().unwrap().push(phase.to_string());
        let started = launch::start(&launch, &progress, &CancellationToken::new()).await;
        (started, phases.into_inner().unwrap())
    }

    fn forget(&self, tag: &str) {
        let _was_there = docker(&["rmi", &format!("{}:{tag}", self.repository)]);
    }
}

#[tokio::test]
async fn an_image_comes_from_a_registry_with_what_docker_login_stored() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let stored = registry.folder.path().join("login");
    let plan = registry.plan("one", Pull::Missing);
    let (started, phases) = registry.launch(&plan, &stored).await;
    let target = started.unwrap();
    let digest = target.identity().digest.clone().unwrap();
    target.stop().await.unwrap();
    assert!(
        phases[0].starts_with(&format!("pulling {}:one", registry.repository)),
        "{phases:?}"
    );
    let known = docker(&[
        "image",
        "inspect",
        "--format",
        "{{index .RepoDigests 0}}",
        &format!("{}:one", registry.repository),
    ])
    .unwrap();
    assert_eq!(
        known,
        format!("{}@{digest}", registry.repository),
        "the digest is the registry's"
    );

    // It is here now: no registry is asked, until the plan says `always`.
    let (started, phases) = registry.launch(&plan, &stored).await;
    started.unwrap().stop().await.unwrap();
    assert!(!phases[0].contains("pulling"), "{phases:?}");
    let always = registry.plan("one", Pull::Always);
    let (started, phases) = registry.launch(&always, &stored).await;
    started.unwrap().stop().await.unwrap();
    assert!(phases[0].contains("pulling"), "{phases:?}");
    registry.forget("one");
}

#[tokio::test]
async fn reasons_for_a_failed_pull_are_distinguished() {
    let Some(mut registry) = Registry::start() else {
        return;
    };
    let stored = registry.folder.path().join("login");
    let no_login = registry.folder.path().join("no-login");
    let failed = async |registry: &Registry, tag: &str, pull: Pull, login: &Path| {
        let plan = registry.plan(tag, pull);
        let (started, _) = registry.launch(&plan, login).await;
        let error = started.unwrap_err();
        (error.fault(), error.hints().join("\n"))
    };
    let (fault, hint) = failed(&registry, "one", Pull::Missing, &no_login).await;
    assert_eq!(fault, Fault::Configuration);
    assert!(hint.contains("docker login"), "{hint}");
    let (fault, hint) = failed(&registry, "two", Pull::Missing, &stored).await;
    assert_eq!(fault, Fault::Configuration);
    assert!(hint.contains("check the tag"), "{hint}");
    let (fault, hint) = failed(&registry, "one", Pull::Never, &stored).await;
    assert_eq!(fault, Fault::Environment);
    assert!(hint.contains("docker pull"), "{hint}");
    // A registry that is gone is the surroundings' fault, and no reason to take yesterday's image.
    registry.process.0.kill().unwrap();
    registry.process.0.wait().unwrap();
    let (fault, _) = failed(&registry, "one", Pull::Always, &stored).await;
    assert_eq!(fault, Fault::Environment);
}
