//! The GPUs that a server may use, and whether they are free.

use std::time::{Duration, Instant};

use super::local_server;
use super::repeat_context::RepeatContext;
use super::run_in_progress::machine_with_gpus;
use super::side::OneRepeat;
use super::visible_gpus::Shown;
use crate::config::{GpuRequest, ServerPlan};
use crate::environment::Environment;
use crate::event::RunEvent;
use crate::failure::Failure;
use crate::launch::Target;
use crate::process_table::ProcessEntry;
use crate::record::format::Gpu;
use crate::telemetry::gpu::reading::Reading;
use crate::telemetry::{self, Looking, Search, Survey, survey};

/// Memory that a driver and a display may use on a free device: 500 MiB.
const IDLE_MEMORY: f64 = 524_288_000.0;

/// How long to wait for the memory of a stopping server.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same without a visible process: there is no process to end, and a stopping server frees its memory
/// sooner.
const PATIENCE_WITHOUT_PROCESS: Duration = Duration::from_secs(10);

/// Interval of checks during the wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Another name or a path for NVML.
const NVML_LIBRARY: &str = "PERFGATE_NVML_LIBRARY";

/// The name of this machine, on Kubernetes that of the node.
const MACHINE: &str = "PERFGATE_MACHINE";

/// What to sample of a server during a measurement.
pub(crate) async fn looking(
    context: &RepeatContext<'_>,
    target: &Target,
    runs_here: bool,
) -> Looking {
    Looking {
        // The GPUs of a remote server are not visible here.
        gpus: runs_here.then(|| search(context.server, context.command.environment)),
        interval: context.plan.telemetry_interval,
        gpu_interval: context.plan.gpu_interval,
        server: target.process_ids().await,
        gpus_matter: uses_gpus(context.server, context.command.environment),
    }
}

/// The GPUs that the server may use; other GPUs of the machine belong to other jobs.
pub(crate) fn search(server: &ServerPlan, environment: &Environment) -> Search {
    let shown = Shown::of(server, environment);
    Search {
        nvml_library: nvml_library(environment),
        devices: shown.nvidia.clone().unwrap_or_default(),
        amd_devices: shown.amd_devices(),
        ..Search::default()
    }
}

/// The name in results of the machine on which a plan's server will run; a remote server is identified by its address. An
/// unidentified machine gets a unique name, so that its evidence is never reused.
pub(crate) async fn machine(server: &ServerPlan, environment: &Environment) -> String {
    if let ServerPlan::Url(url) = server
        && !local_server::is_at(url.as_str())
    {
        return format!("behind {url}");
    }
    let gpus: Vec<Gpu> = if uses_gpus(server, environment) {
        let seen = survey(&search(server, environment)).await;
        seen.gpus.iter().map(|gpu| gpu.facts.described()).collect()
    } else {
        Vec::new()
    };
    let named = telemetry::machine(&gpus, machine_name(environment).as_deref());
    let host = telemetry::environment(None, None).host;
    let machine = named.or(host).unwrap_or_else(|| {
        let now = crate::clock::unix_time().as_nanos();
        format!("unknown at {now}")
    });
    machine_with_gpus(&machine, &gpus)
}

/// The machine name from the user.
pub(crate) fn machine_name(environment: &Environment) -> Option<String> {
    environment(MACHINE)
}

/// The NVML library name from the environment.
pub(crate) fn nvml_library(environment: &Environment) -> Option<std::ffi::OsString> {
    environment(NVML_LIBRARY)
        .filter(|library| !library.is_empty())
        .map(Into::into)
}

/// Whether the state of the GPUs affects the server.
fn uses_gpus(server: &ServerPlan, environment: &Environment) -> bool {
    let shown = Shown::of(server, environment);
    let hidden = shown.nvidia.is_some_and(|shown| shown.is_empty());
    match server {
        ServerPlan::Docker(docker) => {
            !matches!(docker.gpus, GpuRequest::None) || !docker.devices.is_empty()
        }
        ServerPlan::Process(_) => !hidden,
        ServerPlan::Url(_) => true,
        // Without a simulated GPU it represents a server that uses the machine's GPUs.
        ServerPlan::Simulator(options) => {
            !hidden && options.get("gpus").is_some_and(|count| count == "0")
        }
    }
}

/// The number of those GPUs of the machine that the server could use.
pub(crate) fn used(found: &[Gpu], server: &ServerPlan, environment: &Environment) -> usize {
    // A simulator has its own.
    let is_simulated = matches!(server, ServerPlan::Simulator(_));
    if is_simulated || uses_gpus(server, environment) {
        found.len()
    } else {
        0
    }
}

/// Before a server starts: waits until its GPUs are free, because a stopping server frees its memory last.
pub(crate) async fn wait_until_free(repeat: &OneRepeat<'_>) -> Result<(), Failure> {
    let context = repeat.context;
    let is_started = !matches!(context.server, ServerPlan::Url(_));
    if !is_started || !uses_gpus(context.server, context.command.environment) {
        return Ok(());
    }
    let search = search(context.server, context.command.environment);
    let waiting = |reason: &str| {
        context.emit(RunEvent::WaitingForGpu {
            repeat: repeat.label(),
            in_use: reason.to_owned(),
            at_most: PATIENCE,
        });
    };
    let free = free(&search, PATIENCE, &waiting);
    let interrupted = context.command.interrupt.token();
    tokio::select! {
        free = free => {
            if let Some(in_use) = free? {
                context.emit(RunEvent::GpuInUse { in_use });
            }
            Ok(())
        }
        () = interrupted.cancelled() => context.command.interrupt.check(),
    }
}

/// Waits up to a limit. Returns a note for memory without a compute process, such as a display's, because there is no
/// process to end.
async fn free(
    search: &Search,
    patience: Duration,
    waiting: &dyn Fn(&str),
) -> Result<Option<String>, Failure> {
    let began = Instant::now();
    loop {
        let Survey { gpus, .. } = survey(search).await;
        let Some(gpu) = gpus.iter().find(|gpu| is_taken(gpu)) else {
            return Ok(None);
        };
        let reason = in_use(gpu);
        // Under WSL the processes belong to Windows and the driver does not report them.
        let has_no_process = match &gpu.now.processes {
            Some(processes) => processes.is_empty(),
            None => is_wsl(),
        };
        if has_no_process && began.elapsed() >= patience.min(PATIENCE_WITHOUT_PROCESS) {
            return Ok(Some(reason));
        }
        if began.elapsed() >= patience {
            return Err(Failure::environment(reason).hint(
                "end the other process, or select another GPU for the server: measurements beside another job are not valid",
            ));
        }
        waiting(&reason);
        tokio::time::sleep(LOOK_AGAIN.min(patience)).await;
    }
}

/// Whether this is WSL.
fn is_wsl() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .is_ok_and(|release| release.to_ascii_lowercase().contains("microsoft"))
}

fn is_taken(gpu: &Reading) -> bool {
    gpu.now.memory_used.is_some_and(|bytes| bytes > IDLE_MEMORY)
}

/// `GPU 0 has 12.3 GiB in use by process 4711 (python3)`.
fn in_use(gpu: &Reading) -> String {
    let bytes = gpu.now.memory_used.unwrap_or_default();
    let processes = gpu.now.processes.iter().flatten();
    let named: Vec<String> = processes
        .map(|process| {
            let name = ProcessEntry::name_of(process.id);
            let name = name.map_or(String::new(), |name| format!(" ({name})"));
            format!("process {}{name}", process.id)
        })
        .collect();
    let by = if named.is_empty() {
        String::new()
    } else {
        format!(" by {}", named.join(", "))
    };
    format!(
        "{} has {:.1} GiB in use{by}",
        gpu.facts.label(),
        bytes / f64::from(1 << 30)
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::exit::ExitStatus;

    fn stub(folder: &Path, script: &str) -> Search {
        let program = folder.join("smi");
        crate::files::write_atomically(&program, format!("#!/bin/sh\n{script}\n").as_bytes())
            .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Search {
            nvml_library: Some("libno-such-ml.so.9".into()),
            nvidia_smi: program,
            ..Search::default()
        }
    }

    fn line(used: &str) -> String {
        format!(
            "echo '0, GPU-0, NVIDIA L4, 23034, {used}, 0, 300, 405, 2040, 6251, 30, 72, 72, 40, 0x1, Enabled, 0, Enabled, [N/A], 8.9, 95, 550.1, 4, 4, 16, 16'"
        )
    }

    async fn free_of(search: &Search) -> (Result<Option<String>, Failure>, Vec<String>) {
        let reasons = RefCell::new(Vec::new());
        let waiting = |reason: &str| reasons.borrow_mut().push(reason.to_owned());
        let free = free(search, Duration::from_millis(300), &waiting).await;
        (free, reasons.take())
    }

    #[tokio::test]
    async fn a_gpu_in_use_is_an_error_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "case \"$1\" in --query-gpu*) {};; *) echo 'GPU-0, 4000007, 12000';; esac",
            line("12288")
        );
        let (free, reasons) = free_of(&stub(folder.path(), &script)).await;
        let failure = free.unwrap_err();
        assert_eq!(failure.status, ExitStatus::EnvironmentFailed);
        assert_eq!(
            failure.error.to_string(),
            "GPU 0 has 12.0 GiB in use by process 4000007"
        );
        assert!(!reasons.is_empty());
    }

    #[tokio::test]
    async fn a_stopping_server_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "case \"$1\" in --query-gpu*) if mkdir {}; then {}; else {}; fi;; *) :;; esac",
            folder.path().join("once").display(),
            line("12288"),
            line("3")
        );
        let (free, reasons) = free_of(&stub(folder.path(), &script)).await;
        assert_eq!(free.unwrap(), None);
        assert_eq!(reasons, ["GPU 0 has 12.0 GiB in use"]);
    }

    #[test]
    fn gpus_of_the_machine_that_are_hidden_from_the_server_are_not_used() {
        let found = [Gpu::default(), Gpu::default()];
        let counted = |server: &str| {
            let text = format!("model: m\nserver: {server}\n");
            let plan = crate::config::read_plan("p", &text).unwrap();
            used(&found, plan.server.as_ref().unwrap(), &|_| None)
        };
        let command = "command: [serve, \"{port}\"]";
        assert_eq!(counted(&format!("{{process: {{{command}}}}}")), 2);
        let hidden = format!("{{process: {{{command}, env: {{CUDA_VISIBLE_DEVICES: '-1'}}}}}}");
        assert_eq!(counted(&hidden), 0);
        assert_eq!(counted("{docker: {image: a, gpus: none}}"), 0);
        assert_eq!(counted("{simulator: {}}"), 2);
    }

    #[tokio::test]
    async fn memory_of_a_display_is_not_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("case \"$1\" in --query-gpu*) {};; *) :;; esac", line("900"));
        let (free, _) = free_of(&stub(folder.path(), &script)).await;
        assert_eq!(free.unwrap().as_deref(), Some("GPU 0 has 0.9 GiB in use"));
    }
}
