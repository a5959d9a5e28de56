//! What a plan says of a container is what the engine makes of it.

use std::io::Read as _;
use std::os::unix::net::UnixListener;

use perfgate::config::{DockerPlan, HfCache, Limits, Network, Pull, ServerPlan};
use perfgate::launch::{EngineKind, Fault, Launch, LaunchError, engine_facts};

use super::image::{
    containers_of, docker, docker_plan, image, inside, is_podman, run_id, with_secret,
};
use super::{launch, start_quietly};

#[tokio::test]
async fn limits_user_and_rights_are_those_of_the_plan() {
    let Some(image) = image() else { return };
    let run_id = run_id("limits");
    let plan = ServerPlan::Docker(DockerPlan {
        limits: Limits {
            memory: Some(256 << 20),
            cpus: Some(0.5),
            cpuset: Some("0".to_owned()),
            pids: Some(64),
        },
        user: Some("1234:0".to_owned()),
        shm_size: Some(32 << 20),
        ..docker_plan(image, "ready")
    });
    let target = start_quietly(&with_secret(&plan, &run_id)).await.unwrap();
    let id = containers_of(&run_id);
    let format = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} \
                  {{.HostConfig.CpusetCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}}";
    assert_eq!(
        docker(&["inspect", "--format", format, &id]).unwrap(),
        "268435456 268435456 500000000 0 64 33554432"
    );
    assert_eq!(inside(&id, &["id", "-u"]), "1234");
    let shared = inside(&id, &["df", "-k", "/dev/shm"]);
    assert!(shared.contains("32768"), "{shared}");
    target.stop().await.unwrap();
    assert_eq!(containers_of(&run_id), "");
}

#[tokio::test]
async fn a_container_without_options_gets_shared_memory_few_rights_and_an_init_process() {
    let Some(image) = image() else { return };
    let run_id = run_id("usual");
    let plan = ServerPlan::Docker(DockerPlan {
        shm_size: None,
        ..docker_plan(image, "abandons")
    });
    let target = start_quietly(&with_secret(&plan, &run_id)).await.unwrap();
    let id = containers_of(&run_id);
    let shared = inside(&id, &["df", "-k", "/dev/shm"]);
    assert!(shared.contains("8388608"), "{shared}");
    let status = inside(&id, &["cat", "/proc/1/status"]);
    let value = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let rights = u64::from_str_radix(&value("CapBnd:"), 16).unwrap();
    let has = |bit: u32| rights & (1 << bit) != 0;
    // CHOWN, SETUID stay; SETPCAP, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP are gone.
    assert!(has(0) && has(7), "{rights:x}");
    for gone in [8, 13, 18, 27, 29, 31] {
        assert!(!has(gone), "{rights:x}");
    }
    // Where podman has no init process to give, the server starts without one.
    if !is_podman() {
        assert_eq!(value("NoNewPrivs:"), "1");
        assert!(value("Name:").contains("init"), "{status}");
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        let processes = inside(&id, &["ps", "-o", "stat,comm"]);
        assert!(!processes.contains('Z'), "{processes}");
    }
    target.stop().await.unwrap();
}

#[tokio::test]
async fn in_the_hosts_network_the_server_gets_a_free_port_and_two_starts_have_the_same_arguments() {
    let Some(image) = image() else { return };
    let plan = ServerPlan::Docker(DockerPlan {
        network: Network::Host,
        ..docker_plan(image, "ready")
    });
    let (first, second) = (run_id("host-1"), run_id("host-2"));
    let one = start_quietly(&with_secret(&plan, &first)).await.unwrap();
    let two = start_quietly(&with_secret(&plan, &second)).await.unwrap();
    assert_ne!(one.base_url(), two.base_url());
    assert_eq!(one.identity().args, two.identity().args);
    assert_eq!(
        one.identity().args.as_ref().unwrap(),
        &[
            "tiny-llm",
            "ready",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}"
        ]
    );
    let port = one.base_url().rsplit(':').next().unwrap().to_owned();
    let command = docker(&[
        "inspect",
        "--format",
        "{{json .Config.Cmd}}",
        &containers_of(&first),
    ]);
    assert!(command.unwrap().contains(&format!("\"{port}\"")));
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test]
async fn the_hugging_face_cache_is_mounted_into_the_container() {
    let Some(image) = image() else { return };
    let cache = tempfile::tempdir().unwrap();
    perfgate::files::write_atomically(&cache.path().join("marker"), b"weights").unwrap();
    let run_id = run_id("cache");
    let plan = ServerPlan::Docker(DockerPlan {
        hf_cache: Some(HfCache::Folder(cache.path().display().to_string())),
        ..docker_plan(image, "ready")
    });
    let target = start_quietly(&with_secret(&plan, &run_id)).await.unwrap();
    let read = inside(
        &containers_of(&run_id),
        &["cat", "/root/.cache/huggingface/marker"],
    );
    assert_eq!(read, "weights");
    target.stop().await.unwrap();
}

#[tokio::test]
async fn an_image_that_must_not_be_pulled_must_exist() {
    let Some(_) = image() else { return };
    let plan = ServerPlan::Docker(DockerPlan {
        pull: Pull::Never,
        ..docker_plan("perfgate/no-such-image:1".to_owned(), "ready")
    });
    let error = start_quietly(&with_secret(&plan, "never"))
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"image `perfgate/no-such-image:1` is not on this machine, and `pull: never` forbids pulling it");
    assert_eq!(error.hints(), ["docker pull perfgate/no-such-image:1"]);
}

#[tokio::test]
async fn a_local_image_is_not_used_under_pull_always() {
    let Some(image) = image() else { return };
    // The same image under the name of a registry at which nobody listens.
    let elsewhere = "127.0.0.1:9/perfgate/test:1";
    docker(&["tag", &image, elsewhere]).unwrap();
    let plan = |pull| {
        ServerPlan::Docker(DockerPlan {
            pull,
            ..docker_plan(elsewhere.to_owned(), "ready")
        })
    };
    let run_id = run_id("pull");
    let always = plan(Pull::Always);
    let error = start_quietly(&with_secret(&always, &run_id))
        .await
        .unwrap_err();
    let never = plan(Pull::Never);
    let started = start_quietly(&with_secret(&never, &run_id)).await;
    docker(&["rmi", elsewhere]).unwrap_or_default();
    assert!(
        matches!(error, LaunchError::ImageUnavailable { .. }),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Environment);
    started.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn kind_version_and_address_of_the_engine_are_read() {
    let Some(_) = image() else { return };
    let lookup = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    let facts = engine_facts(&lookup).await.unwrap();
    let kind = if is_podman() {
        EngineKind::Podman
    } else {
        EngineKind::Docker
    };
    assert_eq!(facts.kind, kind);
    let version = docker(&["version", "--format", "{{.Server.Version}}"]).unwrap();
    assert_eq!(facts.version.as_deref(), Some(version.as_str()));
    assert!(matches!(facts.cgroup_version.as_deref(), Some("1" | "2")));
    assert!(facts.api.is_some() && facts.address.contains("://"));
    assert!(facts.storage_free.is_none_or(|free| free > 0));
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        // Takes every question and answers none.
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut asked = Vec::new();
                drop(stream.read_to_end(&mut asked));
            });
        }
    });
    let address = format!("unix://{}", socket.display());
    let plan = ServerPlan::Docker(DockerPlan::of("image"));
    let error = start_quietly(&Launch {
        environment: &|name| (name == "DOCKER_HOST").then(|| address.clone()),
        ..launch(&plan, "hangs")
    })
    .await
    .unwrap_err();
    assert_eq!(error.fault(), Fault::Environment);
    let text = error.to_string().replace(&address, "unix://SOCKET");
    insta::assert_snapshot!(text, @"no container engine answers at unix://SOCKET (DOCKER_HOST): no answer within 10 s");
}

#[tokio::test]
async fn an_engine_that_stopped_listening_is_distinguished_from_a_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let address = format!("unix://{}", socket.display());
    let plan = ServerPlan::Docker(DockerPlan::of("image"));
    let error = start_quietly(&Launch {
        environment: &|name| (name == "CONTAINER_HOST").then(|| address.clone()),
        ..launch(&plan, "dead")
    })
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("(CONTAINER_HOST): nothing listens there"),
        "{error}"
    );
    assert!(
        error.hints()[0].contains("systemctl"),
        "{:?}",
        error.hints()
    );
}
