//! `perfgate bench`, and the options of target and load that `gate` shares with it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::stable_within;
use crate::config::{GpuRequest, parse_duration, parse_gpus};

const EXAMPLES: &str = "\
Examples:
  perfgate bench
      as configured in perfgate.yaml
  perfgate bench --url http://127.0.0.1:8000 --model M --endpoint completions --concurrency 64 \\
      --num-prompts 1280 --synthetic-input-tokens-mean 500 --output-tokens-mean 200 \\
      --warmup-requests 64 --repeat 1 --output result.json
  perfgate bench --image vllm/vllm-openai:v0.32.0 --gpus all --model M --concurrency 1,16,64
  perfgate bench --simulator slowdown=1.08,seed=1 --model demo
  perfgate bench --url http://127.0.0.1:8000 --model M --dataset sharegpt.json --output-tokens-mean 200
  perfgate bench --url https://gateway.example --model M --endpoint chat \\
      --header 'X-Route: canary' --extra-body '{\"chat_template_kwargs\": {\"enable_thinking\": false}}'

Flags override the file. The result is written atomically after every repeat; a name that ends in .gz or .zst \
is compressed. An API key is read from PERFGATE_API_KEY.";

/// Options of `perfgate bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Where to write the result
    #[arg(long, short, value_name = "FILE", default_value = "result.json")]
    pub output: PathBuf,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to measure: target and load.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Configuration file [default: perfgate.yaml if it exists]
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the gate, which selects its baseline
    #[arg(long)]
    pub name: Option<String>,
    /// Model name
    #[arg(long, short)]
    pub model: Option<String>,
    /// The server.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// The server.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct TargetArgs {
    /// Address of a running server; perfgate never stops it
    #[arg(long, visible_alias = "base-url", group = "target")]
    pub url: Option<String>,
    /// Start a container of this image, with server.docker of the file or its defaults
    #[arg(long, group = "target")]
    pub image: Option<String>,
    /// Start the embedded server, with options of `perfgate simulate`: slowdown=1.08,seed=1
    #[arg(long, group = "target", value_name = "OPTIONS", num_args = 0..=1, default_missing_value = "")]
    pub simulator: Option<String>,
    /// GPUs for the container: all, none, a number, or ids as in 0,1
    #[arg(long, value_parser = parse_gpus)]
    pub gpus: Option<GpuRequest>,
}

/// The load. Names as other load generators have them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// API to load
    #[arg(long, value_enum)]
    pub endpoint: Option<EndpointArg>,
    /// File of prompts: ShareGPT, JSONL or a trace; `synthetic` for generated prompts. Same as dataset.path in the file
    #[arg(long, visible_alias = "dataset-path", value_name = "FILE")]
    pub dataset: Option<String>,
    /// Format of the data set [default: detected from its contents]
    #[arg(
        long,
        visible_alias = "dataset-name",
        value_enum,
        value_name = "FORMAT"
    )]
    pub dataset_format: Option<DatasetFormatArg>,
    /// Requests in flight: 64, a list 1,16,64, or a range 1:64:8
    #[arg(long, visible_alias = "max-concurrency")]
    pub concurrency: Option<String>,
    /// Requests per second instead of concurrency: 2.5, a list, or inf
    #[arg(long, conflicts_with = "concurrency")]
    pub request_rate: Option<String>,
    /// Shape of the gaps between arrivals: 1 is Poisson, inf is constant
    #[arg(long, requires = "request_rate")]
    pub burstiness: Option<f64>,
    /// Measured requests per repeat
    #[arg(long, visible_aliases = ["num-requests", "request-count"])]
    pub num_prompts: Option<usize>,
    /// Mean prompt length in tokens
    #[arg(long, visible_alias = "random-input-len", value_name = "TOKENS")]
    pub synthetic_input_tokens_mean: Option<u32>,
    /// Standard deviation of prompt lengths
    #[arg(long, value_name = "TOKENS", requires = "synthetic_input_tokens_mean")]
    pub synthetic_input_tokens_stddev: Option<f64>,
    /// Mean output length in tokens
    #[arg(
        long,
        visible_aliases = ["random-output-len", "sharegpt-output-len"],
        value_name = "TOKENS"
    )]
    pub output_tokens_mean: Option<u32>,
    /// Standard deviation of output lengths
    #[arg(long, value_name = "TOKENS", requires = "output_tokens_mean")]
    pub output_tokens_stddev: Option<f64>,
    /// Requests before each measurement
    #[arg(long, visible_aliases = ["num-warmups", "warmup-request-count"])]
    pub warmup_requests: Option<usize>,
    /// Repeat the warm-up until throughput, TTFT and E2E of three in a row are within this share of their mean; a repeat
    /// whose server does not become stable within ten warm-ups is void
    #[arg(long, value_name = "SHARE", value_parser = stable_within)]
    pub warmup_until_stable: Option<f64>,
    /// Repeats, each on a fresh server; a gate with the base version measures pairs instead
    #[arg(long)]
    pub repeat: Option<u32>,
    /// Seed of lengths, prompts, arrivals, and of the order in pairs
    #[arg(long, visible_alias = "random-seed")]
    pub seed: Option<u64>,
    /// Start no request after this time; --num-prompts is then the maximum number of requests
    #[arg(long, visible_alias = "benchmark-duration", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Time in which the load ramps up: streams open one after the other, arrivals become faster
    #[arg(long, value_parser = parse_duration)]
    pub ramp_up: Option<Duration>,
    /// Time limit of one request
    #[arg(long, value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Extra header of each request, in quotes; repeatable. perfgate never shows its value. `headers` in the file can also
    /// read values from the environment
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Extra keys of each request's body, as a JSON object; same as `extra_body` in the file
    #[arg(long, value_name = "JSON")]
    pub extra_body: Option<String>,
    /// Limits for each request, as in ttft:200ms tpot:50ms e2e:10s [default: from the file]
    #[arg(long, num_args = 1.., value_name = "LATENCY:LIMIT", value_parser = limit)]
    pub goodput: Vec<(Latency, Duration)>,
}

/// A latency with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Time to first token.
    Ttft,
    /// Time per output token.
    Tpot,
    /// Whole request.
    E2e,
}

/// API to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EndpointArg {
    /// `/v1/completions`
    Completions,
    /// `/v1/chat/completions`
    Chat,
}

/// Format of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetFormatArg {
    /// Generated prompts, without a file
    #[value(alias = "random")]
    Synthetic,
    /// A list of conversations
    Sharegpt,
    /// A prompt or messages per line
    #[value(alias = "custom")]
    Jsonl,
    /// A trace with lengths and hash ids per line
    Mooncake,
}

/// `ttft:200ms`.
fn limit(text: &str) -> Result<(Latency, Duration), String> {
    let (name, limit) = text
        .split_once(':')
        .ok_or_else(|| "write a latency and its limit, as in ttft:200ms".to_owned())?;
    let latency = match name.trim() {
        "ttft" => Latency::Ttft,
        "tpot" => Latency::Tpot,
        "e2e" | "e2el" => Latency::E2e,
        other => {
            return Err(format!("`{other}` is not a latency; use ttft, tpot or e2e"));
        }
    };
    let limit = parse_duration(limit.trim())?;
    if limit.is_zero() {
        return Err("the limit must be above zero".to_owned());
    }
    Ok((latency, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_with_their_units() {
        assert_eq!(
            limit("ttft:200ms"),
            Ok((Latency::Ttft, Duration::from_millis(200)))
        );
        for wrong in ["ttft", "ttft:200", "speed:1s", "tpot:0ms"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
