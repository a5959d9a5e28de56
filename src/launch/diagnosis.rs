//! What vLLM and its surroundings print when they cannot start, and what it means.

use super::error::{Exit, Fault};

/// A known cause of a failed start.
#[derive(Debug)]
pub(super) struct Cause {
    texts: &'static [&'static str],
    pub(super) fault: Fault,
    pub(super) hint: &'static str,
}

const fn cause(texts: &'static [&'static str], fault: Fault, hint: &'static str) -> Cause {
    Cause { texts, fault, hint }
}

/// A cause that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) cause: &'static Cause,
    /// The line of the log that names it.
    pub(super) line: Option<&'a str>,
}

/// vLLM's processes talk through `/dev/shm`; writing where there is no room ends a process with SIGBUS.
static SHARED_MEMORY: Cause = cause(
    &[
        "Insufficient space in /dev/shm",
        "No space left on device: '/dev/shm",
        "No space left on device: '/psm_",
        "unable to allocate shared memory",
        "insufficient shared memory",
        "Error while creating shared memory segment",
        "Bus error",
        "SIGBUS",
    ],
    Fault::Configuration,
    "the container has too little shared memory: raise server.docker.shm_size, for example `shm_size: 8GiB`",
);

static NO_PROGRAM: Cause = cause(
    &[
        "is not an executable",
        ": command not found",
        "can't open file",
        "No module named vllm",
    ],
    Fault::Configuration,
    "the entry point starts something else than a server: set server.docker.entrypoint, for example [vllm, serve]",
);

static MAIN_MEMORY: Cause = cause(
    &[
        "DefaultCPUAllocator: can't allocate memory",
        "Cannot allocate memory",
    ],
    Fault::Target,
    "main memory ran out: raise server.docker.memory, or give the machine more",
);

static KILLED: Cause = cause(
    &[],
    Fault::Target,
    "something killed it, mostly the kernel where main memory runs out (`dmesg` says so): give it more, or see who did",
);

/// Texts as vLLM 0.6 to 0.33, `PyTorch`, Hugging Face Hub and the NVIDIA container hook print them. The first that is
/// found wins, so a cause stands before its consequences.
static CAUSES: [Cause; 19] = [
    cause(
        &["on startup is less than desired GPU memory utilization"],
        Fault::Surroundings,
        "another process holds GPU memory (nvidia-smi shows which); end it, or lower --gpu-memory-utilization",
    ),
    cause(
        &["Error in memory profiling"],
        Fault::Surroundings,
        "another process let go of GPU memory while the server measured it; run again on a GPU of its own",
    ),
    cause(
        &["No available memory for the cache blocks"],
        Fault::Target,
        "the model leaves no room for the KV cache: more memory is used than before, or the GPU is too small",
    ),
    cause(
        &["larger than the available KV cache memory"],
        Fault::Target,
        "the KV cache is too small for --max-model-len: more memory is used than before, or lower --max-model-len",
    ),
    cause(
        &[
            "CUDA out of memory",
            "CUDA error: out of memory",
            "HIP out of memory",
        ],
        Fault::Target,
        "the server ran out of GPU memory; lower --gpu-memory-utilization or --max-num-seqs",
    ),
    cause(
        &[
            "GatedRepoError",
            "Cannot access gated repo",
            "You are trying to access a gated repo",
        ],
        Fault::Configuration,
        "accept the model's licence, and pass a token: server.docker.env: [HF_TOKEN]",
    ),
    cause(
        &[
            "RepositoryNotFoundError",
            "is not a local folder and is not a valid model identifier",
        ],
        Fault::Configuration,
        "check the model's name; a private model needs server.docker.env: [HF_TOKEN]",
    ),
    cause(
        &[
            "401 Client Error",
            "Invalid credentials in Authorization header",
        ],
        Fault::Configuration,
        "the hub refuses the token: check HF_TOKEN and server.docker.env",
    ),
    cause(
        &[
            "LocalEntryNotFoundError",
            "OfflineModeIsEnabled",
            "couldn't connect to 'https://huggingface.co'",
        ],
        Fault::Surroundings,
        "the model is not in the cache and the hub cannot be reached; mount a cache with the model (server.docker.hf_cache: true)",
    ),
    cause(
        &["HFValidationError", "Can't load the configuration of"],
        Fault::Configuration,
        "the model is no name and no folder that the server sees: mount its folder (server.docker.volumes), and give the path inside",
    ),
    cause(
        &[
            "please update your driver",
            "CUDA driver version is insufficient",
            "driver on your system is too old",
        ],
        Fault::Surroundings,
        "the image needs a newer GPU driver than this machine has",
    ),
    cause(
        &[
            "no kernel image is available",
            "is not compatible with the current PyTorch installation",
            "Bfloat16 is only supported on GPUs with compute capability",
            "Minimum capability:",
        ],
        Fault::Configuration,
        "the image or the data type does not support this GPU: take another image, or `--dtype half` where it wants bfloat16",
    ),
    cause(
        &[
            "libcuda.so.1: cannot open shared object file",
            "No CUDA GPUs are available",
            "Failed to infer device type",
            "Found no NVIDIA driver on your system",
            "no CUDA-capable device is detected",
        ],
        Fault::Surroundings,
        "there is no GPU in the container: ask for them (server.docker.gpus: all), and check the NVIDIA Container Toolkit: docker run --rm --gpus all ubuntu nvidia-smi",
    ),
    cause(
        &[
            "unrecognized arguments",
            "error: argument ",
            "error: the following arguments are required",
        ],
        Fault::Configuration,
        "this version of the server does not take that argument: check framework.config and server.docker.args",
    ),
    cause(
        &["executable file not found", "exec format error"],
        Fault::Configuration,
        "the image cannot run its entry point here: check server.docker.entrypoint, and that the image is for this machine's processor",
    ),
    cause(
        &["No space left on device", "Disk quota exceeded"],
        Fault::Surroundings,
        "free disk space where the container engine and the model cache live",
    ),
    cause(
        &["Address already in use", "address already in use"],
        Fault::Surroundings,
        "another server listens on the port; let perfgate choose it with {port}",
    ),
    cause(
        &["PermissionError: [Errno 13]"],
        Fault::Configuration,
        "the server may not read or write a file: check the rights of mounted folders, and server.docker.user",
    ),
    cause(
        &["ValidationError: 1 validation error for"],
        Fault::Configuration,
        "the engine does not take a value that it was given: check framework.config and server.docker.args",
    ),
];

/// The cause that the log or the end names, if it is a known one.
pub(super) fn find<'a>(exit: Option<&Exit>, log: &'a [String]) -> Option<Found<'a>> {
    if exit.is_some_and(|exit| exit.out_of_memory) {
        return Some(Found {
            cause: &MAIN_MEMORY,
            line: None,
        });
    }
    let in_log = [&SHARED_MEMORY]
        .into_iter()
        .chain(&CAUSES)
        .chain([&MAIN_MEMORY, &NO_PROGRAM])
        .find_map(|cause| {
            let names_it = |line: &&String| cause.texts.iter().any(|text| line.contains(text));
            let line = log.iter().find(names_it)?;
            Some(Found {
                cause,
                line: Some(line),
            })
        });
    in_log.or_else(|| {
        let exit = exit?;
        let cause = match (exit.code, exit.signal) {
            // 128 and the signal, as shells and init processes pass it on; 7 is SIGBUS, 9 SIGKILL.
            (Some(135), _) | (_, Some(7)) => &SHARED_MEMORY,
            (Some(137), _) | (_, Some(9)) => &KILLED,
            (Some(126 | 127), _) => &NO_PROGRAM,
            (_, _) => return None,
        };
        Some(Found { cause, line: None })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logs of real failed starts: vLLM 0.32 on the CPU, in a container.
    const SHARED: &str = include_str!("../../tests/fixtures/start-failures/shared-memory.log");
    const ARGUMENT: &str = include_str!("../../tests/fixtures/start-failures/unknown-argument.log");
    const OFFLINE: &str =
        include_str!("../../tests/fixtures/start-failures/model-not-in-cache.log");
    const KILLED: &str = include_str!("../../tests/fixtures/start-failures/out-of-memory.log");

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
        assert!(found.cause.hint.contains("shm_size"));
        assert_eq!(found.cause.fault, Fault::Configuration);
        assert!(
            found
                .line
                .unwrap()
                .contains("160 MiB required, 64 MiB free")
        );

        let argument = lines(ARGUMENT);
        let found = find(Some(&exit(2)), &argument).unwrap();
        assert_eq!(found.cause.fault, Fault::Configuration);
        assert!(found.line.unwrap().contains("--no-such-flag"));

        let offline = lines(OFFLINE);
        let found = find(Some(&exit(1)), &offline).unwrap();
        assert_eq!(found.cause.fault, Fault::Surroundings);
        assert!(found.cause.hint.contains("hf_cache"));

        let killed = Exit {
            out_of_memory: true,
            ..exit(137)
        };
        let log = lines(KILLED);
        let found = find(Some(&killed), &log).unwrap();
        assert!(found.cause.hint.contains("server.docker.memory"));
        assert_eq!(found.cause.fault, Fault::Target);
    }

    #[test]
    fn the_cause_is_found_among_its_consequences() {
        let log = [
            "(EngineCore_DP0 pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.".to_owned(),
            "RuntimeError: Engine core initialization failed. See root cause above.".to_owned(),
        ];
        let found = find(None, &log).unwrap();
        assert_eq!(found.cause.fault, Fault::Target);
    }

    #[test]
    fn what_is_printed_decides_who_must_act() {
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
                Fault::Surroundings,
                "disk space",
            ),
            (
                "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
                Fault::Surroundings,
                "no GPU in the container",
            ),
            (
                "RuntimeError: No CUDA GPUs are available",
                Fault::Surroundings,
                "no GPU in the container",
            ),
            (
                "RuntimeError: Failed to infer device type",
                Fault::Surroundings,
                "no GPU in the container",
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
                Fault::Surroundings,
                "newer GPU driver",
            ),
            (
                "OSError: m/x is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
                Fault::Configuration,
                "model's name",
            ),
            (
                "OSError: [Errno 98] Address already in use",
                Fault::Surroundings,
                "port",
            ),
        ] {
            let log = [line.to_owned()];
            let found = find(Some(&exit(1)), &log).unwrap();
            assert_eq!(found.cause.fault, fault, "{line}");
            assert!(
                found.cause.hint.contains(hint),
                "{line}: {}",
                found.cause.hint
            );
        }
    }

    #[test]
    fn an_end_without_words_is_known_by_its_code_or_signal() {
        let hint = |exit: Exit| find(Some(&exit), &[]).map(|found| found.cause.hint);
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
