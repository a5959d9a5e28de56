//! Known causes of a failed start, found by texts in the log. Pure.

use super::super::cause::{Cause, cause};
use super::super::fault::Fault;

/// vLLM's processes communicate through `/dev/shm`; a write to a full `/dev/shm` ends a process with SIGBUS.
pub(super) static SHARED_MEMORY: Cause = Cause {
    is_by_signal: true,
    ..cause(
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
    )
};

pub(super) static NO_PROGRAM: Cause = cause(
    &[
        "is not an executable",
        ": command not found",
        "can't open file",
        "No module named vllm",
    ],
    Fault::Configuration,
    "the entry point starts a program other than a server: set server.docker.entrypoint, for example [vllm, serve]",
);

pub(super) static MAIN_MEMORY: Cause = cause(
    &[
        "DefaultCPUAllocator: can't allocate memory",
        "Cannot allocate memory",
    ],
    Fault::Target,
    "the machine ran out of main memory: raise server.docker.memory, or use a machine with more memory",
);

pub(super) static KILLED: Cause = cause(
    &[],
    Fault::Target,
    "the server was killed, most likely by the kernel because main memory ran out (`dmesg` shows it): give it more memory, or find the process that killed it",
);

/// A consequence, if the GPU's libraries printed earlier why they do not start.
pub(super) static NO_GPU: Cause = cause(
    &[
        "libcuda.so.1: cannot open shared object file",
        "No CUDA GPUs are available",
        "Failed to infer device type",
        "Found no NVIDIA driver on your system",
        "no CUDA-capable device is detected",
    ],
    Fault::Environment,
    "the container has no GPU: request GPUs (server.docker.gpus: all), and check the NVIDIA Container Toolkit: docker run --rm --gpus all ubuntu nvidia-smi",
);

/// Why the GPU's libraries do not start. `PyTorch` prints only a warning, and vLLM then finds no GPU.
pub(super) static GPU_START: [Cause; 5] = [
    cause(
        &[
            "Error 802",
            "CUDA error: system not yet initialized",
            "cudaErrorSystemNotReady",
        ],
        Fault::Environment,
        "the GPUs of this machine are not initialized: start the fabric manager (sudo systemctl start nvidia-fabricmanager); its version must match the driver",
    ),
    cause(
        &[
            "Error 803",
            "unsupported display driver / cuda driver combination",
            "cudaErrorSystemDriverMismatch",
        ],
        Fault::Environment,
        "the CUDA libraries do not match the driver: reboot after a driver update; in a container, remove the image's own libcuda (cuda-compat) from LD_LIBRARY_PATH",
    ),
    cause(
        &[
            "Error 804",
            "forward compatibility was attempted on non supported HW",
            "cudaErrorCompatNotSupportedOnDevice",
        ],
        Fault::Environment,
        "the image needs a newer CUDA than the driver supports, and this GPU has no forward compatibility: install a newer driver, or use an image for an older CUDA",
    ),
    cause(
        &[
            "CUDA unknown error",
            "CUDA error: unknown error",
            "Error 999",
        ],
        Fault::Environment,
        "the driver does not start: run sudo modprobe nvidia_uvm, or reboot; dmesg shows the reason",
    ),
    cause(
        &[
            "please update your driver",
            "CUDA driver version is insufficient",
            "driver on your system is too old",
        ],
        Fault::Environment,
        "the image needs a newer GPU driver than this machine has",
    ),
];

/// Texts of vLLM 0.6 to 0.33, `PyTorch`, Hugging Face Hub and the NVIDIA container hook. The first match wins, so a
/// cause is listed before its consequences.
pub(super) static CAUSES: [Cause; 29] = [
    cause(
        &["on startup is less than desired GPU memory utilization"],
        Fault::Environment,
        "another process holds GPU memory (nvidia-smi shows which one): end it, or lower --gpu-memory-utilization",
    ),
    cause(
        &["Error in memory profiling"],
        Fault::Environment,
        "another process freed GPU memory while the server measured it: run again on a GPU without other processes",
    ),
    cause(
        &["No available memory for the cache blocks"],
        Fault::Target,
        "the model leaves no memory for the KV cache: the server uses more memory than before, or the GPU is too small",
    ),
    cause(
        &["larger than the available KV cache memory"],
        Fault::Target,
        "the KV cache is too small for --max-model-len: the server uses more memory than before, or lower --max-model-len",
    ),
    cause(
        &[
            "CUDA out of memory",
            "CUDA error: out of memory",
            "HIP out of memory",
        ],
        Fault::Target,
        "the server ran out of GPU memory: lower --gpu-memory-utilization or --max-num-seqs",
    ),
    cause(
        &[
            "429 Too Many Requests",
            "429 Client Error",
            "Too Many Requests for url",
            "We had to rate limit",
        ],
        Fault::Environment,
        "the hub limits the request rate: wait, pass a token (server.docker.env: [HF_TOKEN]), or mount a cache that contains the model (server.docker.hf_cache: true)",
    ),
    cause(
        &["No space left on device", "Disk quota exceeded"],
        Fault::Environment,
        "free disk space for the container engine and the model cache",
    ),
    cause(
        &[
            "CAS service error",
            "Data processing error: ",
            "cas-server.xethub",
            "hf_xet",
        ],
        Fault::Environment,
        "the download through Xet storage failed: check that this machine reaches the hub, or pass HF_HUB_DISABLE_XET=1 (server.docker.env) to download without Xet",
    ),
    cause(
        &[
            "GatedRepoError",
            "Cannot access gated repo",
            "You are trying to access a gated repo",
            "you are not in the authorized list",
        ],
        Fault::Configuration,
        "accept the model's licence, and pass a token: server.docker.env: [HF_TOKEN]",
    ),
    cause(
        &["403 Client Error", "'403 Forbidden'", "403 Forbidden"],
        Fault::Configuration,
        "the hub denies access: accept the model's licence, and give the token read access to the model (a fine-grained token must list it)",
    ),
    cause(
        &[
            "401 Client Error",
            "401 Unauthorized",
            "Invalid credentials in Authorization header",
            "Invalid username or password",
            "Invalid user token",
        ],
        Fault::Configuration,
        "the hub rejects the token: check HF_TOKEN and server.docker.env",
    ),
    cause(
        &[
            "RepositoryNotFoundError",
            "is not a local folder and is not a valid model identifier",
        ],
        Fault::Configuration,
        "check the model's name; a private model also needs server.docker.env: [HF_TOKEN]",
    ),
    cause(
        &[
            "LocalEntryNotFoundError",
            "OfflineModeIsEnabled",
            "couldn't connect to 'https://huggingface.co'",
        ],
        Fault::Environment,
        "the cache does not contain the model and the hub cannot be reached: mount a cache that contains the model (server.docker.hf_cache: true)",
    ),
    cause(
        &[
            "HFValidationError",
            "Can't load the configuration of",
            "Invalid repository ID or local directory specified",
        ],
        Fault::Configuration,
        "the server finds neither a model nor a folder of that name: mount the model's folder (server.docker.volumes), and use its path inside the container",
    ),
    cause(
        &[
            "no kernel image is available",
            "is not compatible with the current PyTorch installation",
            "Bfloat16 is only supported on GPUs with compute capability",
            "Minimum capability:",
            "Minimum required capability",
            "not supported for the current GPU",
            "HIP error: invalid device function",
            "hipErrorNoBinaryForGpu",
        ],
        Fault::Configuration,
        "the image or the data type does not support this GPU: use another image, `--dtype half` if the model needs bfloat16, or another quantization",
    ),
    cause(
        &[
            "CUDA error: invalid device ordinal",
            "HIP error: invalid device ordinal",
            "larger than the number of available GPUs",
        ],
        Fault::Configuration,
        "the server needs more GPUs than it can see: lower tensor_parallel_size, or pass more GPUs (server.docker.gpus, CUDA_VISIBLE_DEVICES)",
    ),
    cause(
        &[
            "No HIP GPUs are available",
            "no ROCm-capable device is detected",
            "HIP error: no ROCm",
        ],
        Fault::Environment,
        "the container has no AMD GPU: pass /dev/kfd and /dev/dri, and run as a user in the groups render and video",
    ),
    cause(
        &["getpwuid(): uid not found"],
        Fault::Configuration,
        "the image has no entry for the server's user: pass HOME, USER and LOGNAME (server.docker.env), or set server.docker.user to a user of the image",
    ),
    cause(
        &[
            "unrecognized arguments",
            "error: argument ",
            "error: the following arguments are required",
        ],
        Fault::Configuration,
        "this version of the server does not accept that argument or its value: check framework.config and server.docker.args",
    ),
    cause(
        &["executable file not found", "exec format error"],
        Fault::Configuration,
        "the image cannot run its entry point on this machine: check server.docker.entrypoint, and that the image is for this machine's processor",
    ),
    cause(
        &["Address already in use", "address already in use"],
        Fault::Environment,
        "another server listens on the port: use {port}, so that perfgate chooses a free one",
    ),
    cause(
        &["HIP error:", "hipError"],
        Fault::Target,
        "ROCm failed inside the server: set AMD_LOG_LEVEL=3 and HIP_LAUNCH_BLOCKING=1 to see where",
    ),
    cause(
        &[
            "NCCL error",
            "ncclSystemError",
            "ncclUnhandledCudaError",
            "ncclInternalError",
            "ncclInvalidUsage",
            "ncclRemoteError",
        ],
        Fault::Environment,
        "NCCL cannot connect the GPUs: give the container more shared memory (server.docker.shm_size, or ipc: host); NCCL_DEBUG=INFO in its environment shows more",
    ),
    cause(
        &[
            "Please install vllm[",
            "ModuleNotFoundError: ",
            "is not installed. Please install",
        ],
        Fault::Configuration,
        "the image lacks a package that these settings need: use an image that has it, or remove the setting",
    ),
    cause(
        &["trust_remote_code=True"],
        Fault::Configuration,
        "the model contains its own code, and the server runs it only with permission: read the code, then set framework.config: {trust_remote_code: true}",
    ),
    cause(
        &[
            "are not supported for now. Supported architectures",
            "does not recognize this architecture",
        ],
        Fault::Configuration,
        "this version of the server does not support the model's architecture: use a newer image, or another model",
    ),
    cause(
        &["Error while deserializing header"],
        Fault::Environment,
        "a file of the model is incomplete (an interrupted download), or is a Git LFS pointer: delete it from the cache, and download it again",
    ),
    cause(
        &["PermissionError: [Errno 13]"],
        Fault::Configuration,
        "the server may not read or write a file: check the permissions of mounted folders, and server.docker.user",
    ),
    cause(
        &["validation error for ", "validation errors for "],
        Fault::Configuration,
        "the engine rejects a configuration value: check framework.config and server.docker.args",
    ),
];

/// The image's programs use instructions that this processor lacks.
pub(super) static ILLEGAL_INSTRUCTION: Cause = Cause {
    is_by_signal: true,
    ..cause(
        &["Illegal instruction"],
        Fault::Configuration,
        "the image is built for another processor (it uses instructions that this one lacks, such as AVX-512): use an image for this one",
    )
};
