//! What vLLM and its surroundings print when they cannot start, and what it means.

use super::error::Fault;

/// A known cause of a failed start.
#[derive(Debug)]
pub(super) struct Cause {
    text: &'static str,
    pub(super) fault: Fault,
    pub(super) hint: &'static str,
}

const fn cause(text: &'static str, fault: Fault, hint: &'static str) -> Cause {
    Cause { text, fault, hint }
}

/// Texts as vLLM 0.6 to 0.33, `PyTorch`, Hugging Face Hub and the NVIDIA container hook print them. The first that is
/// found wins, so a cause stands before its consequences.
static CAUSES: [Cause; 13] = [
    cause(
        "on startup is less than desired GPU memory utilization",
        Fault::Surroundings,
        "another process holds GPU memory (nvidia-smi shows which); end it, or lower --gpu-memory-utilization",
    ),
    cause(
        "Error in memory profiling",
        Fault::Surroundings,
        "another process let go of GPU memory while the server measured it; run again on a GPU of its own",
    ),
    cause(
        "No available memory for the cache blocks",
        Fault::Target,
        "the model leaves no room for the KV cache: more memory is used than before, or the GPU is too small",
    ),
    cause(
        "larger than the available KV cache memory",
        Fault::Target,
        "the KV cache is too small for --max-model-len: more memory is used than before, or lower --max-model-len",
    ),
    cause(
        "CUDA out of memory",
        Fault::Target,
        "the server ran out of GPU memory; lower --gpu-memory-utilization or --max-num-seqs",
    ),
    cause(
        "GatedRepoError",
        Fault::Configuration,
        "accept the model's licence, and pass a token: server.docker.env: [HF_TOKEN]",
    ),
    cause(
        "Cannot access gated repo",
        Fault::Configuration,
        "accept the model's licence, and pass a token: server.docker.env: [HF_TOKEN]",
    ),
    cause(
        "RepositoryNotFoundError",
        Fault::Configuration,
        "check the model's name; a private model needs server.docker.env: [HF_TOKEN]",
    ),
    cause(
        "LocalEntryNotFoundError",
        Fault::Surroundings,
        "the model is not in the cache and the hub cannot be reached; mount a cache with the model (server.docker.volumes)",
    ),
    cause(
        "please update your driver",
        Fault::Surroundings,
        "the image needs a newer GPU driver than this machine has",
    ),
    cause(
        "CUDA driver version is insufficient",
        Fault::Surroundings,
        "the image needs a newer GPU driver than this machine has",
    ),
    cause(
        "No space left on device",
        Fault::Surroundings,
        "free disk space where the container engine and the model cache live",
    ),
    cause(
        "Address already in use",
        Fault::Surroundings,
        "another server listens on the port; let perfgate choose it with {port}",
    ),
];

/// The cause that a log names, if it names a known one.
pub(super) fn find(log: &[String]) -> Option<&'static Cause> {
    CAUSES
        .iter()
        .find(|cause| log.iter().any(|line| line.contains(cause.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_among_its_consequences() {
        let log = [
            "(EngineCore_DP0 pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.".to_owned(),
            "RuntimeError: Engine core initialization failed. See root cause above.".to_owned(),
        ];
        assert_eq!(find(&log).map(|cause| cause.fault), Some(Fault::Target));
    }

    #[test]
    fn an_unknown_log_has_no_cause() {
        assert!(find(&["RuntimeError: something else".to_owned()]).is_none());
    }
}
