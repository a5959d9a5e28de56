//! Servers as containers, with a real engine and a tiny image made of a static busybox.

use std::time::Duration;

use perfgate::config::{DockerPlan, GpuRequest, ServerPlan};
use perfgate::launch::{Fault, Launch, LaunchError};

use super::image::{containers_of, docker, docker_plan, image, run_id, with_secret};
use super::{READY_TIMEOUT, launch, start_and_cancel, start_quietly};

#[tokio::test]
async fn a_container_is_ready_identified_and_gone_after_the_stop() {
    let Some(image) = image() else { return };
    let run_id = run_id("ready");
    let plan = ServerPlan::Docker(docker_plan(image.clone(), "ready"));
    let target = start_quietly(&with_secret(&plan, &run_id)).await.unwrap();
    assert!(target.base_url().starts_with("http://127.0.0.1:"));
    let identity = target.identity();
    assert_eq!(identity.kind.as_deref(), Some("docker"));
    assert_eq!(identity.image.as_deref(), Some(image.as_str()));
    // The image comes from no registry.
    assert!(identity.digest.as_ref().unwrap().starts_with("sha256:"));
    assert_eq!(identity.args.as_ref().unwrap(), &["tiny-llm", "ready"]);
    assert_eq!(identity.version.as_deref(), Some("0.32.0"));
    // podman looks for new lines of a log from time to time.
    tokio::time::timeout(READY_TIMEOUT, async {
        while target.log_tail().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(target.log_tail(), ["model tiny-llm secret ***"]);
    let id = containers_of(&run_id);
    assert!(!id.is_empty());
    let name = docker(&["inspect", "--format", "{{.Name}}", &id]).unwrap();
    assert_eq!(name, format!("/perfgate-{run_id}-0"));
    target.stop().await.unwrap();
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn a_container_that_dies_at_the_start_shows_its_code_and_its_log_and_leaves_nothing() {
    let Some(image) = image() else { return };
    let run_id = run_id("dies");
    let plan = ServerPlan::Docker(docker_plan(image, "dies"));
    let error = start_quietly(&with_secret(&plan, &run_id))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Target);
    insta::assert_snapshot!(error, @"
    the server ended with exit code 3 before it was ready
    server| model tiny-llm secret ***
    server| : :error::weights are broken
    ");
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn a_container_that_dies_while_it_is_used_is_noticed() {
    let Some(image) = image() else { return };
    let run_id = run_id("killed");
    let plan = ServerPlan::Docker(docker_plan(image, "ready"));
    let target = start_quietly(&with_secret(&plan, &run_id)).await.unwrap();
    docker(&["kill", &containers_of(&run_id)]).unwrap();
    tokio::time::timeout(READY_TIMEOUT, target.ended().cancelled())
        .await
        .unwrap();
    let death = target.death().unwrap().to_string();
    assert!(death.starts_with("the server ended with exit code 137 during the measurement"));
    target.stop().await.unwrap();
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn a_container_that_is_never_ready_ends_with_the_time_out_and_leaves_nothing() {
    let Some(image) = image() else { return };
    let run_id = run_id("never");
    let plan = ServerPlan::Docker(DockerPlan {
        ready_timeout: Duration::from_secs(1),
        ..docker_plan(image, "never-ready")
    });
    let error = start_quietly(&with_secret(&plan, &run_id))
        .await
        .unwrap_err();
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error}");
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn a_cancelled_start_leaves_no_container() {
    let Some(image) = image() else { return };
    let run_id = run_id("cancelled");
    let plan = ServerPlan::Docker(docker_plan(image, "never-ready"));
    let error = start_and_cancel(&with_secret(&plan, &run_id))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Interrupted);
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn a_start_that_is_dropped_at_any_moment_leaves_no_container() {
    let Some(image) = image() else { return };
    for wait in [5, 20, 60, 150, 400] {
        let run_id = run_id(&format!("dropped-{wait}"));
        let plan = ServerPlan::Docker(docker_plan(image.clone(), "never-ready"));
        let launch = with_secret(&plan, &run_id);
        let start = start_quietly(&launch);
        let ended = tokio::time::timeout(Duration::from_millis(wait), start).await;
        assert!(ended.is_err());
        assert_eq!(containers_of(&run_id), "");
    }
}

#[tokio::test]
async fn a_panic_leaves_no_container() {
    let Some(image) = image() else { return };
    let run_id = run_id("panic");
    let of_the_task = run_id.clone();
    let used = tokio::spawn(async move {
        let plan = ServerPlan::Docker(docker_plan(image, "ready"));
        let _target = start_quietly(&with_secret(&plan, &of_the_task))
            .await
            .unwrap();
        panic!("a bug in whoever uses the target");
    });
    assert!(used.await.is_err());
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn an_expired_container_of_a_killed_run_is_removed() {
    let Some(image) = image() else { return };
    let run_id = run_id("orphan");
    let leave_behind = |expires: &str| {
        docker(&[
            "create",
            "--label",
            "dev.perfgate=1",
            "--label",
            &format!("dev.perfgate.run={run_id}"),
            "--label",
            &format!("dev.perfgate.expires={expires}"),
            &image,
        ])
        .unwrap()
    };
    leave_behind("1000");
    let living = leave_behind("99999999999");
    let plan = ServerPlan::Docker(docker_plan(image.clone(), "dies"));
    start_quietly(&with_secret(&plan, &run_id))
        .await
        .unwrap_err();
    let left = containers_of(&run_id);
    docker(&["rm", &living]).unwrap();
    assert!(!left.contains('\n') && living.starts_with(&left), "{left}");
}

#[tokio::test]
async fn a_refusal_of_the_engine_is_recognised_and_leaves_no_container() {
    let Some(image) = image() else { return };
    let run_id = run_id("refused");
    let refuse = async |plan: DockerPlan| {
        let plan = ServerPlan::Docker(plan);
        let error = start_quietly(&with_secret(&plan, &run_id))
            .await
            .unwrap_err();
        assert_eq!(containers_of(&run_id), "");
        assert!(!error.hints().is_empty(), "{error}");
        error
    };
    let gpus = refuse(DockerPlan {
        gpus: GpuRequest::All,
        ..docker_plan(image.clone(), "ready")
    })
    .await;
    assert!(matches!(gpus, LaunchError::GpuRuntime { .. }), "{gpus}");
    let program = refuse(DockerPlan {
        entrypoint: Some(vec!["/no/such/program".to_owned()]),
        ..docker_plan(image, "ready")
    })
    .await;
    // The engine itself sees it, or the init process in the container.
    if let LaunchError::CommandNotFound { program, .. } = &program {
        assert_eq!(program, "/no/such/program");
    } else {
        let hint = &program.hints()[0];
        assert!(hint.contains("server.docker.entrypoint"), "{program}");
    }
    let missing = refuse(docker_plan(
        "127.0.0.1:9/perfgate/no-such-image:1".to_owned(),
        "ready",
    ))
    .await;
    assert_eq!(missing.fault(), Fault::Environment);
    assert!(
        missing
            .to_string()
            .starts_with("cannot pull image `127.0.0.1:9/perfgate/no-such-image:1`: "),
        "{missing}"
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let plan = ServerPlan::Docker(DockerPlan {
        env: Vec::new(),
        ..docker_plan("image".to_owned(), "ready")
    });
    let elsewhere = |name: &str| (name == "DOCKER_HOST").then(|| "unix:///no/such.sock".to_owned());
    let error = start_quietly(&Launch {
        environment: &elsewhere,
        ..launch(&plan, "nowhere")
    })
    .await
    .unwrap_err();
    insta::assert_snapshot!(error, @"no container engine answers at unix:///no/such.sock (DOCKER_HOST): the socket does not exist");
    assert_eq!(error.fault(), Fault::Environment);
}

#[tokio::test]
async fn a_variable_or_folder_that_is_not_there_is_refused_before_the_engine_is_asked() {
    let mut docker_plan = docker_plan("image".to_owned(), "ready");
    docker_plan.volumes = vec!["/no/such/folder:/data".to_owned()];
    let plan = ServerPlan::Docker(docker_plan);
    let unset = Launch {
        environment: &|_| None,
        ..launch(&plan, "refused")
    };
    let error = start_quietly(&unset).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Configuration);
    assert!(error.to_string().starts_with("server.docker.env: "));
    let error = start_quietly(&with_secret(&plan, "refused"))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Configuration);
    insta::assert_snapshot!(error, @"server.docker.volumes: `/no/such/folder:/data`: `/no/such/folder`: No such file or directory (os error 2)");
}
