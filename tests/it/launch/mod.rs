//! Starting, waiting for and removing servers: real processes, real containers.

mod container;
mod container_runs;
mod container_spec;
pub(crate) mod image;
mod process;
mod pull;
mod vllm;

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use perfgate::config::{Headers, ServerPlan};
use perfgate::launch::{Launch, LaunchError, Phase, Target, start};
use tokio_util::sync::CancellationToken;

/// Long enough for a slow machine, short enough not to hang.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

static NO_HEADERS: LazyLock<Headers> = LazyLock::new(Headers::default);

fn launch<'a>(plan: &'a ServerPlan, run_id: &'a str) -> Launch<'a> {
    Launch {
        plan,
        model: "tiny-llm",
        served_model_name: "tiny-llm",
        engine_args: &[],
        run_id,
        ordinal: 0,
        log_file: None,
        api_key: None,
        headers: &NO_HEADERS,
        environment: &|name| std::env::var_os(name).and_then(|value| value.into_string().ok()),
        stop_grace: Duration::from_secs(5),
        own_program: std::path::Path::new(env!("CARGO_BIN_EXE_perfgate")),
    }
}

async fn start_quietly(launch: &Launch<'_>) -> Result<Target, LaunchError> {
    start(launch, &|_| {}, &CancellationToken::new()).await
}

/// Starts, and cancels as soon as the server is being waited for.
async fn start_and_cancel(launch: &Launch<'_>) -> Result<Target, LaunchError> {
    let cancel = CancellationToken::new();
    let phases = Mutex::new(Vec::new());
    let progress = |phase: Phase| {
        if phase == Phase::Loading {
            let cancel = cancel.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                cancel.cancel();
            });
        }
        phases.lock().unwrap().push(phase);
    };
    let ended = start(launch, &progress, &cancel).await;
    assert_eq!(*phases.lock().unwrap(), [Phase::Starting, Phase::Loading]);
    ended
}
