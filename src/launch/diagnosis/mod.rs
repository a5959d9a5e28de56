//! Why a server did not start, from the log of vLLM and of the tools around it.

mod causes;
mod traceback;

use causes::{
    CAUSES, GPU_START, ILLEGAL_INSTRUCTION, KILLED, MAIN_MEMORY, NO_GPU, NO_PROGRAM, SHARED_MEMORY,
};
use traceback::{Exception, Line};

use super::cause::Cause;
use super::fault::{Exit, Fault};

/// Longest quoted reason, in characters.
const LONGEST_QUOTE: usize = 400;

/// How many reasons of one pydantic error are quoted.
const MAX_REASONS: usize = 3;

/// vLLM reports the signal that ended one of its processes: `Failed core proc(s): {'EngineCore': -9}`.
const FAILED_CORES: &str = "Failed core proc(s): {";

/// A diagnosis.
#[derive(Clone, Debug)]
pub(super) struct Found {
    cause: Option<&'static Cause>,
    /// The line of the log that contains the reason.
    pub(super) quote: Option<String>,
}

impl Found {
    fn of(cause: &'static Cause) -> Self {
        Self {
            cause: Some(cause),
            quote: None,
        }
    }

    fn in_line(cause: &'static Cause, line: &str) -> Self {
        Self {
            cause: Some(cause),
            quote: Some(shortened(Line::of(line).body)),
        }
    }

    /// A missing GPU is a consequence of what the GPU's libraries warned of.
    fn or_why_no_gpu(self, log: &[String]) -> Self {
        if !self
            .cause
            .is_some_and(|cause| std::ptr::eq(cause, &raw const NO_GPU))
        {
            return self;
        }
        let warned = |line: &String| {
            let cause = GPU_START.iter().find(|cause| cause.is_in(line))?;
            Some(Self::in_line(cause, line))
        };
        log.iter().rev().find_map(warned).unwrap_or(self)
    }

    /// Who has to act; the server if the cause is unknown.
    pub(super) fn fault(&self) -> Fault {
        self.cause.map_or(Fault::Target, |cause| cause.fault)
    }

    /// What to do, if the cause is known.
    pub(super) fn hint(&self) -> Option<&'static str> {
        self.cause.map(|cause| cause.hint)
    }
}

/// Why a server ended or does not become ready: the exception that ended the process that failed first, else its exit
/// code or signal, else a line with the text of a known cause.
pub(super) fn find(exit: Option<&Exit>, log: &[String]) -> Option<Found> {
    if exit.is_some_and(|exit| exit.out_of_memory) {
        return Some(Found::of(&MAIN_MEMORY));
    }
    let by_end = exit.and_then(of_end);
    // A signal that a program raises itself (SIGILL, SIGBUS) is not the consequence of an exception.
    if let Some(cause) = by_end.filter(|cause| cause.is_by_signal) {
        return Some(Found {
            cause: Some(cause),
            quote: of_lines(log, &[cause]).and_then(|found| found.quote),
        });
    }
    let exceptions = traceback::fatal(log);
    of_exceptions(&exceptions)
        .or_else(|| of_signal_of_core(log))
        .or_else(|| of_lines(log, &known()))
        .map(|found| found.or_why_no_gpu(log))
        .or_else(|| by_end.map(Found::of))
        .or_else(|| {
            // The cause is unknown, but the reason is quoted.
            let quote = exceptions.first().map(quoted)?;
            Some(Found {
                cause: None,
                quote: Some(quote),
            })
        })
}

/// All causes. The first match wins, so a cause is listed before its consequences.
fn known() -> Vec<&'static Cause> {
    [&SHARED_MEMORY]
        .into_iter()
        .chain(&GPU_START)
        .chain(&CAUSES)
        .chain([&NO_GPU, &MAIN_MEMORY, &ILLEGAL_INSTRUCTION, &NO_PROGRAM])
        .collect()
}

/// A known cause among the exceptions; the one that ended the process goes first.
fn of_exceptions(exceptions: &[Exception<'_>]) -> Option<Found> {
    exceptions.iter().find_map(|exception| {
        let line_of = |cause: &Cause| exception.message.iter().position(|line| cause.is_in(line));
        let (cause, line) = known()
            .into_iter()
            .find_map(|cause| Some((cause, line_of(cause)?)))?;
        let quote = if line == 0 || is_list(exception) {
            quoted(exception)
        } else {
            shortened(exception.message[line])
        };
        Some(Found {
            quote: Some(quote),
            ..Found::of(cause)
        })
    })
}

/// Lines outside tracebacks and without a harmless level. The last known one counts: the server survived the earlier ones.
fn of_lines(log: &[String], causes: &[&'static Cause]) -> Option<Found> {
    let handled = traceback::lines_of_tracebacks(log);
    let lines = log.iter().enumerate().rev();
    let mut telling = lines
        .filter(|(at, line)| !handled.contains(at) && !Line::is_harmless(line))
        .map(|(_, line)| line);
    telling.find_map(|line| {
        let cause = causes.iter().find(|cause| cause.is_in(line))?;
        Some(Found::in_line(cause, line))
    })
}

/// A process of the engine that was ended by a signal, as the API server reports it.
fn of_signal_of_core(log: &[String]) -> Option<Found> {
    let line = log.iter().rev().find(|line| line.contains(FAILED_CORES))?;
    let (_, codes) = line.split_once(FAILED_CORES)?;
    let signals = codes.split('-').skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    let cause = signals.into_iter().find_map(|signal| {
        of_end(&Exit {
            signal: Some(signal),
            ..Exit::default()
        })
    })?;
    Some(Found::in_line(cause, line))
}

/// The cause that the exit code or the signal alone shows.
fn of_end(exit: &Exit) -> Option<&'static Cause> {
    // Shells and init processes report 128 plus the signal; 4 is SIGILL, 7 SIGBUS, 9 SIGKILL.
    match (exit.code, exit.signal) {
        (Some(132), _) | (_, Some(4)) => Some(&ILLEGAL_INSTRUCTION),
        (Some(135), _) | (_, Some(7)) => Some(&SHARED_MEMORY),
        (Some(137), _) | (_, Some(9)) => Some(&KILLED),
        (Some(126 | 127), _) => Some(&NO_PROGRAM),
        (_, _) => None,
    }
}

/// Whether it is a pydantic error, which lists its reasons.
fn is_list(exception: &Exception<'_>) -> bool {
    let first = exception.message.first();
    let texts = ["validation error for ", "validation errors for "];
    first.is_some_and(|first| texts.iter().any(|text| first.contains(text)))
}

/// The line of an exception that contains the reason. For pydantic: the lines that follow, with the field's name.
fn quoted(exception: &Exception<'_>) -> String {
    let Some((first, more)) = exception.message.split_first() else {
        return String::new();
    };
    if !is_list(exception) {
        return shortened(first);
    }
    let mut reasons = Vec::new();
    let mut field = None;
    for line in more {
        let text = line.split(" [type=").next().unwrap_or_default().trim();
        if !line.starts_with([' ', '\t']) {
            field = Some(text);
        } else if !text.is_empty() && !text.starts_with("For further information") {
            reasons.push(match field.take() {
                Some(field) => format!("{field}: {text}"),
                None => text.to_owned(),
            });
        }
    }
    reasons.truncate(MAX_REASONS);
    if reasons.is_empty() {
        return shortened(first);
    }
    shortened(&reasons.join("; "))
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= LONGEST_QUOTE {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logs of real failed starts: vLLM 0.32 on the CPU, in a container.
    const SHARED: &str = include_str!("../../../tests/fixtures/start-failures/shared-memory.log");
    const ARGUMENT: &str =
        include_str!("../../../tests/fixtures/start-failures/unknown-argument.log");
    const OFFLINE: &str =
        include_str!("../../../tests/fixtures/start-failures/model-not-in-cache.log");
    const KILLED: &str = include_str!("../../../tests/fixtures/start-failures/out-of-memory.log");

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn exit(code: i64) -> Exit {
        Exit {
            code: Some(code),
            ..Exit::default()
        }
    }

    #[test]
    fn real_logs_name_their_cause() {
        let shared = lines(SHARED);
        let found = find(Some(&exit(1)), &shared).unwrap();
        assert!(found.hint().unwrap().contains("shm_size"));
        assert_eq!(found.fault(), Fault::Configuration);
        assert!(
            found
                .quote
                .unwrap()
                .contains("160 MiB required, 64 MiB free")
        );

        let argument = lines(ARGUMENT);
        let found = find(Some(&exit(2)), &argument).unwrap();
        assert_eq!(found.fault(), Fault::Configuration);
        assert!(found.quote.unwrap().contains("--no-such-flag"));

        let offline = lines(OFFLINE);
        let found = find(Some(&exit(1)), &offline).unwrap();
        assert_eq!(found.fault(), Fault::Environment);
        assert!(found.hint().unwrap().contains("hf_cache"));

        let killed = Exit {
            out_of_memory: true,
            ..exit(137)
        };
        let log = lines(KILLED);
        let found = find(Some(&killed), &log).unwrap();
        assert!(found.hint().unwrap().contains("server.docker.memory"));
        assert_eq!(found.fault(), Fault::Target);
    }

    #[test]
    fn the_cause_is_found_among_its_consequences() {
        let log = [
            "(EngineCore_DP0 pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.".to_owned(),
            "RuntimeError: Engine core initialization failed. See root cause above.".to_owned(),
        ];
        let found = find(None, &log).unwrap();
        assert_eq!(found.fault(), Fault::Target);
    }

    fn names(line: &str, fault: Fault, hint: &str) {
        let found = find(Some(&exit(1)), &[line.to_owned()]).unwrap();
        assert_eq!(found.fault(), fault, "{line}");
        let given = found.hint().unwrap();
        assert!(given.contains(hint), "{line}: {given}");
    }

    #[test]
    fn models_and_settings_that_do_not_fit_name_what_to_change() {
        for (line, fault, hint) in [
            (
                "RuntimeError: Data processing error: File reconstruction error: IO Error: No space left on device (os error 28)",
                Fault::Environment,
                "disk space",
            ),
            (
                "  Value error, Invalid repository ID or local directory specified: '/models/x'.",
                Fault::Configuration,
                "server.docker.volumes",
            ),
            (
                "ValueError: World size (8) is larger than the number of available GPUs (1) in this node.",
                Fault::Configuration,
                "tensor_parallel_size",
            ),
            (
                "  Value error, Model architectures ['X'] are not supported for now. Supported architectures: dict_keys([])",
                Fault::Configuration,
                "newer image",
            ),
            (
                "Please pass the argument `trust_remote_code=True` to allow custom code to be run.",
                Fault::Configuration,
                "trust_remote_code: true",
            ),
            (
                "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata",
                Fault::Environment,
                "incomplete",
            ),
        ] {
            names(line, fault, hint);
        }
    }

    #[test]
    fn the_printed_text_decides_who_must_act() {
        for (line, fault, hint) in [
            (
                "RuntimeError: unable to mmap 1024 bytes from file </torch_1>: insufficient shared memory (shm)",
                Fault::Configuration,
                "shm_size",
            ),
            (
                "OSError: [Errno 28] No space left on device: '/psm_ab12'",
                Fault::Configuration,
                "shm_size",
            ),
            (
                "OSError: [Errno 28] No space left on device",
                Fault::Environment,
                "disk space",
            ),
            (
                "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
                Fault::Environment,
                "container has no GPU",
            ),
            (
                "RuntimeError: No CUDA GPUs are available",
                Fault::Environment,
                "container has no GPU",
            ),
            (
                "RuntimeError: Failed to infer device type",
                Fault::Environment,
                "container has no GPU",
            ),
            (
                "CUDA error: no kernel image is available for execution on the device",
                Fault::Configuration,
                "another image",
            ),
            (
                "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.",
                Fault::Configuration,
                "--dtype half",
            ),
            (
                "RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
                Fault::Environment,
                "newer GPU driver",
            ),
            (
                "OSError: m/x is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
                Fault::Configuration,
                "model's name",
            ),
            (
                "OSError: [Errno 98] Address already in use",
                Fault::Environment,
                "port",
            ),
        ] {
            names(line, fault, hint);
        }
    }

    #[test]
    fn a_missing_gpu_is_explained_by_an_earlier_warning() {
        let end = "(APIServer pid=1) Traceback (most recent call last):\n(APIServer pid=1) RuntimeError: Failed to infer device type";
        for (warned, hint) in [
            (
                "Error 804: forward compatibility was attempted on non supported HW",
                "newer driver",
            ),
            ("Error 802: system not yet initialized", "fabric manager"),
            (
                "The NVIDIA driver on your system is too old (found version 11040).",
                "newer GPU driver",
            ),
        ] {
            let log = lines(&format!(
                "/x/torch/cuda/__init__.py:174: UserWarning: CUDA initialization: {warned} (Triggered internally)\n{end}"
            ));
            let found = find(Some(&exit(1)), &log).unwrap();
            assert!(found.hint().unwrap().contains(hint), "{warned}");
            assert!(found.quote.unwrap().contains(warned));
        }
        let found = find(Some(&exit(1)), &lines(end)).unwrap();
        assert!(found.hint().unwrap().contains("container has no GPU"));
    }

    #[test]
    fn the_last_line_of_an_nccl_error_is_its_reason() {
        let core = |text: &str| {
            format!("(EngineCore_DP0 pid=9) ERROR 11-30 14:00:00 [core.py:700] {text}\n")
        };
        let log: String = [
            "Traceback (most recent call last):",
            "  File \"core.py\", line 1, in run",
            "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:94, unhandled system error, NCCL version 2.27.3",
            "ncclSystemError: System call or external library call failed or device error.",
            "Last error:",
            "Error while creating shared memory segment /dev/shm/nccl-0 (size 9637888), error: No space left on device (28)",
        ]
        .into_iter()
        .map(core)
        .collect();
        let found = find(Some(&exit(1)), &lines(&log)).unwrap();
        assert!(found.hint().unwrap().contains("shm_size"));
        assert_eq!(found.fault(), Fault::Configuration);
        assert!(found.quote.unwrap().starts_with("Error while creating"));
    }

    #[test]
    fn an_end_without_output_is_known_by_its_code_or_signal() {
        let hint = |exit: Exit| find(Some(&exit), &[]).and_then(|found| found.hint());
        assert!(hint(exit(135)).unwrap().contains("shm_size"));
        assert!(hint(exit(137)).unwrap().contains("memory"));
        assert!(hint(exit(127)).unwrap().contains("entrypoint"));
        assert!(hint(exit(3)).is_none());
        let bus = Exit {
            signal: Some(7),
            ..Exit::default()
        };
        assert!(hint(bus).unwrap().contains("shm_size"));
    }

    #[test]
    fn an_unknown_log_has_no_cause() {
        assert!(find(Some(&exit(1)), &["RuntimeError: something else".to_owned()]).is_none());
    }
}
