//! `perfgate simulate`.

use std::time::Duration;

use clap::Args;

use crate::config::{parse_bytes, parse_duration, parse_percentage};

const EXAMPLES: &str = "\
Examples:
  perfgate simulate --port 8000 --model demo
  perfgate simulate --slowdown 1.08 --noise 2%          8 % slower, with 2 % noise between starts
  perfgate simulate --memory-growth 10%                 larger engine, smaller KV cache
  perfgate simulate --fail-rate 1% --truncate-rate 1%   for testing clients

A step costs step-base + step-per-running × running + prefill-per-token × prompt tokens. Requests wait for a slot \
(max-num-seqs) and for room in the KV cache.

Timing error, measured on a 2-core machine with 64 streams (4950 tokens/s), as root: tokens leave the engine \
0.05 ms (median), 0.08 ms (P99) after their schedule; with both cores busy 0.02 and 0.04 ms, at most \
1.13 ms. Without real-time priority, busy cores cost up to 2.8 ms (P99). /metrics reports it as \
perfgate_simulated_schedule_lateness_seconds, and it is printed at the end. Sending to 64 connections adds to it.";

/// Options of the embedded server.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SimulateArgs {
    /// Port on the loopback address; 0 selects a free port
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Name of the model
    #[arg(long, default_value = "simulated")]
    pub model: String,
    /// Time until the server is ready
    #[arg(long, default_value = "0s", value_parser = parse_duration, help_heading = "Server")]
    pub startup: Duration,
    /// Longest prompt and answer together, in tokens
    #[arg(long, default_value_t = 8192, help_heading = "Server")]
    pub max_model_len: u32,
    /// Requests that run at once
    #[arg(long, default_value_t = 256, value_parser = slots, help_heading = "Server")]
    pub max_num_seqs: usize,
    /// Tokens that fit into the KV cache
    #[arg(long, default_value_t = 400_000, help_heading = "Server")]
    pub kv_cache_tokens: u64,
    /// Simulated GPUs, 0 or 1; with 0 it reports no GPUs, so that perfgate samples those of the machine
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1), help_heading = "Server")]
    pub gpus: u32,
    /// Memory of a simulated GPU
    #[arg(long, default_value = "80GiB", value_parser = parse_bytes, help_heading = "Server")]
    pub gpu_memory: u64,
    /// Cost of a step
    #[arg(long, default_value = "4ms", value_parser = parse_duration, help_heading = "Speed")]
    pub step_base: Duration,
    /// Cost of each decoding sequence in a step
    #[arg(long, default_value = "100us", value_parser = parse_duration, help_heading = "Speed")]
    pub step_per_running: Duration,
    /// Cost of each prompt token
    #[arg(long, default_value = "20us", value_parser = parse_duration, help_heading = "Speed")]
    pub prefill_per_token: Duration,
    /// Factor on all costs
    #[arg(long, default_value_t = 1.0, value_parser = factor, help_heading = "Changes")]
    pub slowdown: f64,
    /// Factor on decoding only
    #[arg(long, default_value_t = 1.0, value_parser = factor, help_heading = "Changes")]
    pub decode_slowdown: f64,
    /// Factor on prefill only
    #[arg(long, default_value_t = 1.0, value_parser = factor, help_heading = "Changes")]
    pub prefill_slowdown: f64,
    /// Growth of the engine's memory, at the expense of the KV cache
    #[arg(long, default_value = "0%", value_parser = parse_percentage, help_heading = "Changes")]
    pub memory_growth: f64,
    /// Relative standard deviation of each start's speed
    #[arg(long, default_value = "0%", value_parser = parse_percentage, help_heading = "Random variation")]
    pub noise: f64,
    /// Relative standard deviation of each step
    #[arg(long, default_value = "0%", value_parser = parse_percentage, help_heading = "Random variation")]
    pub step_noise: f64,
    /// Seed of all random numbers; without it every start uses a random seed
    #[arg(long, help_heading = "Random variation")]
    pub seed: Option<u64>,
    /// Number of this start in a run: with one seed, each start has its own speed
    #[arg(long, default_value_t = 0, help_heading = "Random variation")]
    pub start: u32,
    /// Share of requests answered with status 500
    #[arg(long, default_value = "0%", value_parser = parse_percentage, help_heading = "Faults")]
    pub fail_rate: f64,
    /// Share of streams that end with an error event
    #[arg(long, default_value = "0%", value_parser = parse_percentage, help_heading = "Faults")]
    pub fail_mid_stream_rate: f64,
    /// Share of streams cut off in the middle
    #[arg(long, default_value = "0%", value_parser = parse_percentage, help_heading = "Faults")]
    pub truncate_rate: f64,
    /// Die at the N-th completion request
    #[arg(long, value_name = "N", help_heading = "Faults")]
    pub die_after: Option<u64>,
}

/// A factor with a measurable result.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && (0.01..=100.0).contains(&factor) => Ok(factor),
        Ok(_) | Err(_) => {
            Err("write a factor between 0.01 and 100, as in 1.08 for 8 % slower".to_owned())
        }
    }
}

/// At least one slot: without slots every request would wait forever.
fn slots(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(slots) if slots >= 1 => Ok(slots),
        Ok(_) | Err(_) => Err("write a number of requests, at least 1".to_owned()),
    }
}
