//! A checked `perfgate.yaml`: what to start, what to send, what to expect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{ExtraBody, Headers, ServerUrl};
use crate::workload::Lengths;
use crate::workload::dataset::{Format, Selection, Turns, Units};

/// What to measure. Every field has been checked; nothing here "cannot be None".
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the gate; the last part of the model's name where none is given.
    pub name: String,
    /// Model name that the engine loads and that requests carry unless `served_model_name` says otherwise.
    pub model: String,
    /// The name under which the server lists the model.
    pub served_model_name: String,
    /// How to get a server; `None` where only flags can say it.
    pub server: Option<ServerPlan>,
    /// The server of the base version, where it is at hand to be measured alternately with the candidate.
    pub base: Option<ServerPlan>,
    /// Whether each repeat gets a fresh server.
    pub fresh: Fresh,
    /// Which API is loaded.
    pub endpoint: Endpoint,
    /// Where prompts come from.
    pub dataset: Dataset,
    /// Measured requests per repeat of one scenario.
    pub num_requests: usize,
    /// The load points.
    pub loads: Vec<LoadPoint>,
    /// Whether nobody gave a load point, so that a trace is sent at its own times.
    pub loads_are_usual: bool,
    /// Prompt lengths in tokens, where given; of synthetic prompts, [`DEFAULT_INPUT_TOKENS`] else.
    pub input_tokens: Option<Lengths>,
    /// Output lengths in tokens, where given; for synthetic prompts, [`DEFAULT_OUTPUT_TOKENS`] else.
    pub output_tokens: Option<Lengths>,
    /// Synthetic prompts as token ids or as text; `None` for what the API takes best.
    pub prompts: Option<Prompts>,
    /// What synthetic prompts have in common (for prefix caching).
    pub prefix: Prefix,
    /// Synthetic conversations.
    pub conversation: Option<ConversationPlan>,
    /// Longest measured time of one repeat; `None` ends with the last request.
    pub duration: Option<Duration>,
    /// Time in which the load grows to what was asked for.
    pub ramp_up: Duration,
    /// Requests before each measurement, at the measured load.
    pub warmup_requests: usize,
    /// The warm-up is sent anew until its figures lie within this share of each other; `None` sends it once.
    pub warmup_until_stable: Option<f64>,
    /// Repeats of every scenario.
    pub repeat: u32,
    /// Seed of lengths, prompts and arrival times.
    pub seed: u64,
    /// Longest time that one request may take.
    pub timeout: Duration,
    /// Share of failed or truncated requests above which the target counts as failed.
    pub max_error_rate: f64,
    /// Sampling parameters sent with each request.
    pub sampling: Sampling,
    /// Headers that each request has beside perfgate's own.
    pub headers: Headers,
    /// What the body of each request has beside perfgate's own keys.
    pub extra_body: ExtraBody,
    /// How often the server's metrics are looked at, and GPUs through a program.
    pub telemetry_interval: Duration,
    /// Whether a server that somebody else runs is on this machine, where the user sets it.
    pub server_is_here: Option<bool>,
    /// How often GPUs are looked at through the driver's library.
    pub gpu_interval: Duration,
    /// Limits for goodput.
    pub slo: Slo,
    /// What is expected of the machine and the engine.
    pub expectations: Expectations,
    /// `framework.config` as engine arguments, `--tensor-parallel-size 8 --enable-prefix-caching`.
    pub engine_args: Vec<String>,
}

/// Length of synthetic prompts where none is given.
pub const DEFAULT_INPUT_TOKENS: Lengths = Lengths::Constant(512);

/// Length of answers to synthetic prompts where none is given.
pub const DEFAULT_OUTPUT_TOKENS: Lengths = Lengths::Constant(128);

impl Plan {
    /// Twice the load's width, so that every slot has answered once before the measurement; never more requests than
    /// are measured.
    pub fn usual_warmup(loads: &[LoadPoint], num_requests: usize) -> usize {
        let width = |load: &LoadPoint| match load {
            LoadPoint::Concurrency(concurrency) => *concurrency,
            // An open loop has no width of its own; a few requests at its rate wake the server up.
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
    /// As the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Run => "run",
        }
    }
}

/// Which API is loaded.
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
    /// Random token ids (completions) or random words (chat) of the lengths asked for.
    #[default]
    Synthetic,
    /// A file that has not been read yet.
    File(DatasetFile),
    /// What a run sends of a file that has been read.
    Chosen(Arc<Selection>),
}

/// A file of prompts, conversations or a trace, and what is taken of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetFile {
    /// Path as given; a relative one is relative to the folder of perfgate.yaml.
    pub path: PathBuf,
    /// Its format; told by the contents where not given.
    pub format: Option<Format>,
    /// What the SHA-256 of its bytes must be, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The units of a trace.
    pub units: Units,
    /// By how much a trace is sent faster than it was.
    pub speedup: Option<f64>,
    /// Which turns of conversations are sent.
    pub turns: Option<Turns>,
    /// Think time between an answer and the next turn.
    pub pause: Duration,
    /// Whether entries are sent again where there are fewer than requests.
    pub repeat_entries: bool,
    /// Whether prompts begin with words that are new in every pass.
    pub salt: bool,
}

impl DatasetFile {
    /// The file, with everything else as usual.
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

/// Synthetic prompts as token ids or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompts {
    /// Token ids: exact lengths without a tokenizer; completions only.
    TokenIds,
    /// Words, which the server's tokenizer takes apart.
    Text,
}

/// What synthetic prompts have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefix {
    /// Share of every prompt that is the same in all prompts of its group, 0 to 1.
    pub share: f64,
    /// Number of groups, each with a prefix of its own.
    pub groups: usize,
}

impl Default for Prefix {
    fn default() -> Self {
        Self {
            share: 0.0,
            groups: 1,
        }
    }
}

/// Synthetic conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationPlan {
    /// Turns of each, at least 1. Each is a request.
    pub turns: usize,
    /// Think time between an answer and the next turn.
    pub pause: Duration,
}

/// One load point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadPoint {
    /// Closed loop: that many requests in flight.
    Concurrency(usize),
    /// Open loop: requests arrive at that rate whether or not earlier ones have ended.
    Rate {
        /// Requests per second; infinite sends all at once.
        per_second: f64,
        /// Shape of the gamma-distributed gaps: 1 is Poisson, infinite is constant.
        burstiness: f64,
    },
    /// Open loop: requests arrive as they did in the trace that they are taken from.
    Trace {
        /// How much faster than then.
        speedup: f64,
    },
}

impl LoadPoint {
    /// The load point of a number: requests in flight, or requests per second where `rates` is how bursty they arrive.
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

    /// Its number: requests in flight, requests per second, or how many times as fast a trace is sent.
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
    /// Nucleus sampling, where given.
    pub top_p: Option<f64>,
    /// Whether the model's end-of-sequence token is ignored, so that outputs have the length asked for.
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

/// What is expected of the machine and the engine; checked against what is really there.
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
    /// Whether a mismatch refuses the run instead of being named.
    pub strict: bool,
}

/// How to get a server.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are one or two of them in a run"
)]
pub enum ServerPlan {
    /// A container.
    Docker(DockerPlan),
    /// A command of our own process group.
    Process(ProcessPlan),
    /// A server that somebody else runs; never stopped by us.
    Url(ServerUrl),
    /// The embedded server: options of `perfgate simulate` without the dashes, and their values.
    Simulator(BTreeMap<String, String>),
}

/// A container to start.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerPlan {
    /// Image reference.
    pub image: String,
    /// When the image is pulled.
    pub pull: Pull,
    /// Entry point, where the image's own does not do.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments after the model and `framework.config`.
    pub args: Vec<String>,
    /// GPUs to hand in.
    pub gpus: GpuRequest,
    /// Devices of the machine to hand in, `/dev/kfd` or `host:container`: AMD's GPUs.
    pub devices: Vec<String>,
    /// OCI runtime, where the engine's usual one does not do.
    pub runtime: Option<String>,
    /// Names of environment variables passed through from perfgate's own environment.
    pub env: Vec<String>,
    /// Mounts, `host:container[:ro]`; a leading `~` is the home folder.
    pub volumes: Vec<String>,
    /// The cache of Hugging Face that is mounted where the server looks for it.
    pub hf_cache: Option<HfCache>,
    /// Shared memory in bytes, where given; [`DockerPlan::DEFAULT_SHM_SIZE`] else.
    pub shm_size: Option<u64>,
    /// `host` to share the host's IPC namespace.
    pub ipc: Option<String>,
    /// What the container may use of the machine.
    pub limits: Limits,
    /// User and group in the container, `2000:0`, where the image's own does not do.
    pub user: Option<String>,
    /// The network in which the server listens.
    pub network: Network,
    /// Port on which the server listens inside the container; in the host's network a free one is chosen.
    pub port: u16,
    /// Longest time from start to ready.
    pub ready_timeout: Duration,
}

impl DockerPlan {
    /// Shared memory where nothing is said, 8 GiB. Docker's own 64 MiB are too little: vLLM 0.32 wants 160 MiB for one
    /// queue between its processes, and NCCL more for every GPU.
    pub const DEFAULT_SHM_SIZE: u64 = 8 << 30;

    /// A model of a hundred gigabytes takes minutes to load and compile.
    pub const DEFAULT_READY_TIMEOUT: Duration = Duration::from_mins(15);

    /// Where vLLM listens.
    pub const DEFAULT_PORT: u16 = 8000;

    /// The image, with everything else as usual.
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

    /// Bytes of shared memory to ask for; `None` where the container has no `/dev/shm` of its own.
    pub fn shm_bytes(&self) -> Option<u64> {
        let shared = self.ipc.as_deref().is_some_and(shares_ipc);
        (!shared).then(|| self.shm_size.unwrap_or(Self::DEFAULT_SHM_SIZE))
    }
}

/// Whether that IPC mode takes `/dev/shm` from somewhere else, so that a size means nothing.
pub(super) fn shares_ipc(mode: &str) -> bool {
    mode == "host" || mode == "none" || mode.starts_with("container:")
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// Where it is not on this machine.
    #[default]
    Missing,
    /// At every start, so that a tag that moves is the newest.
    Always,
    /// Never: it must be there.
    Never,
}

/// The cache of Hugging Face on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HfCache {
    /// `$HF_HOME`, else `~/.cache/huggingface`.
    Usual,
    /// That folder; a leading `~` is the home folder.
    Folder(String),
}

/// What a container may use of the machine; no limit where nothing is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Main memory in bytes; no swap beside it.
    pub memory: Option<u64>,
    /// CPUs' worth of time, above 0; may be a fraction.
    pub cpus: Option<f64>,
    /// Which CPUs, `0-7,16`.
    pub cpuset: Option<String>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// The network in which a server in a container listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Its own; the port is published on a free loopback port.
    #[default]
    Bridge,
    /// The host's: nothing between client and server.
    Host,
}

/// GPUs to hand to a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuRequest {
    /// None.
    #[default]
    None,
    /// All there are.
    All,
    /// That many.
    Count(u32),
    /// Those, by index or UUID.
    Devices(Vec<String>),
}

/// A command to start.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessPlan {
    /// Program and arguments. `{port}`, `{model}` and, as a whole element, `{args}` are replaced.
    pub command: Vec<String>,
    /// Environment variables to set, beside perfgate's own.
    pub env: BTreeMap<String, String>,
    /// Working folder.
    pub directory: Option<PathBuf>,
    /// Longest time from start to ready.
    pub ready_timeout: Duration,
}
