//! A checked `perfgate.yaml`: what to start, what to send, what to expect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{ExtraBody, Headers, ServerUrl, safe_name};
use crate::workload::dataset::{Format, Selection, Turns, Units};
use crate::workload::{Conversation, Lengths, Prefix, PromptForm};

/// What to measure. Every field is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the gate; by default the last part of the model's name.
    pub name: String,
    /// Model that the engine loads; requests use its name unless `served_model_name` is set.
    pub model: String,
    /// The name under which the server lists the model.
    pub served_model_name: String,
    /// How to get a server; `None` if only flags can set it.
    pub server: Option<ServerPlan>,
    /// The server of the base version, to measure alternately with the candidate.
    pub base: Option<ServerPlan>,
    /// Whether each repeat gets a fresh server.
    pub fresh: Fresh,
    /// API to load is loaded.
    pub endpoint: Endpoint,
    /// Where prompts come from.
    pub dataset: Dataset,
    /// Measured requests per repeat of one scenario.
    pub num_requests: usize,
    /// The load points.
    pub loads: Vec<LoadPoint>,
    /// Whether no load point is set, so that a trace is sent at its own times.
    pub loads_are_default: bool,
    /// Prompt lengths in tokens, if set; synthetic prompts default to [`DEFAULT_INPUT_TOKENS`].
    pub input_tokens: Option<Lengths>,
    /// Output lengths in tokens, if set; synthetic prompts default to [`DEFAULT_OUTPUT_TOKENS`].
    pub output_tokens: Option<Lengths>,
    /// Synthetic prompts as token ids or as text; `None` selects the better form for the API.
    pub prompts: Option<PromptForm>,
    /// What synthetic prompts have in common (for prefix caching).
    pub prefix: Prefix,
    /// Synthetic conversations.
    pub conversation: Option<Conversation>,
    /// Longest measured time of one repeat; `None` ends with the last request.
    pub duration: Option<Duration>,
    /// Time in which the load grows to the requested level.
    pub ramp_up: Duration,
    /// Requests before each measurement, at the measured load.
    pub warmup_requests: usize,
    /// The warm-up repeats until its figures differ by at most this share; `None` sends it once.
    pub warmup_until_stable: Option<f64>,
    /// Repeats of every scenario.
    pub repeat: u32,
    /// Seed of lengths, prompts and arrival times.
    pub seed: u64,
    /// Time limit of one request.
    pub timeout: Duration,
    /// Share of failed or truncated requests above which the target counts as failed.
    pub max_error_rate: f64,
    /// Sampling parameters sent with each request.
    pub sampling: Sampling,
    /// Extra headers of each request.
    pub headers: Headers,
    /// Extra keys in the body of each request.
    pub extra_body: ExtraBody,
    /// Interval at which the server's metrics, and GPUs through a program, are sampled.
    pub telemetry_interval: Duration,
    /// Whether an external server runs on this machine, if the user sets it.
    pub server_is_here: Option<bool>,
    /// Interval at which GPUs are sampled through the driver's library.
    pub gpu_interval: Duration,
    /// Limits for goodput.
    pub slo: Slo,
    /// Expected machine and engine.
    pub expectations: Expectations,
    /// `framework.config` as engine arguments, `--tensor-parallel-size 8 --enable-prefix-caching`.
    pub engine_args: Vec<String>,
}

/// Shortest telemetry interval: NVML updates its counters at this rate.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Default length of synthetic prompts.
pub const DEFAULT_INPUT_TOKENS: Lengths = Lengths::Constant(512);

/// Default length of answers to synthetic prompts.
pub const DEFAULT_OUTPUT_TOKENS: Lengths = Lengths::Constant(128);

impl Plan {
    /// The model, with defaults for the rest.
    pub(super) fn of(model: &str) -> Self {
        let num_requests = 200;
        let loads = vec![LoadPoint::Concurrency(16)];
        Self {
            name: safe_name(model.rsplit('/').next().unwrap_or(model)),
            model: model.to_owned(),
            served_model_name: model.to_owned(),
            server: None,
            base: None,
            fresh: Fresh::default(),
            endpoint: Endpoint::default(),
            dataset: Dataset::default(),
            num_requests,
            warmup_requests: Self::default_warmup(&loads, num_requests),
            loads,
            loads_are_default: true,
            input_tokens: None,
            output_tokens: None,
            prompts: None,
            prefix: Prefix::default(),
            conversation: None,
            duration: None,
            ramp_up: Duration::ZERO,
            warmup_until_stable: None,
            repeat: 3,
            seed: 42,
            timeout: Duration::from_mins(10),
            max_error_rate: 0.01,
            sampling: Sampling::default(),
            headers: Headers::default(),
            extra_body: ExtraBody::new(),
            telemetry_interval: Duration::from_secs(1),
            server_is_here: None,
            gpu_interval: MIN_INTERVAL,
            slo: Slo::default(),
            expectations: Expectations::default(),
            engine_args: Vec::new(),
        }
    }

    /// Twice the number of streams, so that every slot has answered once before the measurement; at most as many requests
    /// as are measured.
    pub fn default_warmup(loads: &[LoadPoint], num_requests: usize) -> usize {
        let width = |load: &LoadPoint| match load {
            LoadPoint::Concurrency(concurrency) => *concurrency,
            // An open loop has no fixed number of streams; a few requests at its rate warm the server up.
            LoadPoint::Rate { .. } | LoadPoint::Trace { .. } => 8,
        };
        (2 * loads.iter().map(width).max().unwrap_or(1)).min(num_requests)
    }
}

/// Whether each repeat gets a fresh server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fresh {
    /// A fresh server for each repeat.
    #[default]
    Repeat,
    /// One server for the whole run.
    Run,
}

impl Fresh {
    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Run => "run",
        }
    }
}

/// API to load is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/completions`
    #[default]
    Completions,
    /// `/v1/chat/completions`
    Chat,
}

/// Where prompts come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Dataset {
    /// Random token ids (completions) or random words (chat) of the requested lengths.
    #[default]
    Synthetic,
    /// A file that is not read yet.
    File(DatasetFile),
    /// The part of a file that a run sends.
    Chosen(Arc<Selection>),
}

/// A file of prompts, conversations or a trace, and which part of it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetFile {
    /// Path as given; a relative one is relative to the folder of perfgate.yaml.
    pub path: PathBuf,
    /// Its format; detected from the contents if not set.
    pub format: Option<Format>,
    /// Expected SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The units of a trace.
    pub units: Units,
    /// Factor by which a trace is sent faster than recorded.
    pub speedup: Option<f64>,
    /// Which turns of conversations are sent.
    pub turns: Option<Turns>,
    /// Think time between an answer and the next turn.
    pub pause: Duration,
    /// Whether entries are sent again if there are fewer entries than requests.
    pub repeat_entries: bool,
    /// Whether prompts begin with words that are new in every pass over the file.
    pub salt: bool,
}

impl DatasetFile {
    /// The file, with defaults for the rest.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
            sha256: None,
            units: Units::default(),
            speedup: None,
            turns: None,
            pause: Duration::ZERO,
            repeat_entries: false,
            salt: true,
        }
    }
}

/// One load point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadPoint {
    /// Closed loop: that many requests in flight.
    Concurrency(usize),
    /// Open loop: requests arrive at that rate, independent of earlier ones.
    Rate {
        /// Requests per second; infinite sends all at once.
        per_second: f64,
        /// Shape of the gamma-distributed gaps: 1 is Poisson, infinite is constant.
        burstiness: f64,
    },
    /// Open loop: requests arrive as in the recorded trace.
    Trace {
        /// Factor by which the trace is sent faster than recorded.
        speedup: f64,
    },
}

impl LoadPoint {
    /// The load point of a number: requests in flight, or requests per second if `rates` gives the burstiness.
    pub fn of(load: f64, rates: Option<f64>) -> Self {
        match rates {
            Some(burstiness) => Self::Rate {
                per_second: load,
                burstiness,
            },
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number of streams"
            )]
            None => Self::Concurrency(load as usize),
        }
    }

    /// Its number: requests in flight, requests per second, or the speedup of a trace.
    pub fn number(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a number of streams")]
            Self::Concurrency(concurrency) => concurrency as f64,
            Self::Rate { per_second, .. } => per_second,
            Self::Trace { speedup } => speedup,
        }
    }

    /// The scenario's name, `concurrency=64`, `request_rate=2`, `trace` or `trace_speedup=2`.
    pub fn name(self) -> String {
        match self {
            Self::Concurrency(concurrency) => format!("concurrency={concurrency}"),
            Self::Rate { per_second, .. } => format!("request_rate={per_second}"),
            Self::Trace { speedup } if (speedup - 1.0).abs() < f64::EPSILON => "trace".to_owned(),
            Self::Trace { speedup } => format!("trace_speedup={speedup}"),
        }
    }
}

/// Sampling parameters sent with each request.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Temperature; 0 is greedy.
    pub temperature: f64,
    /// Nucleus sampling, if set.
    pub top_p: Option<f64>,
    /// Whether to ignore the end-of-sequence token, so that outputs have the requested length.
    pub ignore_eos: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: None,
            ignore_eos: true,
        }
    }
}

/// Limits per request; a request that meets them all counts for goodput.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slo {
    /// Time to first token, seconds.
    pub ttft: Option<f64>,
    /// Time per output token, seconds.
    pub tpot: Option<f64>,
    /// Whole request, seconds.
    pub e2e: Option<f64>,
}

/// Expected machine and engine, checked against the real ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// GPU name, `H100-80GB SXM`.
    pub gpu: Option<String>,
    /// Number of GPUs.
    pub num_gpus: Option<u32>,
    /// Driver version.
    pub driver: Option<String>,
    /// CUDA version.
    pub cuda: Option<String>,
    /// vLLM version.
    pub vllm_version: Option<String>,
    /// Whether a mismatch stops the run instead of adding a warning.
    pub strict: bool,
}

/// How to get a server.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a run has one or two of them")]
pub enum ServerPlan {
    /// A container.
    Docker(DockerPlan),
    /// A command in perfgate's own process group.
    Process(ProcessPlan),
    /// An external server; perfgate never stops it.
    Url(ServerUrl),
    /// The embedded server: options of `perfgate simulate` without dashes, and their values.
    Simulator(BTreeMap<String, String>),
}

/// A container to start.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerPlan {
    /// Image reference.
    pub image: String,
    /// When the image is pulled.
    pub pull: Pull,
    /// Entry point, if it replaces the image's own.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments after the model and `framework.config`.
    pub args: Vec<String>,
    /// GPUs to pass in.
    pub gpus: GpuRequest,
    /// Devices of the machine to pass in, `/dev/kfd` or `host:container`: AMD's GPUs.
    pub devices: Vec<String>,
    /// OCI runtime, if it replaces the engine's default.
    pub runtime: Option<String>,
    /// Names of environment variables passed through from perfgate's own environment.
    pub env: Vec<String>,
    /// Mounts, `host:container[:ro]`; a leading `~` is the home folder.
    pub volumes: Vec<String>,
    /// The Hugging Face cache to mount at the path that the server uses.
    pub hf_cache: Option<HfCache>,
    /// Shared memory in bytes; the default is [`DockerPlan::DEFAULT_SHM_SIZE`].
    pub shm_size: Option<u64>,
    /// `host` to share the host's IPC namespace.
    pub ipc: Option<String>,
    /// Resource limits of the container.
    pub limits: Limits,
    /// User and group in the container, `2000:0`, if they replace the image's own.
    pub user: Option<String>,
    /// The network in which the server listens.
    pub network: Network,
    /// Port on which the server listens inside the container; in the host's network perfgate chooses a free one.
    pub port: u16,
    /// Longest time from start to ready.
    pub ready_timeout: Duration,
}

impl DockerPlan {
    /// Default shared memory, 8 GiB. Docker's default of 64 MiB is too small: vLLM 0.32 needs 160 MiB for one queue
    /// between its processes, and NCCL needs more for every GPU.
    pub const DEFAULT_SHM_SIZE: u64 = 8 << 30;

    /// A model of a hundred gigabytes takes minutes to load and compile.
    pub const DEFAULT_READY_TIMEOUT: Duration = Duration::from_mins(15);

    /// Where vLLM listens.
    pub const DEFAULT_PORT: u16 = 8000;

    /// The image, with defaults for the rest.
    pub fn of(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            pull: Pull::default(),
            entrypoint: None,
            args: Vec::new(),
            gpus: GpuRequest::None,
            devices: Vec::new(),
            runtime: None,
            env: Vec::new(),
            volumes: Vec::new(),
            hf_cache: None,
            shm_size: None,
            ipc: None,
            limits: Limits::default(),
            user: None,
            network: Network::default(),
            port: Self::DEFAULT_PORT,
            ready_timeout: Self::DEFAULT_READY_TIMEOUT,
        }
    }

    /// Bytes of shared memory to request; `None` if the container has no own `/dev/shm`.
    pub fn shm_bytes(&self) -> Option<u64> {
        let shared = self.ipc.as_deref().is_some_and(shares_ipc);
        (!shared).then(|| self.shm_size.unwrap_or(Self::DEFAULT_SHM_SIZE))
    }
}

/// Whether that IPC mode shares `/dev/shm`, so that a size has no effect.
pub(super) fn shares_ipc(mode: &str) -> bool {
    mode == "host" || mode == "none" || mode.starts_with("container:")
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// If the image is missing on this machine.
    #[default]
    Missing,
    /// At every start, so that a moving tag is current.
    Always,
    /// Never: the image must be on this machine.
    Never,
}

/// The Hugging Face cache on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HfCache {
    /// `$HF_HOME`, else `~/.cache/huggingface`.
    Usual,
    /// This folder; a leading `~` is the home folder.
    Folder(String),
}

/// Resource limits of a container; a missing value means no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Main memory in bytes, without swap.
    pub memory: Option<u64>,
    /// CPU time in CPUs, above 0; may be a fraction.
    pub cpus: Option<f64>,
    /// Which CPUs, `0-7,16`.
    pub cpuset: Option<String>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// The network in which a server in a container listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The container's own network; its port is published on a free loopback port.
    #[default]
    Bridge,
    /// The host's network, without a proxy between client and server.
    Host,
}

/// GPUs to pass to a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuRequest {
    /// None.
    #[default]
    None,
    /// All GPUs.
    All,
    /// This number of GPUs.
    Count(u32),
    /// These GPUs, by index or UUID.
    Devices(Vec<String>),
}

/// A command to start.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessPlan {
    /// Program and arguments. `{port}`, `{model}` and, as a whole element, `{args}` are replaced.
    pub command: Vec<String>,
    /// Environment variables to set in addition to perfgate's own environment.
    pub env: BTreeMap<String, String>,
    /// Working folder.
    pub directory: Option<PathBuf>,
    /// Longest time from start to ready.
    pub ready_timeout: Duration,
}
