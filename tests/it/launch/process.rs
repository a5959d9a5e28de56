//! Servers as processes.

use std::path::Path;
use std::time::{Duration, Instant};

use perfgate::config::{ProcessPlan, ServerPlan, ServerUrl};
use perfgate::launch::{Fault, Launch, LaunchError};

use super::{READY_TIMEOUT, launch, start_and_cancel, start_quietly};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/launch/server.py");

fn plan(mode: &str) -> ServerPlan {
    ServerPlan::Process(process(mode))
}

fn process(mode: &str) -> ProcessPlan {
    ProcessPlan {
        command: ["python3", SCRIPT, "{port}", mode]
            .map(str::to_owned)
            .into(),
        env: [("STAND_IN_SECRET".to_owned(), "open-sesame".to_owned())].into(),
        directory: None,
        ready_timeout: READY_TIMEOUT,
    }
}

/// Live processes whose command line has the text; zombies have an empty one.
pub(super) fn alive_with(text: &str) -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|process| {
            std::fs::read(process.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
}

/// A mode that only this test uses, so that its processes can be told from those of others.
fn unique(mode: &str) -> ProcessPlan {
    let mut plan = process(mode);
    plan.command
        .push(format!("mark-{mode}-{}", std::process::id()));
    plan
}

fn mark(plan: &ProcessPlan) -> &str {
    plan.command.last().unwrap()
}

#[tokio::test]
async fn a_process_is_ready_identified_and_gone_after_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let log_file = folder.path().join("logs/server.log");
    let process = unique("ready");
    let plan = ServerPlan::Process(process.clone());
    let target = start_quietly(&Launch {
        log_file: Some(&log_file),
        ..launch(&plan, "process")
    })
    .await
    .unwrap();
    let identity = target.identity();
    assert_eq!(identity.kind.as_deref(), Some("process"));
    assert_eq!(identity.version.as_deref(), Some("0.32.0"));
    assert_eq!(identity.model.as_deref(), Some("tiny-llm"));
    // Two starts have two ports and must have one identity.
    assert_eq!(identity.args.as_ref().unwrap(), &process.command);
    assert!(target.startup().unwrap() > Duration::ZERO);
    assert!(target.death().is_none());
    assert!(alive_with(mark(&process)));
    target.stop().await.unwrap();
    assert!(!alive_with(mark(&process)));
    let log = std::fs::read_to_string(log_file).unwrap();
    assert_eq!(log, "INFO starting with ***\n");
}

#[tokio::test]
async fn a_process_that_dies_at_the_start_shows_its_code_and_its_log() {
    let began = Instant::now();
    let error = start_quietly(&launch(&plan("dies"), "process"))
        .await
        .unwrap_err();
    assert!(began.elapsed() < READY_TIMEOUT / 2);
    assert_eq!(error.fault(), Fault::Target);
    let text = error.to_string();
    assert!(text.starts_with("the server ended with exit code 3 before it was ready\nserver| "));
    assert!(text.contains("\nserver| : :error::weights are broken"));
    assert!(!text.contains("open-sesame") && !text.contains('\u{1b}'));
}

#[tokio::test]
async fn a_process_that_is_never_ready_ends_with_the_time_out() {
    let mut process = unique("never-ready");
    process.ready_timeout = Duration::from_millis(1500);
    let plan = ServerPlan::Process(process.clone());
    let error = start_quietly(&launch(&plan, "process")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the server was not ready after 1.5 s: /health: HTTP 503\n"),
        "{error}"
    );
    assert!(!alive_with(mark(&process)));
}

#[tokio::test]
async fn a_process_that_serves_another_model_is_refused_by_name() {
    let plan = plan("ready");
    let error = start_quietly(&Launch {
        served_model_name: "llama",
        ..launch(&plan, "process")
    })
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the server does not list the model `llama`; it lists `tiny-llm`")
    );
    assert_eq!(error.fault(), Fault::Target);
}

#[tokio::test]
async fn a_process_that_wants_a_key_is_ready_only_with_it() {
    for (mode, path) in [("locked", "/v1/models"), ("locked-gateway", "/health")] {
        let plan = plan(mode);
        let error = start_quietly(&launch(&plan, "process")).await.unwrap_err();
        let words = format!("{path} answered HTTP 401: the server needs an API key");
        assert!(error.to_string().contains(&words), "{error}");
        let target = start_quietly(&Launch {
            api_key: Some("right-key"),
            ..launch(&plan, "process")
        })
        .await
        .unwrap();
        target.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_ignores_sigterm_is_killed_after_the_grace() {
    let process = unique("ignores-sigterm");
    let plan = ServerPlan::Process(process.clone());
    let target = start_quietly(&Launch {
        stop_grace: Duration::from_millis(500),
        ..launch(&plan, "process")
    })
    .await
    .unwrap();
    target.stop().await.unwrap();
    assert!(!alive_with(mark(&process)));
}

fn grandchild_is_alive(log: &[String]) -> bool {
    let number = log
        .iter()
        .find_map(|line| line.strip_prefix("grandchild "))
        .unwrap();
    std::fs::read_to_string(format!("/proc/{number}/stat"))
        .is_ok_and(|stat| stat.contains("(sleep) S"))
}

#[tokio::test]
async fn a_grandchild_is_gone_with_the_server() {
    let target = start_quietly(&launch(&plan("grandchild"), "process"))
        .await
        .unwrap();
    let log = target.log_tail();
    assert!(grandchild_is_alive(&log));
    target.stop().await.unwrap();
    assert!(!grandchild_is_alive(&log));
}

#[tokio::test]
async fn a_grandchild_that_a_dying_server_leaves_behind_is_gone() {
    let error = start_quietly(&launch(&plan("abandons"), "process"))
        .await
        .unwrap_err();
    let LaunchError::Ended { log, .. } = error else {
        panic!("{error}");
    };
    assert!(!grandchild_is_alive(&log));
}

#[tokio::test]
async fn a_daemon_that_a_start_script_leaves_behind_is_gone() {
    let name = format!("mark-daemon-{}", std::process::id());
    // In a session of its own, as `nohup setsid` makes it.
    let script = format!(
        "setsid sh -c 'sleep 300; : {name}' </dev/null >/dev/null 2>&1 & sleep 0.3; exit 3"
    );
    let plan = ServerPlan::Process(ProcessPlan {
        command: ["sh", "-c", &script, "{port}"].map(str::to_owned).into(),
        ..process("ready")
    });
    let error = start_quietly(&launch(&plan, "daemon")).await.unwrap_err();
    assert!(matches!(error, LaunchError::Ended { .. }), "{error}");
    assert!(!alive_with(&name));
}

#[tokio::test]
async fn a_server_that_dies_while_it_is_used_is_noticed() {
    let target = start_quietly(&launch(&plan("dies-later"), "process"))
        .await
        .unwrap();
    tokio::time::timeout(READY_TIMEOUT, target.ended().cancelled())
        .await
        .unwrap();
    let death = target.death().unwrap().to_string();
    assert!(death.starts_with("the server ended with exit code 7 during the measurement"));
    target.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_start_ends_at_once_and_leaves_no_process() {
    let process = unique("never-ready");
    let plan = ServerPlan::Process(process.clone());
    let began = Instant::now();
    let error = start_and_cancel(&launch(&plan, "process"))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Interrupted);
    assert!(began.elapsed() < READY_TIMEOUT / 2);
    assert!(!alive_with(mark(&process)));
}

#[tokio::test]
async fn a_dropped_target_leaves_no_process() {
    let process = unique("ready");
    let plan = ServerPlan::Process(process.clone());
    let used = tokio::spawn(async move {
        let _target = start_quietly(&launch(&plan, "process")).await.unwrap();
        panic!("a bug in whoever uses the target");
    });
    assert!(used.await.is_err());
    assert!(!alive_with(mark(&process)));
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let plan = ServerPlan::Process(ProcessPlan {
        command: ["no-such-program", "{port}"].map(str::to_owned).into(),
        ..process("ready")
    });
    let error = start_quietly(&launch(&plan, "process")).await.unwrap_err();
    insta::assert_snapshot!(error, @"cannot run `no-such-program`: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_url_is_attached_to_and_left_running() {
    assert!(Path::new(SCRIPT).exists());
    let plan = plan("ready");
    let server = start_quietly(&launch(&plan, "process")).await.unwrap();
    let url = ServerPlan::Url(ServerUrl::parse(&format!("{}/", server.base_url())).unwrap());
    let attached = start_quietly(&launch(&url, "url")).await.unwrap();
    assert_eq!(attached.base_url(), server.base_url());
    assert_eq!(attached.startup(), None);
    assert_eq!(attached.identity().kind.as_deref(), Some("url"));
    assert_eq!(attached.identity().version.as_deref(), Some("0.32.0"));
    attached.stop().await.unwrap();
    assert!(server.death().is_none());
    server.stop().await.unwrap();
}
